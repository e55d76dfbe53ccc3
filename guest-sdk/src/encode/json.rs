//! `application/json`: nested lists.

use ndarray::{ArrayView, Dimension};

use crate::element::Element;

/// The array, which is in standard layout, as nested lists.
pub(super) fn nested<T: Element, D: Dimension>(array: ArrayView<'_, T, D>) -> Vec<u8> {
    let mut out = Vec::with_capacity(array.len().saturating_mul(8));
    write(
        &mut out,
        array.shape(),
        array.as_slice().unwrap_or_default(),
    );
    out
}

fn write<T: Element>(out: &mut Vec<u8>, shape: &[usize], data: &[T]) {
    let Some((&length, inner)) = shape.split_first() else {
        data.iter().for_each(|value| number(out, *value));
        return;
    };
    let size: usize = inner.iter().product();
    out.push(b'[');
    for position in 0..length {
        if position > 0 {
            out.push(b',');
        }
        let start = position * size;
        write(
            out,
            inner,
            data.get(start..start + size).unwrap_or_default(),
        );
    }
    out.push(b']');
}

/// A number with as few digits as read back the same, or `null` if JSON has no word for it.
pub(super) fn number<T: Element>(out: &mut Vec<u8>, value: T) {
    // Writing a number to memory cannot fail.
    let _ = serde_json::to_writer(out, &value);
}
