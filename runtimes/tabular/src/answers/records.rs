//! Predictions as recordio-protobuf: a record for each row, whose labels hold them.

use crate::record::put_label;
use crate::{Float, Scores, Selected, Value, recordio};

/// The outputs under the name that SageMaker's own algorithms use.
pub(super) fn scores<T: Float>(scores: &Scores<T>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut record = Vec::new();
    for row in scores.iter() {
        record.clear();
        put_label(&mut record, "score", row);
        recordio::write(&mut out, &record);
    }
    out
}

/// A label for each key. Labels of classes are floats too, as the container writes them.
pub(super) fn selected<T: Float>(selected: &Selected<T>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut record = Vec::new();
    for row in &selected.rows {
        record.clear();
        for (key, value) in selected.keys.iter().zip(row) {
            put_value(&mut record, key, value);
        }
        recordio::write(&mut out, &record);
    }
    out
}

fn put_value<T: Float>(record: &mut Vec<u8>, key: &str, value: &Value<T>) {
    // Labels count classes, which are far fewer than what an f32 holds exactly.
    let whole = |value: &i64| T::narrow(*value as f64).unwrap_or(T::NAN);
    match value {
        Value::Missing => put_label(record, key, &[T::NAN]),
        Value::Whole(value) => put_label(record, key, &[whole(value)]),
        Value::Number(value) => put_label(record, key, &[*value]),
        Value::Wholes(values) => {
            let values: Vec<T> = values.iter().map(whole).collect();
            put_label(record, key, &values);
        }
        Value::Numbers(values) => put_label(record, key, values),
    }
}
