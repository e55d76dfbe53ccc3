//! `text/csv`: one line per row.

use ndarray::{ArrayView, Dimension};

use super::json::number;
use crate::element::Element;

/// An array of at most two dimensions, in standard layout. One dimension is a column.
pub(super) fn rows<T: Element, D: Dimension>(array: ArrayView<'_, T, D>) -> Vec<u8> {
    let columns = array.shape().get(1).copied().unwrap_or(1);
    let mut out = Vec::with_capacity(array.len().saturating_mul(8));
    if columns == 0 {
        return out;
    }
    for row in array.as_slice().unwrap_or_default().chunks(columns) {
        for (column, value) in row.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            match value.non_finite() {
                Some(word) => out.extend_from_slice(word.as_bytes()),
                None => number(&mut out, *value),
            }
        }
        out.push(b'\n');
    }
    out
}

/// One text a line. Those that CSV would read differently are quoted; so are empty ones, since many
/// readers skip empty lines.
pub(super) fn texts(texts: &[String]) -> Vec<u8> {
    let mut out = String::new();
    for text in texts {
        if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&text.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(text);
        }
        out.push('\n');
    }
    out.into_bytes()
}
