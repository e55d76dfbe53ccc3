//! Trees, laid out for the walk.

use std::ops::{AddAssign, DivAssign};

use tract_onnx::tract_hir::internal::*;

use crate::ops::kernel::Fact;
use crate::ops::values::{cast, expect_numbers, matrix_shape, refused, values};

/// What a branch asks: whether the feature is at most the threshold, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    AtMost,
    Less,
    AtLeast,
    Greater,
    Equal,
    NotEqual,
}

impl Mode {
    const ALL: [Self; 6] = [
        Self::AtMost,
        Self::Less,
        Self::AtLeast,
        Self::Greater,
        Self::Equal,
        Self::NotEqual,
    ];

    /// By ONNX's name for it.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "BRANCH_LEQ" => Self::AtMost,
            "BRANCH_LT" => Self::Less,
            "BRANCH_GTE" => Self::AtLeast,
            "BRANCH_GT" => Self::Greater,
            "BRANCH_EQ" => Self::Equal,
            "BRANCH_NEQ" => Self::NotEqual,
            _ => return None,
        })
    }

    /// By the number that version 5 of TreeEnsemble has for it.
    pub(super) fn by_number(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// The type of thresholds: that of the features that they are compared with. Weights have it too, and
/// are summed up in it.
pub(super) trait Threshold:
    Datum + Copy + PartialOrd + Into<f64> + AddAssign + DivAssign
{
    fn from_f64(value: f64) -> Self;
    fn is_missing(self) -> bool;
}

impl Threshold for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }

    fn is_missing(self) -> bool {
        self.is_nan()
    }
}

impl Threshold for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }

    fn is_missing(self) -> bool {
        self.is_nan()
    }
}

/// A leaf's contribution to a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weight<T> {
    pub(super) target: u32,
    pub(super) value: T,
}

/// A node of a tree. "Yes" leads to the node after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<T> {
    kind: Kind,
    /// A branch's way for "no", or where a leaf's weights begin.
    to: u32,
    /// The threshold of a branch.
    threshold: T,
}

/// A branch's feature, or the number of a leaf's weights; then a bit that says whether a missing value
/// is a "yes"; then three bits for the [`Mode`], or [`LEAF`].
#[derive(Debug, Clone, Copy)]
struct Kind(u32);

const LEAF: u32 = 7;

impl Kind {
    fn is_leaf(self) -> bool {
        self.0 & 7 == LEAF
    }

    /// The feature, or the number of weights.
    fn number(self) -> usize {
        (self.0 >> 4) as usize
    }
}

impl<T: Threshold> Node<T> {
    /// What a feature's number and a leaf's number of weights are below.
    pub(super) const LIMIT: u32 = 1 << 28;

    pub(super) fn branch(mode: Mode, feature: u32, threshold: T, missing_is_true: bool) -> Self {
        let kind = feature << 4 | u32::from(missing_is_true) << 3 | mode as u32;
        Self {
            kind: Kind(kind),
            to: 0,
            threshold,
        }
    }

    pub(super) fn leaf(start: u32, weights: u32) -> Self {
        Self {
            kind: Kind(weights << 4 | LEAF),
            to: start,
            threshold: T::from_f64(0.0),
        }
    }

    pub(super) fn lead_to(&mut self, node: u32) {
        self.to = node;
    }
}

/// The trees of an ensemble.
///
/// Whoever builds one sees to it that both ways from a branch lead forward. A walk then ends, whatever
/// the row.
#[derive(Debug)]
pub(super) struct Forest<T> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) weights: Vec<Weight<T>>,
    /// Where each tree begins.
    pub(super) roots: Vec<u32>,
    /// The number of features that a row needs.
    pub(super) features: usize,
}

impl<T> Default for Forest<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            weights: Vec::new(),
            roots: Vec::new(),
            features: 0,
        }
    }
}

impl<T: Threshold> Forest<T> {
    /// Calls `each` with what each tree says about a row.
    ///
    /// The features may be wider than the thresholds: they are compared as the features are.
    pub(super) fn walk<V: Threshold>(&self, row: &[V], mut each: impl FnMut(&[Weight<T>]))
    where
        T: Into<V>,
    {
        for root in &self.roots {
            each(self.leaf(*root, row));
        }
    }

