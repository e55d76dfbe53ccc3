//! One tree, as files have it: a column for each property of a node.

use modelcell_forest::{Branch, Codes, Missing, Node, Side, Test};

/// The largest category and all beyond are none: 2^24, where float32 stops telling integers apart.
const CATEGORIES: usize = 1 << 24;

/// A tree's columns. Made once and filled anew for each tree.
#[derive(Default)]
pub(crate) struct TreeColumns {
    /// -1 at leaves.
    pub(crate) left: Vec<i32>,
    /// The right child. At the leaves of trees with vector leaves, as of `XGBoost` 3.2, the leaf's
    /// place in `leaf_weights`.
    pub(crate) right: Vec<i32>,
    pub(crate) feature: Vec<u32>,
    /// Thresholds; at leaves the leaf's value.
    pub(crate) condition: Vec<f32>,
    /// 1 where missing values go left.
    pub(crate) default_left: Vec<u8>,
    /// 1 where a node splits on categories. Empty if none does.
    pub(crate) split_type: Vec<u8>,
    /// Nodes that split on categories, in ascending order.
    pub(crate) category_nodes: Vec<i32>,
    /// For each of them, where its categories begin in `categories`.
    pub(crate) category_starts: Vec<i64>,
    /// And how many there are.
    pub(crate) category_counts: Vec<i64>,
    pub(crate) categories: Vec<i32>,
    /// Vector leaves: of all nodes until `XGBoost` 3.1, none if leaves are no vectors.
    pub(crate) base_weights: Vec<f32>,
    /// Vector leaves, as of 3.2.
    pub(crate) leaf_weights: Vec<f32>,
    /// The length of a leaf's vector. 0 or 1 if a leaf is a number.
    pub(crate) leaf_size: u32,
    /// The sets of `category_nodes` as bits, one after the other.
    bits: Vec<u32>,
    /// Where each one's bits are.
    ranges: Vec<(usize, usize)>,
}

/// What a leaf holds.
pub(crate) enum Leaf<'a> {
    Number(f32),
    Vector(&'a [f32]),
}

impl TreeColumns {
    /// Forgets the tree before.
    pub(crate) fn clear(&mut self) {
        self.left.clear();
        self.right.clear();
        self.feature.clear();
        self.condition.clear();
        self.default_left.clear();
        self.split_type.clear();
        self.category_nodes.clear();
        self.category_starts.clear();
        self.category_counts.clear();
        self.categories.clear();
        self.base_weights.clear();
        self.leaf_weights.clear();
        self.leaf_size = 0;
    }

    /// The number of nodes.
    pub(crate) fn count(&self) -> usize {
        self.left.len()
    }

    /// Whether leaves are vectors.
    pub(crate) fn is_vector(&self) -> bool {
        self.leaf_size > 1
    }

    /// How many numbers the vectors of all leaves may have together.
    pub(crate) fn weights(&self) -> usize {
        self.base_weights.len().max(self.leaf_weights.len())
    }

    /// Makes bits of the sets. Gives the number of words, `most` of which are allowed: a set may be
    /// much larger than what the file says about it.
    pub(crate) fn prepare_sets(&mut self, most: usize) -> Result<usize, String> {
        self.bits.clear();
        self.ranges.clear();
        if !self.category_nodes.is_sorted_by(|a, b| a < b) {
            return Err("categories_nodes is not in ascending order".to_owned());
        }
        let mut unclaimed = self.categories.len();
        for (index, node) in self.category_nodes.iter().enumerate() {
            let start = entry(&self.category_starts, index, "categories_segments")?;
            let count = entry(&self.category_counts, index, "categories_sizes")?;
            let categories = usize::try_from(start)
                .ok()
                .zip(usize::try_from(count).ok())
                .and_then(|(start, count)| self.categories.get(start..start.checked_add(count)?))
                .ok_or("categories_segments leads out of the list of categories")?;
            // Each node has categories of its own. If many could name the same ones, a small file would
            // take long to read.
            unclaimed = unclaimed.checked_sub(categories.len()).ok_or_else(|| {
                format!("up to node {node}, categories_sizes are more than there are categories")
            })?;
            let begin = self.bits.len();
            for &category in categories {
                let category = usize::try_from(category)
                    .ok()
                    .filter(|&category| category < CATEGORIES)
                    .ok_or_else(|| format!("category {category} is not from 0 to 2^24 - 1"))?;
                let place = begin + category / 32;
                if place >= most {
                    return Err(format!(
                        "up to node {node}, its sets of categories are too large"
                    ));
                }
                if place >= self.bits.len() {
                    self.bits.resize(place + 1, 0);
                }
                if let Some(word) = self.bits.get_mut(place) {
                    *word |= 1 << (category % 32);
                }
            }
            self.ranges.push((begin, self.bits.len()));
        }
        Ok(self.bits.len())
    }

    /// A node that is a leaf, or else `None`.
    pub(crate) fn leaf(&self, node: u32) -> Result<Option<Leaf<'_>>, String> {
        let index = node as usize;
        if entry(&self.left, index, "left_children")? != -1 {
            return Ok(None);
        }
        if !self.is_vector() {
            let value = entry(&self.condition, index, "split_conditions")?;
            return Ok(Some(Leaf::Number(value)));
        }
        let (weights, place) = if self.leaf_weights.is_empty() {
            (&self.base_weights, index)
        } else {
            let place = entry(&self.right, index, "right_children")?;
            let place =
                usize::try_from(place).map_err(|_| format!("its leaf is number {place}"))?;
            (&self.leaf_weights, place)
        };
        let size = self.leaf_size as usize;
        let vector = place
            .checked_mul(size)
            .and_then(|start| weights.get(start..start.checked_add(size)?))
            .ok_or("it has no leaf vector")?;
        Ok(Some(Leaf::Vector(vector)))
    }

    /// A node that is no leaf.
    pub(crate) fn branch(&self, node: u32) -> Result<Node<'_, f32>, String> {
        let index = node as usize;
        let child =
            |child: i32| u32::try_from(child).map_err(|_| format!("it has a child number {child}"));
        let missing = match entry(&self.default_left, index, "default_left")? {
            0 => Side::Right,
            _ => Side::Left,
        };
        let test = match self.split_type.get(index) {
            None | Some(0) => Test::Below {
                threshold: entry(&self.condition, index, "split_conditions")?,
                missing: Missing::Nan(missing),
            },
            Some(1) => Test::Among {
                members: self.set(node)?,
                side: Side::Right,
                missing,
                codes: Codes::NonNegative,
            },
            Some(other) => return Err(format!("its split_type is {other}")),
        };
        Ok(Node::Branch(Branch {
            feature: entry(&self.feature, index, "split_indices")?,
            left: child(entry(&self.left, index, "left_children")?)?,
            right: child(entry(&self.right, index, "right_children")?)?,
            test,
        }))
    }

    fn set(&self, node: u32) -> Result<&[u32], String> {
        i32::try_from(node)
            .ok()
            .and_then(|node| self.category_nodes.binary_search(&node).ok())
            .and_then(|index| self.ranges.get(index))
            .and_then(|&(start, end)| self.bits.get(start..end))
            .ok_or_else(|| "it splits on categories, but has none".to_owned())
    }
}

/// A node's entry in one of the columns.
fn entry<T: Copy>(column: &[T], node: usize, name: &str) -> Result<T, String> {
    column
        .get(node)
        .copied()
        .ok_or_else(|| format!("{name} ends before it"))
}
