//! Which of three irises is it? Logistic regression over four measurements of a flower, trained by
//! scikit-learn.

use std::path::Path;

use modelcell_guest::ndarray::{Array1, Array2, Ix1, Ix2};
use modelcell_guest::{Error, Model, Result, export, npy};

/// A linear score per class; softmax turns the scores into probabilities.
pub struct Iris {
    /// A row per feature, a column per class.
    coef: Array2<f64>,
    intercept: Array1<f64>,
}

#[export]
impl Model for Iris {
    /// A flower a row: length and width of its sepals, then of its petals, in centimetres.
    type Input = Array2<f64>;
    /// Probabilities of setosa, versicolor and virginica, in the order of the flowers.
    type Prediction = Array2<f32>;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        let coef = npy::read(model_dir.join("coef.npy"))?.into_dimensionality::<Ix2>()?;
        let intercept = npy::read(model_dir.join("intercept.npy"))?.into_dimensionality::<Ix1>()?;
        if coef.ncols() != intercept.len() {
            return Err(Error::failed(
                "coef.npy and intercept.npy differ in the number of classes",
            ));
        }
        Ok(Self { coef, intercept })
    }

    fn predict_fn(&self, flowers: Array2<f64>) -> Result<Array2<f32>> {
        let (expected, got) = (self.coef.nrows(), flowers.ncols());
        if got != expected {
            return Err(Error::invalid_input(format!(
                "expected {expected} features, got {got}"
            )));
        }
        if !flowers.iter().all(|value| value.is_finite()) {
            return Err(Error::invalid_input(
                "a measurement is missing or not finite",
            ));
        }

        let mut scores = flowers.dot(&self.coef) + &self.intercept;
        for mut row in scores.rows_mut() {
            // Softmax, from the highest score down, so that no exponential overflows.
            let highest = row.fold(f64::NEG_INFINITY, |highest, &score| highest.max(score));
            row.mapv_inplace(|score| (score - highest).exp());
            let total = row.sum();
            row /= total;
        }
        Ok(scores.mapv(|probability| probability as f32))
    }
}

#[cfg(test)]
mod tests;
