//! From a request to arrays: the `input_fn` of models that write none.

pub(crate) mod csv;
mod json;

use ndarray::{Array1, Array2, ArrayD};

use crate::element::Element;
use crate::tensor::{Tensor, formats};
use crate::{Error, Request, Result, npy};

/// Decodes a request: the `input_fn` of models that leave it out.
///
/// For arrays, the content type decides (none means `application/json`):
///
/// - `application/json`: a list of numbers, a list of such lists, or an object that holds either as
///   `"instances"` or `"features"`. Instances may be objects with `"features"`. `null` is NaN.
/// - `text/csv`: one row a line, comma-separated, no header line. An empty cell is NaN.
/// - `application/x-npy`: NumPy's `.npy` of any numeric type, without pickled objects.
///
/// A flat list or a single line is one row of an `Array2`; an `Array1` takes one row or one column;
/// an `ArrayD` takes any shape (CSV always has rows and columns). Arrays of integers take whole
/// numbers only and no missing ones.
///
/// # Errors
/// Unsupported content type, or invalid input: an error's text names the row and column, counted
/// from 1. Input without a single value is an error too.
#[diagnostic::on_unimplemented(
    message = "cannot decode a request into `{Self}`: write input_fn or implement Decode for it",
    label = "write input_fn or implement Decode for this type"
)]
pub trait Decode: Sized {
    /// Decodes a request.
    fn decode(request: Request) -> Result<Self>;
}

impl<T: Element> Decode for Array1<T> {
    fn decode(request: Request) -> Result<Self> {
        tensor(&request)?.into_array1()
    }
}

impl<T: Element> Decode for Array2<T> {
    fn decode(request: Request) -> Result<Self> {
        tensor(&request)?.into_array2()
    }
}

impl<T: Element> Decode for ArrayD<T> {
    fn decode(request: Request) -> Result<Self> {
        tensor(&request)?.into_array()
    }
}

fn tensor<T: Element>(request: &Request) -> Result<Tensor<T>> {
    let media_type = request.media_type()?;
    let read: fn(&[u8]) -> Result<Tensor<T>> = match media_type.as_str() {
        "application/json" => json::read,
        "text/csv" => |body| csv::read(body, b','),
        "application/x-npy" => npy::read_tensor,
        other => {
            return Err(Error::unsupported_content_type(format_args!(
                "cannot read {other:?}: send {}",
                formats()
            )));
        }
    };
    if request.body.is_empty() {
        return Err(Error::invalid_input("the body is empty"));
    }
    let tensor = read(&request.body)?;
    if tensor.data.is_empty() {
        return Err(Error::invalid_input(
            "the input holds no values: send at least one row",
        ));
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn request(content_type: &str, body: &str) -> Request {
        Request::new(body).content_type(content_type)
    }

    #[test]
    fn the_content_type_decides() {
        let rows = array![[1.0_f32, 2.0], [3.0, 4.0]];
        for request in [
            Request::new("[[1,2],[3,4]]"),
            request("application/json; charset=utf-8", "[[1,2],[3,4]]"),
            request("Text/CSV", "1,2\n3,4\n"),
            Request::new(npy::to_bytes(&rows)).content_type("application/x-npy"),
        ] {
            assert_eq!(
                Array2::<f32>::decode(request.clone()).unwrap(),
                rows,
                "{request:?}"
            );
        }
    }

    #[test]
    fn unknown_content_types_are_refused() {
        let error = Array2::<f32>::decode(request("image/png", "x")).unwrap_err();
        assert_eq!(error.status(), 415);
        assert_eq!(
            error.message(),
            "cannot read \"image/png\": send application/json, text/csv or application/x-npy"
        );
    }

    #[test]
    fn nothing_is_no_input() {
        for request in [
            Request::new(""),
            Request::new("[]"),
            Request::new("[[],[]]"),
            request("text/csv", ""),
            request("text/csv", "\n\n"),
            Request::new(npy::to_bytes(&Array2::<f32>::zeros((0, 3))))
                .content_type("application/x-npy"),
        ] {
            let error = Array2::<f32>::decode(request.clone()).unwrap_err();
            assert_eq!(error.status(), 400, "{request:?}");
        }
    }

    #[test]
    fn shapes_follow_the_type() {
        let row = array![1.0_f64, 2.0];
        assert_eq!(Array1::<f64>::decode(Request::new("[1, 2]")).unwrap(), row);
        assert_eq!(
            Array1::<f64>::decode(request("text/csv", "1,2")).unwrap(),
            row
        );
        assert_eq!(
            Array1::<f64>::decode(request("text/csv", "1\n2\n")).unwrap(),
            row
        );
        let any = ArrayD::<i64>::decode(Request::new("[[[1],[2]]]")).unwrap();
        assert_eq!(any.shape(), [1, 2, 1]);
    }
}
