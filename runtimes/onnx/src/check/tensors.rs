//! Checks tensors in a file.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::tract_hir::internal::*;

/// Checks that a tensor has as many values as its shape says, of a type that is supported.
pub(super) fn check(tensor: &TensorProto) -> TractResult<()> {
    let external = DataLocation::External as i32;
    if tensor.data_location == Some(external) || !tensor.external_data.is_empty() {
        bail!("its data is in another file: save the model in one file");
    }
    if tensor.segment.is_some() {
        bail!("tensors in segments are not supported");
    }
    let count = count(&tensor.dims)?;
    let kind = DataType::try_from(tensor.data_type)
        .map_err(|_| format_err!("its type has the unknown number {}", tensor.data_type))?;
    let size = match kind {
        DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
        DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::String => 0,
        other => bail!("tensors of type {other:?} are not supported"),
    };
    let stored = if !tensor.raw_data.is_empty() {
        if size == 0 {
            bail!("text cannot be raw data");
        }
        if !tensor.raw_data.len().is_multiple_of(size) {
            bail!("its data ends within a value");
        }
        tensor.raw_data.len() / size
    } else {
        typed_count(tensor, kind)
    };
    if stored != count {
        bail!(
            "its shape {:?} does not fit its {stored} values",
            tensor.dims
        );
    }
    Ok(())
}

fn count(dims: &[i64]) -> TractResult<usize> {
    let mut count = 1_usize;
    for dim in dims {
        let dim = usize::try_from(*dim).ok();
        count = dim
            .and_then(|dim| count.checked_mul(dim))
            .with_context(|| format!("its shape {dims:?} is out of range"))?;
    }
    Ok(count)
}

/// The number of values in the list that is meant for values of this type. Where tract looks into
/// another list, the tensor counts as empty.
fn typed_count(tensor: &TensorProto, kind: DataType) -> usize {
    match kind {
        DataType::Float => tensor.float_data.len(),
        DataType::Double => tensor.double_data.len(),
        DataType::Int64 => tensor.int64_data.len(),
        DataType::String => tensor.string_data.len(),
        DataType::Uint64 => tensor.int64_data.len(),
        _ => tensor.int32_data.len(),
    }
}