    fn leaf<V: Threshold>(&self, root: u32, row: &[V]) -> &[Weight<T>]
    where
        T: Into<V>,
    {
        let mut at = root as usize;
        while let Some(node) = self.nodes.get(at) {
            if node.kind.is_leaf() {
                let start = node.to as usize;
                let range = start..start + node.kind.number();
                return self.weights.get(range).unwrap_or_default();
            }
            let Some(value) = row.get(node.kind.number()) else {
                break;
            };
            at = if answer(node.kind, *value, node.threshold.into()) {
                at + 1
            } else {
                node.to as usize
            };
        }
        &[]
    }

    /// Sums up what the trees say about each row, and calls `each` with the sums.
    pub(super) fn sum(
        &self,
        input: &Tensor,
        add: impl Fn(&mut [T], &[Weight<T>]),
        start: &[T],
        mut each: impl FnMut(&mut [T]),
    ) -> TractResult<usize> {
        let (rows, columns) = matrix_shape(input)?;
        if columns < self.features || columns == 0 {
            return Err(refused(format_args!(
                "its trees ask for {} features, and got {columns}",
                self.features
            )));
        }
        let mut sums = start.to_vec();
        let mut restart = |sums: &mut [T]| {
            each(sums);
            sums.copy_from_slice(start);
        };
        // 64-bit features stay what they are.
        if input.datum_type() == f64::datum_type() {
            for row in values::<f64>(input)?.chunks_exact(columns) {
                self.walk(row, |weights| add(&mut sums, weights));
                restart(&mut sums);
            }
            return Ok(rows);
        }
        for row in values::<T>(&*cast::<T>(input)?)?.chunks_exact(columns) {
            self.walk::<T>(row, |weights| add(&mut sums, weights));
            restart(&mut sums);
        }
        Ok(rows)
    }
}

#[inline]
fn answer<T: Threshold>(kind: Kind, value: T, threshold: T) -> bool {
    const LESS: u32 = Mode::Less as u32;
    const AT_LEAST: u32 = Mode::AtLeast as u32;
    const GREATER: u32 = Mode::Greater as u32;
    const EQUAL: u32 = Mode::Equal as u32;
    const NOT_EQUAL: u32 = Mode::NotEqual as u32;
    let compared = match kind.0 & 7 {
        LESS => value < threshold,
        AT_LEAST => value >= threshold,
        GREATER => value > threshold,
        EQUAL => value == threshold,
        NOT_EQUAL => value != threshold,
        _ => value <= threshold,
    };
    compared || (kind.0 & 8 != 0 && value.is_missing())
}

/// A forest with the thresholds of a model in 32 or 64 bits.
#[derive(Debug)]
pub(super) enum Trees {
    Narrow(Forest<f32>),
    Wide(Forest<f64>),
}

impl Trees {
    /// The number of features that a row needs.
    pub(super) fn features(&self) -> usize {
        match self {
            Self::Narrow(forest) => forest.features,
            Self::Wide(forest) => forest.features,
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Narrow(forest) => forest.roots.len(),
            Self::Wide(forest) => forest.roots.len(),
        }
    }

    /// Fails unless the trees can be asked about this input; otherwise the number of its rows.
    pub(super) fn check(&self, inputs: &[Fact]) -> TractResult<TDim> {
        let [input] = inputs else {
            bail!("it takes one input");
        };
        expect_numbers(input.kind)?;
        match input.columns() {
            Some(columns) if columns < self.features() => bail!(
                "its trees ask for feature {}, and its input has {columns}",
                self.features()
            ),
            _ => Ok(input.rows()),
        }
    }
}

/// Adds a leaf's weights to the sums.
pub(super) fn add<T: Threshold>(sums: &mut [T], weights: &[Weight<T>]) {
    for weight in weights {
        if let Some(sum) = sums.get_mut(weight.target as usize) {
            *sum += weight.value;
        }
    }
}
