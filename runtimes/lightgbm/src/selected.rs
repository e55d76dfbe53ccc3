//! Answers by key (`SAGEMAKER_INFERENCE_OUTPUT`): those of SageMaker's XGBoost container, for LightGBM's
//! predictions.

use modelcell_tabular::{Scores, Selected, Value, highest};

/// The values of the keys for each row. Keys that such a model does not have are missing.
pub(crate) fn select(keys: &[String], classes: usize, scores: &Scores<f64>) -> Selected<f64> {
    let values = |row: &[f64]| keys.iter().map(|key| value(key, classes, row)).collect();
    Selected {
        keys: keys.to_vec(),
        rows: scores.iter().map(values).collect(),
    }
}

/// With two classes a row is the probability of the second one, with more a probability for each, and
/// otherwise whatever the model learned. As in the container, raw scores of classes are probabilities.
fn value(key: &str, classes: usize, row: &[f64]) -> Value<f64> {
    match (key, classes, row) {
        ("predicted_score", 0, [score]) => Value::Number(*score),
        ("predicted_score", 0, scores) => Value::Numbers(scores.to_vec()),
        (_, 0, _) => Value::Missing,
        ("labels", ..) => Value::Wholes((0..).take(classes).collect()),
        ("predicted_label", _, [second]) => Value::Whole(i64::from(*second > 0.5)),
        ("predicted_label", _, shares) => Value::Whole(highest(shares) as i64),
        ("probability" | "raw_score", _, [second]) => Value::Number(*second),
        ("probability" | "raw_score", _, shares) => {
            Value::Number(shares.get(highest(shares)).copied().unwrap_or(f64::NAN))
        }
        ("probabilities" | "raw_scores", _, [second]) => {
            Value::Numbers(vec![1.0 - second, *second])
        }
        ("probabilities" | "raw_scores", _, shares) => Value::Numbers(shares.to_vec()),
        _ => Value::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(classes: usize, row: &[f64]) -> Vec<Value<f64>> {
        let keys = "predicted_label,labels,probability,probabilities,raw_score,raw_scores,predicted_score,other";
        let keys = modelcell_tabular::selected_keys(keys);
        let scores = Scores::new(row.len(), row.to_vec());
        let selected = select(&keys, classes, &scores);
        assert_eq!(selected.keys, keys);
        selected.rows.into_iter().flatten().collect()
    }

    #[test]
    fn two_classes() {
        let both = || Value::Numbers(vec![0.25, 0.75]);
        assert_eq!(
            selected(2, &[0.75]),
            [
                Value::Whole(1),
                Value::Wholes(vec![0, 1]),
                Value::Number(0.75),
                both(),
                Value::Number(0.75),
                both(),
                Value::Missing,
                Value::Missing,
            ]
        );
        assert_eq!(selected(2, &[0.5])[0], Value::Whole(0));
    }

    #[test]
    fn several_classes() {
        let all = || Value::Numbers(vec![0.1, 0.45, 0.45]);
        assert_eq!(
            selected(3, &[0.1, 0.45, 0.45]),
            [
                Value::Whole(1),
                Value::Wholes(vec![0, 1, 2]),
                Value::Number(0.45),
                all(),
                Value::Number(0.45),
                all(),
                Value::Missing,
                Value::Missing,
            ]
        );
    }

    #[test]
    fn no_classes() {
        for (row, score) in [
            (&[1.5][..], Value::Number(1.5)),
            (&[1.5, 2.5], Value::Numbers(vec![1.5, 2.5])),
        ] {
            let selected = selected(0, row);
            let missing = |value: &&Value<f64>| **value == Value::Missing;
            assert_eq!(selected.iter().filter(missing).count(), 7);
            assert_eq!(selected[6], score);
        }
    }
}
