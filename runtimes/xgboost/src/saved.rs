//! What a model file says, whatever its format: [`document`] reads JSON and UBJSON, [`binary`] the
//! older format.

pub(crate) mod binary;
pub(crate) mod document;
pub(crate) mod tree;
pub(crate) mod trees;

use modelcell_guest::{Error, Result};

use trees::TreesBuilder;

/// The parts of a model that matter for prediction, as far as they have been read.
#[derive(Default)]
pub(crate) struct Saved {
    /// The version of `XGBoost` that wrote it, as far as the file says.
    pub(crate) version: Version,
    /// The objective's name.
    pub(crate) objective: Option<String>,
    /// The global bias, with one entry or one for each output.
    pub(crate) base_score: Vec<f32>,
    /// Whether the bias is a margin already. Files of `XGBoost` before 1.0 have it so.
    pub(crate) base_is_margin: bool,
    pub(crate) features: Option<u32>,
    /// 0 unless the objective has classes.
    pub(crate) classes: u32,
    /// 0 or 1 unless there are several.
    pub(crate) targets: u32,
    /// The booster's name: gbtree, dart or gblinear.
    pub(crate) booster: Option<String>,
    /// The trees, if the booster has any.
    pub(crate) trees: TreesBuilder,
    /// What dart multiplies each tree's leaves by.
    pub(crate) tree_weights: Vec<f32>,
    /// gblinear's weights: for each feature one per output, then the biases.
    pub(crate) weights: Option<Vec<f32>>,
    /// How many trees per output early stopping left. Counts in files of `XGBoost` before 2.0 only.
    pub(crate) best_trees: Option<u32>,
}

/// A version of `XGBoost`; of what the file does not say, 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 3]);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The most outputs that a model may have, since each request's answer has room for all.
const OUTPUTS: u32 = 1 << 20;

impl Saved {
    /// The number of outputs of a row before the objective makes predictions of them.
    pub(crate) fn outputs(&self) -> Result<usize> {
        match self.classes.max(self.targets).max(1) {
            outputs @ ..=OUTPUTS => Ok(outputs as usize),
            outputs => Err(Error::failed(format_args!(
                "it has {outputs} classes or targets, more than {OUTPUTS}"
            ))),
        }
    }
}

/// The numbers of a text such as `5E-1` or `[5E-1,2E0]`.
fn base_score(text: &str) -> Result<Vec<f32>> {
    let numbers: Option<Vec<f32>> = text
        .trim_matches(['[', ']', '(', ')'])
        .split(',')
        .map(|number| number.trim().parse().ok())
        .collect();
    numbers.ok_or_else(|| Error::failed(format_args!("base_score is {text:?}, not a number")))
}

/// The error of a file that leaves something out.
pub(crate) fn missing(what: &str) -> Error {
    Error::failed(format_args!("{what} is missing"))
}
