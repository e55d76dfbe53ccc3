//! What the values of constants come to, so that they can be checked where they are sizes.

use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};
use tract_onnx::tensor::load_tensor;
use tract_onnx::tract_hir::internal::*;

/// The bounds of a constant's values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bounds {
    Whole {
        least: i64,
        greatest: i64,
        has_zero: bool,
        product: i128,
    },
    Floats {
        least: f64,
        greatest: f64,
    },
}

/// More whole numbers than are sizes, or than a constant divisor has: of longer ones a copy would cost
/// memory for nothing.
const MAX_WHOLE: usize = 1 << 20;

/// More than a list of scales has. All other floats are weights.
const MAX_FLOATS: usize = 64;

impl Bounds {
    /// The bounds of a tensor that has been checked, if it has values and they are numbers.
    pub(super) fn of(tensor: &TensorProto) -> TractResult<Option<Self>> {
        let count: i64 = tensor.dims.iter().product();
        let count = usize::try_from(count)?;
        let Ok(kind) = DataType::try_from(tensor.data_type) else {
            return Ok(None);
        };
        let is_float = matches!(kind, DataType::Float | DataType::Double);
        let is_whole = !is_float && is_whole(kind);
        if (is_whole && count <= MAX_WHOLE) || (is_float && count <= MAX_FLOATS) {
            let loaded = load_tensor(&MmapDataResolver, tensor, None)?;
            return if is_float {
                let floats = loaded.cast_to::<f64>()?;
                Ok(Self::of_floats(crate::ops::values(&floats)?))
            } else {
                let whole = loaded.cast_to::<i64>()?;
                Ok(Self::of_whole(crate::ops::values(&whole)?))
            };
        }
        Ok(None)
    }

    /// The bounds of what a node puts out, if it is a constant.
    pub(super) fn of_node(node: &NodeProto) -> TractResult<Option<Self>> {
        if node.op_type != "Constant" {
            return Ok(None);
        }
        match node.attribute.as_slice() {
            [value] => Self::of_attribute(value),
            _ => Ok(None),
        }
    }

    fn of_attribute(value: &AttributeProto) -> TractResult<Option<Self>> {
        let wide = |floats: &[f32]| floats.iter().map(|float| f64::from(*float)).collect();
        match (value.name.as_str(), &value.t) {
            ("value", Some(tensor)) => Self::of(tensor),
            ("value_int", _) => Ok(Self::of_whole(&[value.i])),
            ("value_ints", _) => Ok(Self::of_whole(&value.ints)),
            ("value_float", _) => Ok(Self::of_floats(&[f64::from(value.f)])),
            ("value_floats", _) => {
                let floats: Vec<f64> = wide(&value.floats);
                Ok(Self::of_floats(&floats))
            }
            _ => Ok(None),
        }
    }

    fn of_whole(values: &[i64]) -> Option<Self> {
        Some(Self::Whole {
            least: *values.iter().min()?,
            greatest: *values.iter().max()?,
            has_zero: values.contains(&0),
            product: values
                .iter()
                .fold(1, |all: i128, value| all.saturating_mul(i128::from(*value))),
        })
    }

    /// NaN counts as least or greatest, by its sign.
    fn of_floats(values: &[f64]) -> Option<Self> {
        Some(Self::Floats {
            least: *values.iter().min_by(|a, b| a.total_cmp(b))?,
            greatest: *values.iter().max_by(|a, b| a.total_cmp(b))?,
        })
    }
}

fn is_whole(kind: DataType) -> bool {
    matches!(
        kind,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Uint8
            | DataType::Uint16
            | DataType::Uint32
            | DataType::Uint64
    )
}
