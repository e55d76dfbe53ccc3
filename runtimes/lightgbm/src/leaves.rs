//! What the leaves of all trees hold: a number, or a linear model.

use modelcell_guest::{Context, Error, Result};

use crate::lines::list;
use crate::tree::ZERO;

/// The leaves of a model, tree after tree, in the order in which the file has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaves {
    values: Vec<f64>,
    /// The constants of linear models, one for each leaf up to the last that has such a model. In columns,
    /// as all of it: pairs would have gaps between their numbers.
    constants: Vec<f64>,
    /// Where a leaf's terms end. They begin where those of the leaf before end.
    ends: Vec<u32>,
    /// The features of the terms.
    features: Vec<u32>,
    coefficients: Vec<f64>,
}

impl Leaves {
    /// Makes room for this many leaves.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            values: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// The bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
            + size_of_val(self.constants.as_slice())
            + size_of_val(self.ends.as_slice())
            + size_of_val(self.features.as_slice())
            + size_of_val(self.coefficients.as_slice())
    }

    /// Whether there are linear models among them.
    pub(crate) fn are_linear(&self) -> bool {
        !self.constants.is_empty()
    }

    /// Adds a tree's leaves, and says which number the first one has.
    ///
    /// # Errors
    /// If there are more leaves or terms than 32 bits can number.
    pub(crate) fn add(&mut self, values: &[f64], linear: Option<&LinearColumns>) -> Result<u32> {
        let first = u32::try_from(self.values.len()).context("too many leaves")?;
        if let Some(linear) = linear {
            // Trees of numbers may stand before: their leaves have a constant and no terms.
            let numbers = self.values.get(self.constants.len()..);
            self.constants
                .extend_from_slice(numbers.unwrap_or_default());
            let end = u32::try_from(self.features.len()).context("too many terms")?;
            self.ends.resize(self.values.len(), end);
            self.add_linear(linear)?;
        }
        self.values.extend_from_slice(values);
        u32::try_from(self.values.len()).context("too many leaves")?;
        Ok(first)
    }

    fn add_linear(&mut self, columns: &LinearColumns) -> Result<()> {
        let mut end = self.features.len();
        self.constants.extend_from_slice(&columns.constants);
        self.features.extend_from_slice(&columns.features);
        self.coefficients.extend_from_slice(&columns.coefficients);
        for count in &columns.counts {
            end += count;
            self.ends
                .push(u32::try_from(end).context("too many terms")?);
        }
        Ok(())
    }

    /// Gives back memory that is not needed.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.values.shrink_to_fit();
        self.constants.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.features.shrink_to_fit();
        self.coefficients.shrink_to_fit();
    }

    /// A leaf's number.
    #[inline]
    pub(crate) fn value(&self, leaf: u32) -> f64 {
        self.values.get(leaf as usize).copied().unwrap_or(f64::NAN)
    }

    /// What a leaf gives for a row: what its linear model gives or, if it has none or a value that the
    /// model needs is missing, its number.
    pub(crate) fn output(&self, leaf: u32, row: &[f64]) -> f64 {
        let at = leaf as usize;
        let (Some(&constant), Some(&end)) = (self.constants.get(at), self.ends.get(at)) else {
            return self.value(leaf);
        };
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let terms = start.map_or(0, |&start| start as usize)..end as usize;
        let features = self.features.get(terms.clone()).unwrap_or_default();
        let coefficients = self.coefficients.get(terms).unwrap_or_default();
        let mut output = constant;
        for (&feature, coefficient) in features.iter().zip(coefficients) {
            let value = row.get(feature as usize).copied().unwrap_or(f64::NAN);
            if value.is_nan() {
                return self.value(leaf);
            }
            // What is nearly zero never reaches LightGBM's trees.
            let value = if value.abs() <= ZERO { 0.0 } else { value };
            output += coefficient * value;
        }
        output
    }
}

/// The linear models of a tree's leaves, as a file has them.
#[derive(Debug, Default)]
pub(crate) struct LinearColumns {
    constants: Vec<f64>,
    /// How many terms each leaf has.
    counts: Vec<usize>,
    /// The features of all terms, leaf after leaf.
    features: Vec<u32>,
    coefficients: Vec<f64>,
}

impl LinearColumns {
    /// Reads the lines of a tree with this many leaves.
    pub(crate) fn read(
        &mut self,
        leaves: usize,
        features: u32,
        leaf_const: &[u8],
        num_features: &[u8],
        leaf_features: &[u8],
        leaf_coeff: &[u8],
    ) -> Result<()> {
        list(&mut self.constants, "leaf_const", leaf_const, leaves)?;
        list(&mut self.counts, "num_features", num_features, leaves)?;
        let mut counts = self.counts.iter();
        let terms = counts
            .try_fold(0, |sum: usize, &count| sum.checked_add(count))
            .context("num_features add up to too many")?;
        list(&mut self.features, "leaf_features", leaf_features, terms)?;
        list(&mut self.coefficients, "leaf_coeff", leaf_coeff, terms)?;
        match self.features.iter().find(|&&feature| feature >= features) {
            None => Ok(()),
            Some(feature) => Err(Error::failed(format_args!(
                "leaf_features names feature {feature}, but there are {features} (the first is 0)"
            ))),
        }
    }
}
