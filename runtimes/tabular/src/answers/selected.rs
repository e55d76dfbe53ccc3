//! Selected outputs as CSV, JSON and JSON lines.

use super::text::{cell, number, python_list};
use crate::{Float, Selected, Value};

/// A line for each row, without a newline after the last one unless it is a batch.
pub(super) fn csv<T: Float>(selected: &Selected<T>, batch: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, row) in selected.rows.iter().enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        for (column, value) in row.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            csv_value(&mut out, value);
        }
    }
    if batch {
        out.push(b'\n');
    }
    out
}

/// Lists are in quotes, because they hold commas.
fn csv_value<T: Float>(out: &mut Vec<u8>, value: &Value<T>) {
    match value {
        Value::Missing => out.extend_from_slice(b"nan"),
        Value::Whole(value) => number(out, value),
        Value::Number(value) => cell(out, *value),
        Value::Wholes(values) => {
            out.extend_from_slice(b"\"[");
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                number(out, value);
            }
            out.extend_from_slice(b"]\"");
        }
        Value::Numbers(values) => {
            out.push(b'"');
            python_list(out, values);
            out.push(b'"');
        }
    }
}

/// `{"predictions":[...]}`, with an object for each row.
pub(super) fn json<T: Float>(selected: &Selected<T>) -> Vec<u8> {
    let mut out = br#"{"predictions":["#.to_vec();
    for (index, row) in selected.rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        object(&mut out, &selected.keys, row);
    }
    out.extend_from_slice(b"]}");
    out
}

/// An object a line.
pub(super) fn json_lines<T: Float>(selected: &Selected<T>) -> Vec<u8> {
    let mut out = Vec::new();
    for row in &selected.rows {
        object(&mut out, &selected.keys, row);
        out.push(b'\n');
    }
    out
}

fn object<T: Float>(out: &mut Vec<u8>, keys: &[String], row: &[Value<T>]) {
    out.push(b'{');
    for (index, (key, value)) in keys.iter().zip(row).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        number(out, key);
        out.push(b':');
        match value {
            Value::Missing => out.extend_from_slice(b"null"),
            Value::Whole(value) => number(out, value),
            Value::Number(value) => number(out, value),
            Value::Wholes(values) => number(out, values),
            Value::Numbers(values) => number(out, values),
        }
    }
    out.push(b'}');
}
