//! Reading, making and refusing tensors.

use std::fmt;

use tract_onnx::tract_hir::internal::*;

/// A tensor's values, in row-major order.
pub(crate) fn values<T: Datum>(tensor: &Tensor) -> TractResult<&[T]> {
    tensor.try_as_plain_ram()?.as_slice::<T>()
}

/// A tensor's numbers in the type that a kernel computes in.
pub(crate) fn cast<T: Datum>(tensor: &Tensor) -> TractResult<std::borrow::Cow<'_, Tensor>> {
    tensor.cast_to::<T>()
}

/// A tensor of these values, without a copy.
pub(crate) fn tensor<T: Datum>(shape: &[usize], values: Vec<T>) -> TractResult<Tensor> {
    let array = tract_ndarray::ArrayD::from_shape_vec(shape, values)?;
    Ok(array.into_tensor())
}

/// The rows and columns of a matrix; a vector is a row by itself.
pub(crate) fn matrix_shape(tensor: &Tensor) -> TractResult<(usize, usize)> {
    match tensor.shape() {
        &[rows, columns] => Ok((rows, columns)),
        &[columns] => Ok((1, columns)),
        shape => bail!(
            "it takes a matrix, and its input has {} dimensions",
            shape.len()
        ),
    }
}

/// Whether values of this type are numbers or booleans.
pub(crate) fn is_number(kind: DatumType) -> bool {
    kind.is_number() || kind == bool::datum_type()
}

/// Fails unless the values are numbers.
pub(crate) fn expect_numbers(kind: DatumType) -> TractResult<()> {
    if is_number(kind) {
        return Ok(());
    }
    bail!("it takes numbers, and its input is of type {kind:?}")
}

/// Why an operator refuses what it is given, although the model is sound: the request holds something
/// else than the model knows. All other failures of a plan are the model's.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A refusal as an error of tract's, in which [`Refused`] is found again.
pub(crate) fn refused(message: impl fmt::Display) -> TractError {
    TractError::new(Refused(message.to_string()))
}
