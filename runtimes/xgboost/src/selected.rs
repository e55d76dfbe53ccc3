//! Answers by key (`SAGEMAKER_INFERENCE_OUTPUT`), as SageMaker's XGBoost container computes them.

use modelcell_guest::{Error, Result};
use modelcell_tabular::{Scores, Selected, Value, highest};

use crate::Booster;

/// What a row's predictions are, as far as keys are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A number: the regressions that the container knows.
    Score,
    /// The probability of class 1.
    Logistic,
    /// The margin of class 1.
    Margin,
    /// Class 0 or 1.
    Hinge,
    /// A class.
    Class,
    /// A probability for each class.
    Probabilities,
}

impl Kind {
    fn of(objective: &str) -> Option<Self> {
        Some(match objective {
            "reg:squarederror" | "reg:logistic" | "reg:gamma" | "reg:absoluteerror"
            | "reg:tweedie" => Self::Score,
            "binary:logistic" => Self::Logistic,
            "binary:logitraw" => Self::Margin,
            "binary:hinge" => Self::Hinge,
            "multi:softmax" => Self::Class,
            "multi:softprob" => Self::Probabilities,
            _ => return None,
        })
    }
}

/// The values of the keys for each row. Keys that the objective does not have are missing.
///
/// # Errors
/// Failed, if the container knows no keys for this objective.
pub(crate) fn select(
    keys: &[String],
    booster: &Booster,
    scores: &Scores<f32>,
) -> Result<Selected<f64>> {
    let objective = booster.objective().name();
    let kind = Kind::of(objective).ok_or_else(|| {
        Error::failed(format_args!(
            "SAGEMAKER_INFERENCE_OUTPUT is set, but objective {objective} has no selectable outputs"
        ))
    })?;
    let rows = scores
        .iter()
        .map(|row| {
            let values = keys
                .iter()
                .map(|key| value(key, kind, booster.classes(), row));
            values.collect()
        })
        .collect();
    let keys = keys.to_vec();
    Ok(Selected { keys, rows })
}

/// In float64, as the container computes: 1 less a probability then has all its digits.
fn value(key: &str, kind: Kind, classes: usize, row: &[f32]) -> Value<f64> {
    let first = row.first().copied().unwrap_or(f32::NAN);
    let number = f64::from(first);
    match (key, kind) {
        ("predicted_score", Kind::Score) => match row {
            [_] => Value::Number(number),
            several => Value::Numbers(wide(several)),
        },
        (_, Kind::Score) => Value::Missing,
        ("predicted_label", Kind::Logistic) => Value::Whole(i64::from(first > 0.5)),
        ("predicted_label", Kind::Margin) => Value::Whole(i64::from(first > 0.0)),
        ("predicted_label", Kind::Probabilities) => Value::Whole(highest(row) as i64),
        ("predicted_label", Kind::Hinge | Kind::Class) => Value::Number(number),
        ("labels", _) => Value::Wholes((0..).take(classes).collect()),
        ("probability" | "raw_score", Kind::Probabilities) => {
            Value::Number(f64::from(row.iter().copied().fold(f32::NAN, f32::max)))
        }
        ("probabilities" | "raw_scores", Kind::Probabilities) => Value::Numbers(wide(row)),
        ("probability", Kind::Logistic) | ("raw_score", _) => Value::Number(number),
        ("probabilities", Kind::Logistic) | ("raw_scores", _) => {
            Value::Numbers(vec![1.0 - number, number])
        }
        _ => Value::Missing,
    }
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().copied().map(f64::from).collect()
}
