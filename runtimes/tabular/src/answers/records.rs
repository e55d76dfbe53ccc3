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

/// A label for each key. All of them are 32-bit floats, as the container writes them, labels of classes
/// too: those count classes, which are far fewer than what such a float holds exactly.
pub(super) fn selected<T: Float>(selected: &Selected<T>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut record = Vec::new();
    for row in &selected.rows {
        record.clear();
        for (key, value) in selected.keys.iter().zip(row) {
            put_label(&mut record, key, &numbers(value));
        }
        recordio::write(&mut out, &record);
    }
    out
}

fn numbers<T: Float>(value: &Value<T>) -> Vec<f32> {
    match value {
        Value::Missing => vec![f32::NAN],
        Value::Whole(value) => vec![*value as f32],
        Value::Number(value) => vec![value.to_f32()],
        Value::Wholes(values) => values.iter().map(|&value| value as f32).collect(),
        Value::Numbers(values) => values.iter().map(|value| value.to_f32()).collect(),
    }
}
