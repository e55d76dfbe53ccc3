//! What a model predicts, before it is written for a caller.

use crate::Float;

/// A model's plain outputs: `values` holds `rows * columns` numbers, row after row.
///
/// One column means one number a row (a probability, say), which formats that tell numbers and
/// lists apart write as a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores<T> {
    /// The number of rows.
    pub rows: usize,
    /// The number of outputs for each row, at least 1.
    pub columns: usize,
    /// The outputs, row after row.
    pub values: Vec<T>,
}

impl<T> Scores<T> {
    /// Outputs, `columns` for each row. Values beyond the last whole row are dropped.
    pub fn new(columns: usize, mut values: Vec<T>) -> Self {
        let columns = columns.max(1);
        let rows = values.len() / columns;
        values.truncate(rows * columns);
        Self {
            rows,
            columns,
            values,
        }
    }

    /// The outputs, one slice a row.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, T> {
        self.values.chunks_exact(self.columns.max(1))
    }
}

/// The place of the first of the highest numbers: of probabilities, the class that is predicted. NaN is
/// none of them, and where there is nothing else the place is 0.
pub fn highest<T: Float>(values: &[T]) -> usize {
    let numbers = (0..).zip(values.iter().copied());
    let first = numbers
        .filter(|(_, value)| value.partial_cmp(value).is_some())
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    first.map_or(0, |(place, _)| place)
}

/// Named outputs, as `SAGEMAKER_INFERENCE_OUTPUT` selects them: each row has one value per key, in
/// the order of the keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected<T> {
    /// The keys, as [`selected_keys`] reads them.
    pub keys: Vec<String>,
    /// For each row, the values of the keys.
    pub rows: Vec<Vec<Value<T>>>,
}

/// The value of a key in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<T> {
    /// The model has no such output. The container writes NaN.
    Missing,
    /// A whole number: a label.
    Whole(i64),
    /// A number.
    Number(T),
    /// Whole numbers: labels.
    Wholes(Vec<i64>),
    /// Numbers: probabilities or raw scores of all classes.
    Numbers(Vec<T>),
}

/// The keys that `SAGEMAKER_INFERENCE_OUTPUT` says, if there are any: set to nothing, or to bare commas,
/// it counts as not set. `setting` finds it by name, in the environment mostly.
pub fn selected_setting(setting: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let keys = selected_keys(&setting("SAGEMAKER_INFERENCE_OUTPUT")?);
    (!keys.is_empty()).then_some(keys)
}

/// The keys in a setting such as `predicted_label, probabilities`, read as the container reads
/// `SAGEMAKER_INFERENCE_OUTPUT`: split at commas, in lower case, without spaces. A repeated key
/// counts once; unknown keys are kept, their values are [`Value::Missing`].
pub fn selected_keys(setting: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for key in setting.split(',') {
        let key = key.replace(' ', "").to_lowercase();
        if !key.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::highest;

    #[test]
    fn the_highest_is_a_number() {
        const NAN: f32 = f32::NAN;
        for (values, place) in [
            (&[0.25, 0.5, 0.5, 0.25][..], 1),
            (&[NAN, -1.0, 0.5, NAN], 2),
            (&[f32::NEG_INFINITY, f32::NEG_INFINITY], 0),
            (&[NAN, NAN], 0),
            (&[], 0),
        ] {
            assert_eq!(highest(values), place, "{values:?}");
        }
    }
}
