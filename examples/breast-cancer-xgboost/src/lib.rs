//! Is a breast tumour benign? Boosted trees over 30 measurements of its cells, trained by XGBoost.
//!
//! The artifact holds the file that XGBoost's own `save_model` writes. [`saved`] reads it into a
//! [`Forest`], which predicts as XGBoost does: in float32, tree after tree.

mod forest;
mod saved;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use modelcell_guest::ndarray::{Array1, Array2};
use modelcell_guest::{Context, Error, Model, Result, export};

pub use forest::Forest;

/// The model: the trees of `model.json`.
pub struct BreastCancer {
    forest: Forest,
}

#[export]
impl Model for BreastCancer {
    /// A tumour a row, with its features in the order of the training data. NaN (an empty cell in
    /// CSV) is a missing value.
    type Input = Array2<f32>;
    /// The probability of a benign tumour, for each row.
    type Prediction = Array1<f32>;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        let file = File::open(model_dir.join("model.json")).context("model.json")?;
        // Each read is a call out of the cell, so they had better be few.
        let file = BufReader::with_capacity(64 << 10, file);
        let forest = saved::read(file).context("model.json")?;
        Ok(Self { forest })
    }

    fn predict_fn(&self, rows: Array2<f32>) -> Result<Array1<f32>> {
        let (expected, got) = (self.forest.features(), rows.ncols());
        if got != expected {
            return Err(Error::invalid_input(format!(
                "expected {expected} features, got {got}"
            )));
        }
        // The trees take a row as a slice. Decoded arrays are stored row after row.
        let values = rows.as_slice().context("the rows are not contiguous")?;
        Ok(values
            .chunks_exact(expected)
            .map(|row| self.forest.probability(row))
            .collect())
    }
}

#[cfg(test)]
mod tests;
