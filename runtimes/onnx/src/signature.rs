//! A model's inputs and outputs.

use std::fmt;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, ValueInfoProto};
use tract_onnx::tract_hir::internal::*;

use crate::ops::Labels;
use crate::rewrite::ROWS;

/// The length of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dim {
    /// As many as the request has rows.
    Rows,
    /// Any.
    Any,
    /// This many.
    Fixed(usize),
}

/// An input.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) name: String,
    /// The type of values in requests: half-precision floats come as 32-bit ones.
    pub(crate) kind: DatumType,
    pub(crate) shape: Vec<Dim>,
}

impl Input {
    /// The shape of an input with this many rows, and 1 where any length will do.
    pub(crate) fn shape_for(&self, rows: usize) -> Vec<usize> {
        let length = |dim: &Dim| match dim {
            Dim::Rows => rows,
            Dim::Any => 1,
            Dim::Fixed(length) => *length,
        };
        self.shape.iter().map(length).collect()
    }

    /// Whether the first axis is the rows' where the plan takes `step` rows at a time, or any number.
    pub(crate) fn by_rows(&self, step: Option<usize>) -> bool {
        match self.shape.first() {
            Some(Dim::Rows) => true,
            Some(Dim::Fixed(length)) => step == Some(*length),
            Some(Dim::Any) | None => false,
        }
    }

    /// The shape, for errors.
    pub(crate) fn shape_text(&self) -> String {
        list(&self.shape)
    }

    /// How many numbers a row has, if the model fixes it.
    pub(crate) fn width(&self) -> Option<usize> {
        self.shape
            .iter()
            .skip(1)
            .try_fold(1_usize, |all, dim| match dim {
                Dim::Fixed(length) => all.checked_mul(*length),
                _ => None,
            })
    }
}

/// An output.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) kind: DatumType,
    pub(crate) shape: Vec<TDim>,
    /// The labels of its columns, if it is a list of {label: probability} maps.
    pub(crate) labels: Option<Labels>,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows => f.write_str("N"),
            Self::Any => f.write_str("?"),
            Self::Fixed(length) => write!(f, "{length}"),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.name,
            type_name(self.kind),
            list(&self.shape)
        )
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.name,
            type_name(self.kind),
            list(&self.shape)
        )?;
        if self.labels.is_some() {
            f.write_str(" by label")?;
        }
        Ok(())
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    format!("[{}]", items.join(", "))
}

/// ONNX's name for a type.
pub(crate) fn type_name(kind: DatumType) -> &'static str {
    match kind {
        DatumType::Bool => "bool",
        DatumType::U8 => "uint8",
        DatumType::U16 => "uint16",
        DatumType::U32 => "uint32",
        DatumType::U64 => "uint64",
        DatumType::I8 => "int8",
        DatumType::I16 => "int16",
        DatumType::I32 => "int32",
        DatumType::I64 => "int64",
        DatumType::F16 => "float16",
        DatumType::F32 => "float",
        DatumType::F64 => "double",
        DatumType::String => "string",
        _ => "of a type that is not supported",
    }
}

/// The inputs that requests give: those that the graph does not give itself.
pub(crate) fn inputs(graph: &GraphProto) -> TractResult<Vec<Input>> {
    let given = |input: &&ValueInfoProto| !graph.initializer.iter().any(|t| t.name == input.name);
    graph.input.iter().filter(given).map(input).collect()
}

/// The most axes that an input may have.
const MAX_RANK: usize = 8;

fn input(info: &ValueInfoProto) -> TractResult<Input> {
    let name = &info.name;
    let value = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(Type::TensorType(tensor)) = value else {
        bail!("input `{name}` is no tensor, and sequences and maps are not supported");
    };
    let kind = DataType::try_from(tensor.elem_type)
        .ok()
        .and_then(|kind| DatumType::try_from(kind).ok())
        .with_context(|| format!("input `{name}` is of a type that is not supported"))?;
    let shape = tensor.shape.as_ref();
    let shape = shape.with_context(|| format!("input `{name}` has no shape"))?;
    if shape.dim.len() > MAX_RANK {
        bail!(
            "input `{name}` has {} axes, more than {MAX_RANK}",
            shape.dim.len()
        );
    }
    let length = |dim: &tract_onnx::pb::tensor_shape_proto::Dimension| match &dim.value {
        Some(Length::DimValue(length)) => Ok(Dim::Fixed(usize::try_from(*length)?)),
        Some(Length::DimParam(name)) if name == ROWS => Ok(Dim::Rows),
        _ => Ok(Dim::Any),
    };
    Ok(Input {
        name: name.clone(),
        kind: match kind {
            DatumType::F16 => DatumType::F32,
            kind => kind,
        },
        shape: shape.dim.iter().map(length).collect::<TractResult<_>>()?,
    })
}
