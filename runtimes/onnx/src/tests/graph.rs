//! Models that are made by hand.

use prost::Message as _;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::type_proto::{Tensor, Value};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
};

use modelcell_guest::Result;

use crate::OnnxModel;

/// An operator with one output.
pub(super) fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// An input or output of 32-bit floats.
pub(super) fn matrix(name: &str, shape: &[i64]) -> ValueInfoProto {
    let lengths = shape.iter().map(|length| Some(Length::DimValue(*length)));
    value(name, DataType::Float, lengths)
}

/// An input or output of 64-bit whole numbers, with any number of rows.
pub(super) fn column_of_whole_numbers(name: &str) -> ValueInfoProto {
    value(name, DataType::Int64, [None, Some(Length::DimValue(1))])
}

fn value(
    name: &str,
    kind: DataType,
    lengths: impl IntoIterator<Item = Option<Length>>,
) -> ValueInfoProto {
    let dim = |value| Dimension {
        value,
        ..Dimension::default()
    };
    let tensor = Tensor {
        elem_type: kind as i32,
        shape: Some(TensorShapeProto {
            dim: lengths.into_iter().map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub(super) fn read(
    node: Vec<NodeProto>,
    input: Vec<ValueInfoProto>,
    output: Vec<ValueInfoProto>,
) -> OnnxModel {
    let graph = GraphProto {
        node,
        input,
        output,
        ..GraphProto::default()
    };
    try_read(graph).unwrap()
}

pub(super) fn try_read(graph: GraphProto) -> Result<OnnxModel> {
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            version: 12,
            ..OperatorSetIdProto::default()
        }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    OnnxModel::read(&model.encode_to_vec())
}
