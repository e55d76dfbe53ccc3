//! What objectives do to a booster's sums, and to the global bias before them.

use modelcell_guest::{Error, Result};
use modelcell_tabular::highest;

use crate::saved::Version;

/// An objective: how sums (margins) become predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    name: String,
    link: Link,
}

/// From margins to predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Identity,
    Logistic,
    Exponential,
    /// 1 if positive, else 0.
    Hinge,
    /// The class with the highest margin.
    Softmax,
    /// A probability for each class.
    Softprob,
    /// A row's margins, in ascending order.
    Sorted,
}

/// From the bias that files hold, a prediction, to a margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bias {
    Identity,
    Logit,
    Logarithm,
}

/// Names, in the order of `XGBoost`'s documentation.
const LINKS: [(&str, Link); 21] = [
    ("reg:squarederror", Link::Identity),
    ("reg:linear", Link::Identity),
    ("reg:squaredlogerror", Link::Identity),
    ("reg:logistic", Link::Logistic),
    ("reg:pseudohubererror", Link::Identity),
    ("reg:absoluteerror", Link::Identity),
    ("reg:quantileerror", Link::Identity),
    ("reg:expectileerror", Link::Identity),
    ("binary:logistic", Link::Logistic),
    ("binary:logitraw", Link::Identity),
    ("binary:hinge", Link::Hinge),
    ("count:poisson", Link::Exponential),
    ("survival:cox", Link::Exponential),
    ("survival:aft", Link::Exponential),
    ("multi:softmax", Link::Softmax),
    ("multi:softprob", Link::Softprob),
    ("rank:pairwise", Link::Identity),
    ("rank:ndcg", Link::Identity),
    ("rank:map", Link::Identity),
    ("reg:gamma", Link::Exponential),
    ("reg:tweedie", Link::Exponential),
];

impl Objective {
    /// The objective of this name.
    ///
    /// # Errors
    /// Failed, if there is none; the text lists all.
    pub(crate) fn new(name: &str, version: Version) -> Result<Self> {
        // So named until XGBoost 1.0, where the processor was part of the name.
        let plain = name.strip_prefix("gpu:").unwrap_or(name);
        let known = LINKS.iter().find(|(known, _)| *known == plain);
        let (name, link) = known.copied().ok_or_else(|| {
            let names: Vec<&str> = LINKS.iter().map(|(name, _)| *name).collect();
            Error::failed(format_args!(
                "no objective {name:?} is known. Known are {}",
                names.join(", ")
            ))
        })?;
        let link = match name {
            // So that quantiles do not cross.
            "reg:quantileerror" if version >= Version([3, 4, 0]) => Link::Sorted,
            _ => link,
        };
        let name = name.to_owned();
        Ok(Self { name, link })
    }

    /// The name, such as `binary:logistic`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there may be several outputs. Several expectiles are made of each other, in a way that
    /// is not known here.
    pub(crate) fn allows(&self, outputs: usize) -> bool {
        outputs == 1 || self.name != "reg:expectileerror"
    }

    /// Whether each output is one class, so that there must be at least two.
    pub(crate) fn has_classes(&self) -> bool {
        matches!(self.link, Link::Softmax | Link::Softprob)
    }

    /// The number of predictions for a row that has so many margins.
    pub(crate) fn predictions(&self, margins: usize) -> usize {
        match self.link {
            Link::Softmax => 1,
            _ => margins,
        }
    }

    /// The margin that stands for a global bias, as this version of `XGBoost` has it.
    pub(crate) fn margin(&self, base_score: f32, version: Version) -> f32 {
        match self.bias(version) {
            Bias::Identity => base_score,
            Bias::Logarithm => base_score.ln(),
            Bias::Logit => {
                const BOUND: f32 = 1e-6;
                let bounded = if version >= Version([3, 2, 0]) {
                    base_score.clamp(BOUND, 1.0 - BOUND)
                } else {
                    base_score
                };
                -(1.0 / bounded - 1.0).ln()
            }
        }
    }

    fn bias(&self, version: Version) -> Bias {
        match self.link {
            Link::Logistic => Bias::Logit,
            Link::Exponential => Bias::Logarithm,
            Link::Identity
                if self.name == "binary:logitraw"
                    && (Version([1, 0, 0])..Version([1, 3, 0])).contains(&version) =>
            {
                Bias::Logit
            }
            _ => Bias::Identity,
        }
    }

    /// Makes predictions of margins, `outputs` for each row.
    pub(crate) fn transform(&self, mut margins: Vec<f32>, outputs: usize) -> Vec<f32> {
        match self.link {
            Link::Identity => {}
            Link::Logistic => map(&mut margins, sigmoid),
            Link::Exponential => map(&mut margins, f32::exp),
            Link::Hinge => map(&mut margins, |margin| f32::from(margin > 0.0)),
            Link::Softprob => margins.chunks_exact_mut(outputs).for_each(softmax),
            Link::Sorted => margins
                .chunks_exact_mut(outputs)
                .for_each(|margins| margins.sort_by(f32::total_cmp)),
            Link::Softmax => {
                let rows = margins.chunks_exact(outputs);
                return rows.map(|margins| highest(margins) as f32).collect();
            }
        }
        margins
    }
}

fn map(values: &mut [f32], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}

/// `XGBoost`'s own expression. Beyond 88.7 the exponential would overflow float32.
fn sigmoid(margin: f32) -> f32 {
    1.0 / ((-margin).min(88.7).exp() + 1.0)
}

/// `XGBoost`'s own order: the sum in float64, the quotient in float32.
fn softmax(margins: &mut [f32]) {
    let highest = margins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for margin in margins.iter_mut() {
        *margin = (*margin - highest).exp();
        sum += f64::from(*margin);
    }
    for margin in margins {
        *margin /= sum as f32;
    }
}
