//! The head of a model file: what holds for all trees.

use modelcell_guest::{Context, Error, Result};

use crate::lines::{Lines, key_value, number, quote};
use crate::objective::Objective;

/// What the lines before the first tree say.
#[derive(Debug)]
pub(crate) struct Header {
    /// The version of the file format: `v3` (LightGBM 2.3 to 3) or `v4`.
    pub(crate) version: String,
    /// The number of sums for each row: trees take turns at them.
    pub(crate) outputs: usize,
    /// The number of features of a row.
    pub(crate) features: u32,
    pub(crate) objective: Objective,
    /// The trees' average is the result, and not their sum: a random forest.
    pub(crate) averaged: bool,
    /// The number of trees that the file says it has.
    pub(crate) trees: Option<usize>,
}

/// The lines that matter for prediction, unread.
#[derive(Default)]
struct Text<'a> {
    version: Option<&'a [u8]>,
    num_class: Option<&'a [u8]>,
    num_tree_per_iteration: Option<&'a [u8]>,
    max_feature_idx: Option<&'a [u8]>,
    objective: Option<&'a [u8]>,
    feature_names: Option<&'a [u8]>,
    tree_sizes: Option<&'a [u8]>,
    average_output: bool,
}

impl Header {
    /// Reads the first block of a file.
    ///
    /// # Errors
    /// If what every file of LightGBM 3 and 4 has is missing or wrong.
    pub(crate) fn read(block: &[u8]) -> Result<Self> {
        let mut lines = Lines::new(block);
        if lines.next() != Some(b"tree") {
            return Err(Error::failed(
                "this is no model that LightGBM saved as text: its first line is not \"tree\"",
            ));
        }
        Text::read(lines).check()
    }

    /// Whether a file with this header can have so many trees.
    pub(crate) fn check_trees(&self, trees: usize) -> Result<()> {
        if trees == 0 {
            return Err(Error::failed("the model has no trees"));
        }
        if let Some(promised) = self.trees.filter(|&promised| promised != trees) {
            return Err(Error::failed(format_args!(
                "tree_sizes is about {promised} trees, but there are {trees}"
            )));
        }
        let outputs = self.outputs;
        if !trees.is_multiple_of(outputs) {
            return Err(Error::failed(format_args!(
                "{trees} trees are no whole number of iterations: num_tree_per_iteration is {outputs}"
            )));
        }
        Ok(())
    }
}

impl<'a> Text<'a> {
    fn read(lines: Lines<'a>) -> Self {
        let mut text = Self::default();
        for line in lines {
            let (key, value) = key_value(line);
            let place = match key {
                b"version" => &mut text.version,
                b"num_class" => &mut text.num_class,
                b"num_tree_per_iteration" => &mut text.num_tree_per_iteration,
                b"max_feature_idx" => &mut text.max_feature_idx,
                b"objective" => &mut text.objective,
                b"feature_names" => &mut text.feature_names,
                b"tree_sizes" => &mut text.tree_sizes,
                b"average_output" => {
                    text.average_output = true;
                    continue;
                }
                // The label's column, the features' ranges, constraints of the training.
                _ => continue,
            };
            *place = Some(value);
        }
        text
    }

    fn check(self) -> Result<Header> {
        let version = self.version()?;
        let features = self.features()?;
        let outputs = self
            .num_tree_per_iteration
            .or(self.num_class)
            .context("the header has no num_class")?;
        let outputs = number::<u32>("num_tree_per_iteration", outputs)?;
        if outputs == 0 {
            return Err(Error::failed("num_tree_per_iteration is 0"));
        }
        let outputs = outputs as usize;
        let objective = match self.objective {
            Some(value) => Objective::parse(str::from_utf8(value).context("objective")?, outputs)?,
            None => Objective::custom(),
        };
        Ok(Header {
            version,
            outputs,
            features,
            objective,
            averaged: self.average_output,
            trees: self.tree_sizes.map(words),
        })
    }

    fn version(&self) -> Result<String> {
        match self.version {
            Some(b"v3") => Ok("v3".to_owned()),
            Some(b"v4") => Ok("v4".to_owned()),
            found => Err(Error::failed(format_args!(
                "the version is {}, and this runtime reads v3 and v4: load the file with LightGBM 3 or 4 and save it again",
                quote(found.unwrap_or(b"missing"))
            ))),
        }
    }

    /// The number of features, as LightGBM checks it.
    fn features(&self) -> Result<u32> {
        let last = self
            .max_feature_idx
            .context("the header has no max_feature_idx")?;
        let last = number::<u32>("max_feature_idx", last)?;
        let names = words(
            self.feature_names
                .context("the header has no feature_names")?,
        );
        match last.checked_add(1) {
            Some(features) if features as usize == names => Ok(features),
            _ => Err(Error::failed(format_args!(
                "max_feature_idx is {last}, but there are {names} feature_names"
            ))),
        }
    }
}

fn words(list: &[u8]) -> usize {
    let words = list.split(|&byte| byte == b' ');
    words.filter(|word| !word.is_empty()).count()
}
