//! Plain scores as CSV, JSON and JSON lines.

use super::Style;
use crate::{Float, Scores};

/// See [`Style`]. In batches each row has its line, in whichever style its outputs are.
pub(super) fn csv<T: Float>(scores: &Scores<T>, style: Style, batch: bool) -> Vec<u8> {
    let mut out = with_room_for(scores);
    let lines = batch || style != Style::MultiModel;
    for (index, row) in scores.iter().enumerate() {
        if index > 0 {
            out.push(if lines { b'\n' } else { b',' });
        }
        match (row, style) {
            ([single], _) => cell(&mut out, *single),
            (row, Style::SingleModel | Style::Plain) => cells(&mut out, row, b","),
            (row, Style::MultiModel) => python_list(&mut out, row),
        }
    }
    if lines && scores.rows > 0 {
        out.push(b'\n');
    }
    out
}

/// See [`Style`].
pub(super) fn json<T: Float>(scores: &Scores<T>, style: Style) -> Vec<u8> {
    let mut out = with_room_for(scores);
    match style {
        Style::MultiModel | Style::Plain => {
            out.push(b'[');
            for (index, row) in scores.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json_row(&mut out, row);
            }
            out.push(b']');
        }
        Style::SingleModel => {
            out.extend_from_slice(br#"{"predictions":["#);
            for (index, row) in scores.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json_object(&mut out, row);
            }
            out.extend_from_slice(b"]}");
        }
    }
    out
}

/// An object a line.
pub(super) fn json_lines<T: Float>(scores: &Scores<T>) -> Vec<u8> {
    let mut out = with_room_for(scores);
    for row in scores.iter() {
        json_object(&mut out, row);
        out.push(b'\n');
    }
    out
}

fn with_room_for<T>(scores: &Scores<T>) -> Vec<u8> {
    Vec::with_capacity(scores.values.len().saturating_mul(12) + 32)
}

fn json_object<T: Float>(out: &mut Vec<u8>, row: &[T]) {
    out.extend_from_slice(br#"{"score":"#);
    json_row(out, row);
    out.push(b'}');
}

fn json_row<T: Float>(out: &mut Vec<u8>, row: &[T]) {
    match row {
        [single] => number(out, single),
        row => number(out, row),
    }
}

/// Anything of numbers as JSON, the ones that are not finite as `null`.
pub(super) fn number<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing numbers to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// A number in CSV: `nan` and `inf` are spelt as Python spells them.
pub(super) fn cell<T: Float>(out: &mut Vec<u8>, value: T) {
    match value.not_finite() {
        Some(word) => out.extend_from_slice(word.as_bytes()),
        None => number(out, &value),
    }
}

fn cells<T: Float>(out: &mut Vec<u8>, row: &[T], separator: &[u8]) {
    for (index, value) in row.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        cell(out, *value);
    }
}

/// A list as Python prints it: `[0.1, 0.9]`.
pub(super) fn python_list<T: Float>(out: &mut Vec<u8>, row: &[T]) {
    out.push(b'[');
    cells(out, row, b", ");
    out.push(b']');
}
