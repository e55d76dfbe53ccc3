//! NumPy's `.npy` format: arrays in requests and responses, and in a model's own files.
//!
//! ```
//! use modelcell_guest::ndarray::array;
//! use modelcell_guest::npy;
//!
//! let weights = array![[0.5_f32, 1.5], [2.5, 3.5]];
//! let bytes = npy::to_bytes(&weights);
//! assert_eq!(npy::from_bytes::<f64>(&bytes)?.shape(), [2, 2]);
//! # Ok::<(), modelcell_guest::Error>(())
//! ```
//!
//! All of NumPy's numeric types can be read (`f2`, `f4`, `f8`, signed and unsigned integers, bool),
//! in both byte orders, in C and Fortran order, from versions 1 to 3 of the format. Whatever the
//! file holds is converted to the element type asked for; a value that this type cannot hold is an
//! error, rounding a float is not. Pickled objects are never read: unpickling runs code.

mod header;

use std::path::Path;

use ndarray::{Array, ArrayD, Dimension};

use crate::element::{Element, Number};
use crate::tensor::{Tensor, position};
use crate::{Context as _, Error, Result};
use header::{DType, Header, Kind};

/// Reads an array from a file, in row-major order.
///
/// # Errors
/// Failed (not the caller's fault), if the file cannot be read or is not a numeric `.npy`.
pub fn read<T: Element>(path: impl AsRef<Path>) -> Result<ArrayD<T>> {
    let path = path.as_ref();
    let place = path.display();
    let bytes = std::fs::read(path).context(&place)?;
    from_bytes(&bytes).map_err(|error| Error::failed(format_args!("{place}: {error}")))
}

/// Reads an array from bytes, in row-major order.
///
/// # Errors
/// Invalid input, if the bytes are not a numeric `.npy`.
pub fn from_bytes<T: Element>(bytes: &[u8]) -> Result<ArrayD<T>> {
    read_tensor(bytes)?.into_array()
}

/// Writes an array, with its own element type, little-endian and in row-major order.
pub fn to_bytes<T: Element, D: Dimension>(array: &Array<T, D>) -> Vec<u8> {
    let mut bytes = header::write(T::NPY, array.shape());
    bytes.reserve(array.len().saturating_mul(size_of::<T>()));
    // Iteration is in row-major order, however the array lies in memory.
    array.iter().for_each(|value| value.write_le(&mut bytes));
    bytes
}

/// Nothing is allocated before the header's promise has been checked against the body's length.
pub(crate) fn read_tensor<T: Element>(bytes: &[u8]) -> Result<Tensor<T>> {
    let (header, data) = header::read(bytes)
        .map_err(|problem| Error::invalid_input(format_args!("not a readable npy: {problem}")))?;
    let mut values = match (
        header.dtype.kind,
        header.dtype.size,
        header.dtype.big_endian,
    ) {
        // What nearly all arrays hold, without putting each number together byte by byte.
        (Kind::Float, 4, false) => {
            let items = data.as_chunks::<4>().0.iter();
            convert(
                items
                    .map(|&item| f32::from_le_bytes(item).into())
                    .map(Number::Float),
                &header,
            )?
        }
        (Kind::Float, 8, false) => {
            let items = data.as_chunks::<8>().0.iter();
            convert(
                items
                    .map(|&item| f64::from_le_bytes(item))
                    .map(Number::Float),
                &header,
            )?
        }
        (_, size, _) => {
            let items = data.chunks_exact(size);
            convert(items.map(|item| number(item, header.dtype)), &header)?
        }
    };
    if header.fortran_order {
        values = to_row_major(&values, &header.shape);
    }
    Ok(Tensor {
        shape: header.shape,
        data: values,
    })
}

fn convert<T: Element>(
    numbers: impl ExactSizeIterator<Item = Number>,
    header: &Header,
) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(numbers.len());
    for number in numbers {
        let value = T::from_number(number);
        values.push(value.ok_or_else(|| out_of_range::<T>(number, header, values.len()))?);
    }
    Ok(values)
}

fn number(item: &[u8], dtype: DType) -> Number {
    let mut bits: u64 = 0;
    for (place, byte) in item.iter().enumerate() {
        let place = if dtype.big_endian {
            item.len() - 1 - place
        } else {
            place
        };
        bits |= u64::from(*byte) << (8 * place);
    }
    match (dtype.kind, dtype.size) {
        (Kind::Float, 2) => Number::Float(half(bits as u16)),
        (Kind::Float, 4) => Number::Float(f32::from_bits(bits as u32).into()),
        (Kind::Float, _) => Number::Float(f64::from_bits(bits)),
        (Kind::Bool, _) => Number::Uint(u64::from(bits != 0)),
        (Kind::Unsigned, _) => Number::Uint(bits),
        // The sign bit moves to the top and is drawn back down.
        (Kind::Signed, size) => {
            let unused = 64 - 8 * size as u32;
            Number::Int((bits << unused) as i64 >> unused)
        }
    }
}

/// IEEE 754's 16-bit float: 1 sign bit, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2.0_f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
    }
}

/// From column-major order, where the first index runs fastest.
fn to_row_major<T: Element>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut index = vec![0; shape.len()];
    let mut ordered = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let mut offset = 0;
        for (position, length) in index.iter().zip(shape).rev() {
            offset = offset * length + position;
        }
        ordered.extend(values.get(offset));
        for (position, length) in index.iter_mut().zip(shape).rev() {
            *position += 1;
            if *position < *length {
                break;
            }
            *position = 0;
        }
    }
    ordered
}

fn out_of_range<T: Element>(number: Number, header: &Header, offset: usize) -> Error {
    let mut rest = offset;
    let mut place = |length: &usize| {
        let position = rest % length.max(&1) + 1;
        rest /= length.max(&1);
        position
    };
    // The axis that runs fastest is the first in Fortran order, otherwise the last.
    let mut index: Vec<usize> = if header.fortran_order {
        header.shape.iter().map(&mut place).collect()
    } else {
        header.shape.iter().rev().map(&mut place).collect()
    };
    if !header.fortran_order {
        index.reverse();
    }
    let value = number.spell();
    Error::invalid_input(format_args!(
        "{}: expected {}, found {value}",
        position(&index),
        T::NAME
    ))
}

#[cfg(test)]
mod tests;
