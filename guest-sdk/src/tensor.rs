//! What every decoder produces: numbers in row-major order, and their shape.

use ndarray::{Array1, Array2, ArrayD, IxDyn};

use crate::accept::list;
use crate::element::Element;
use crate::{Error, Result};

/// `data` holds as many elements as the product of `shape`; the decoders see to that.
#[derive(Debug, PartialEq)]
pub(crate) struct Tensor<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<T>,
}

impl<T: Element> Tensor<T> {
    /// One row: a flat list, or a single row or column.
    pub(crate) fn into_array1(self) -> Result<Array1<T>> {
        match *self.shape.as_slice() {
            [_] | [1, _] | [_, 1] => Ok(Array1::from_vec(self.data)),
            _ => Err(self.wrong_shape("one row of numbers")),
        }
    }

    /// Rows; a flat list is one row.
    pub(crate) fn into_array2(self) -> Result<Array2<T>> {
        let shape = match *self.shape.as_slice() {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => return Err(self.wrong_shape("rows of numbers")),
        };
        Array2::from_shape_vec(shape, self.data).map_err(invalid)
    }

    /// Whatever shape came.
    pub(crate) fn into_array(self) -> Result<ArrayD<T>> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.data).map_err(invalid)
    }

    fn wrong_shape(&self, expected: &str) -> Error {
        Error::invalid_input(format_args!(
            "expected {expected}, found {}",
            describe(&self.shape)
        ))
    }
}

fn invalid(error: ndarray::ShapeError) -> Error {
    Error::invalid_input(error)
}

/// `an array of shape (2, 3)`.
fn describe(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "a single number".to_owned();
    }
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("an array of shape ({})", sizes.join(", "))
}

/// Where an element is, counted from 1. A flat list is a row.
pub(crate) fn position(index: &[usize]) -> String {
    match index {
        [] => "the input".to_owned(),
        [column] => format!("row 1, column {column}"),
        [row, column] => format!("row {row}, column {column}"),
        [row, inner @ ..] => {
            let inner: Vec<String> = inner.iter().map(usize::to_string).collect();
            format!("row {row}, element ({})", inner.join(", "))
        }
    }
}

/// The content types that arrays are read from and written to, the default first.
pub(crate) const FORMATS: [&str; 3] = ["application/json", "text/csv", "application/x-npy"];

/// [`FORMATS`] for an error's text.
pub(crate) fn formats() -> String {
    list(&FORMATS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize]) -> Tensor<f32> {
        let data = vec![1.0; shape.iter().product()];
        Tensor {
            shape: shape.to_vec(),
            data,
        }
    }

    #[test]
    fn one_dimension_takes_a_row_or_a_column() {
        for shape in [&[3][..], &[1, 3], &[3, 1]] {
            assert_eq!(tensor(shape).into_array1().unwrap().len(), 3);
        }
        let error = tensor(&[2, 3]).into_array1().unwrap_err();
        assert_eq!(
            error.message(),
            "expected one row of numbers, found an array of shape (2, 3)"
        );
    }

    #[test]
    fn two_dimensions_take_a_flat_list_as_a_row() {
        assert_eq!(tensor(&[3]).into_array2().unwrap().dim(), (1, 3));
        assert_eq!(tensor(&[2, 3]).into_array2().unwrap().dim(), (2, 3));
        let error = tensor(&[]).into_array2().unwrap_err();
        assert_eq!(
            error.message(),
            "expected rows of numbers, found a single number"
        );
        assert_eq!(tensor(&[1, 2, 3]).into_array2().unwrap_err().status(), 400);
        assert_eq!(tensor(&[1, 2, 3]).into_array().unwrap().shape(), [1, 2, 3]);
    }

    #[test]
    fn positions() {
        assert_eq!(position(&[3]), "row 1, column 3");
        assert_eq!(position(&[2, 3]), "row 2, column 3");
        assert_eq!(position(&[2, 3, 4]), "row 2, element (3, 4)");
    }
}
