//! Trees, laid out for prediction.

/// A node of a tree: 12 bytes, so that the trees of a typical model stay in a processor's cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    /// A leaf's value, or the threshold: rows whose feature is below it go left.
    value: f32,
    /// Where the left child stands; the right one is next to it. [`LEAF`] if there are none.
    left: u32,
    /// The feature's column, shifted left by one. The lowest bit says that missing values go right.
    split: u32,
}

/// In place of a left child. Position 0 is always a root, so it is nobody's child.
const LEAF: u32 = 0;

impl Node {
    pub(crate) fn leaf(value: f32) -> Self {
        Self {
            value,
            left: LEAF,
            split: 0,
        }
    }

    /// A split on `feature`, which must be below 2^31.
    pub(crate) fn split(feature: u32, threshold: f32, missing_right: bool, left: u32) -> Self {
        Self {
            value: threshold,
            left,
            split: feature << 1 | u32::from(missing_right),
        }
    }
}

/// Boosted trees that vote on one probability.
///
/// Whoever builds one sees to it that children stand after their parent. A walk down a tree then
/// ends, whatever the row.
pub struct Forest {
    /// The number of features of a row, at least 1.
    pub(crate) features: usize,
    /// What the vote starts from, as log odds.
    pub(crate) base_margin: f32,
    /// The nodes of all trees.
    pub(crate) nodes: Vec<Node>,
    /// Where each tree's root stands.
    pub(crate) roots: Vec<u32>,
}

impl Forest {
    /// The number of features that a row must have.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The probability of the positive class.
    pub fn probability(&self, row: &[f32]) -> f32 {
        // XGBoost's own expression. Beyond 88.7 the exponential would overflow float32.
        1.0 / (1.0 + (-self.margin(row)).min(88.7).exp())
    }

    /// The vote, as log odds. Float32 sums depend on their order, and this is XGBoost's.
    fn margin(&self, row: &[f32]) -> f32 {
        self.roots
            .iter()
            .fold(self.base_margin, |sum, &root| sum + self.vote(root, row))
    }

    /// The value of the leaf at which a row arrives.
    fn vote(&self, root: u32, row: &[f32]) -> f32 {
        let mut at = root;
        while let Some(node) = self.nodes.get(at as usize) {
            if node.left == LEAF {
                return node.value;
            }
            let feature = (node.split >> 1) as usize;
            let value = row.get(feature).copied().unwrap_or(f32::NAN);
            // Without a branch, which a processor would guess wrong every other time.
            let missing_right = node.split & 1 == 1;
            let right = (value >= node.value) | (value.is_nan() & missing_right);
            at = node.left + u32::from(right);
        }
        // No child lies outside: see `Forest`.
        f32::NAN
    }
}
