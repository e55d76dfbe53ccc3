//! What becomes of the sums of the trees: LightGBM's `ConvertOutput`, for each of its objectives.

use modelcell_guest::{Context, Error, Result};

/// From what the trees add up to, to what the caller gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transform {
    /// Nothing is done.
    Identity,
    /// For labels whose roots were learned.
    SignedSquare,
    /// For labels whose logarithms were learned.
    Exponential,
    /// The logistic function, of the sum times this.
    Sigmoid(f64),
    /// Shares of one, over all sums of a row.
    Softmax,
    /// `ln(1 + e^x)`.
    LogOnePlusExponential,
}

/// What a model was trained for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Objective {
    /// LightGBM's own name of it; `custom` if the file has none.
    pub(crate) name: String,
    pub(crate) transform: Transform,
    /// The number of classes that are told apart: 0 if it is no classification.
    pub(crate) classes: usize,
}

impl Objective {
    /// For files without an objective: the sums as they are.
    pub(crate) fn custom() -> Self {
        Self {
            name: "custom".to_owned(),
            transform: Transform::Identity,
            classes: 0,
        }
    }

    /// Reads the value of the header's `objective`: a name and what belongs to it, such as
    /// `binary sigmoid:1`. `outputs` is the number of sums for each row.
    ///
    /// # Errors
    /// If the objective is unknown, or it does not go with so many sums.
    pub(crate) fn parse(value: &str, outputs: usize) -> Result<Self> {
        let mut words = value.split_ascii_whitespace();
        let name = canonical(words.next().unwrap_or_default());
        if name == "custom" {
            return Ok(Self::custom());
        }
        let options = Options(value);
        let transform = transform(name, options)?;
        let classes = match name {
            "binary" => 2,
            "multiclass" | "multiclassova" => options.classes()?,
            _ => 0,
        };
        let expected = if name == "binary" { 1 } else { classes.max(1) };
        if outputs != expected {
            return Err(Error::failed(format_args!(
                "objective {name} needs {expected} trees per iteration, but num_tree_per_iteration is {outputs}"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            transform,
            classes,
        })
    }
}

/// The names that LightGBM takes for the same.
fn canonical(name: &str) -> &str {
    match name {
        "regression_l2"
        | "mean_squared_error"
        | "mse"
        | "l2"
        | "l2_root"
        | "root_mean_squared_error"
        | "rmse" => "regression",
        "mean_absolute_error" | "l1" | "mae" => "regression_l1",
        "softmax" => "multiclass",
        "multiclass_ova" | "ova" | "ovr" => "multiclassova",
        "xentropy" => "cross_entropy",
        "xentlambda" => "cross_entropy_lambda",
        "mean_absolute_percentage_error" => "mape",
        "xendcg" | "xe_ndcg" | "xe_ndcg_mart" | "xendcg_mart" => "rank_xendcg",
        "none" | "null" | "na" => "custom",
        _ => name,
    }
}

fn transform(name: &str, options: Options<'_>) -> Result<Transform> {
    Ok(match name {
        "regression" | "regression_l1" | "fair" | "quantile" | "mape" if options.has("sqrt") => {
            Transform::SignedSquare
        }
        "regression" | "regression_l1" | "fair" | "quantile" | "mape" => Transform::Identity,
        // LightGBM pays no heed to `sqrt` here.
        "huber" | "lambdarank" | "rank_xendcg" => Transform::Identity,
        "poisson" | "gamma" | "tweedie" => Transform::Exponential,
        "binary" | "multiclassova" => Transform::Sigmoid(options.sigmoid()?),
        "cross_entropy" => Transform::Sigmoid(1.0),
        "multiclass" => Transform::Softmax,
        "cross_entropy_lambda" => Transform::LogOnePlusExponential,
        _ => {
            return Err(Error::failed(format_args!(
                "objective {name:?} is unknown: this runtime knows those of LightGBM 3 and 4"
            )));
        }
    })
}

/// The words after the objective's name.
#[derive(Clone, Copy)]
struct Options<'a>(&'a str);

impl<'a> Options<'a> {
    fn words(self) -> impl Iterator<Item = &'a str> {
        self.0.split_ascii_whitespace().skip(1)
    }

    fn has(self, word: &str) -> bool {
        self.words().any(|found| found == word)
    }

    /// The value of `key:value`.
    fn value(self, key: &str) -> Result<&'a str> {
        self.words()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix(':'))
            .context(format!("objective {:?} has no {key}", self.0))
    }

    fn sigmoid(self) -> Result<f64> {
        let sigmoid: f64 = self.value("sigmoid")?.parse().context("sigmoid")?;
        (sigmoid > 0.0 && sigmoid.is_finite())
            .then_some(sigmoid)
            .context(format!("sigmoid is {sigmoid}: it must be above 0"))
    }

    fn classes(self) -> Result<usize> {
        self.value("num_class")?.parse().context("num_class")
    }
}

impl Transform {
    /// Transforms the sums of one row.
    pub(crate) fn apply(self, sums: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::SignedSquare => each(sums, |sum| sum.signum() * sum * sum),
            Self::Exponential => each(sums, f64::exp),
            Self::Sigmoid(slope) => each(sums, |sum| 1.0 / (1.0 + (-slope * sum).exp())),
            Self::Softmax => softmax(sums),
            Self::LogOnePlusExponential => each(sums, |sum| sum.exp().ln_1p()),
        }
    }
}

fn each(sums: &mut [f64], transform: impl Fn(f64) -> f64) {
    for sum in sums {
        *sum = transform(*sum);
    }
}

/// In LightGBM's own order, so that the shares round alike.
fn softmax(sums: &mut [f64]) {
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for sum in sums.iter_mut() {
        *sum = (*sum - largest).exp();
        total += *sum;
    }
    for share in sums {
        *share /= total;
    }
}

#[cfg(test)]
mod tests;
