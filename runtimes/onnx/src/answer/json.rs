//! Answers in JSON. They are written straight from the tensors.

use modelcell_guest::{Payload, Result};
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use tract_onnx::tract_hir::internal::{DatumType, Tensor};

use super::Answer;
use crate::OnnxModel;
use crate::ops::{Labels, values};
use crate::request::Reply;
use crate::scalar::with_scalar;
use crate::signature::Output;

/// Encodes an answer as the request's form has it.
pub(super) fn encode(model: &OnnxModel, answer: &Answer) -> Result<Payload> {
    let all: Vec<(&Output, &Tensor)> = model.outputs.iter().zip(&answer.outputs).collect();
    let by_row = |(_, tensor): &(&Output, &Tensor)| tensor.shape().first() == Some(&answer.rows);
    match &answer.reply {
        Reply::Protocol { id, outputs } => {
            let wanted: Vec<_> = match outputs.as_slice() {
                [] => all,
                outputs => outputs
                    .iter()
                    .filter_map(|at| all.get(*at).copied())
                    .collect(),
            };
            Payload::json(&Protocol {
                model_name: &answer.model_name,
                id: id.as_deref(),
                outputs: &wanted,
            })
        }
        Reply::Rows if all.iter().all(by_row) => Payload::json(&Named {
            name: "predictions",
            value: Rows {
                outputs: &all,
                count: answer.rows,
            },
        }),
        _ => Payload::json(&Named {
            name: "outputs",
            value: Columns(&all),
        }),
    }
}

/// `{name: value}`.
struct Named<T> {
    name: &'static str,
    value: T,
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name, &self.value)?;
        map.end()
    }
}

/// A value for each row, or, of several outputs, an object.
struct Rows<'a> {
    outputs: &'a [(&'a Output, &'a Tensor)],
    count: usize,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.count))?;
        for row in 0..self.count {
            match self.outputs {
                [only] => rows.serialize_element(&part_of(only, row))?,
                outputs => rows.serialize_element(&Row { outputs, row })?,
            }
        }
        rows.end()
    }
}

/// A row of several outputs.
struct Row<'a> {
    outputs: &'a [(&'a Output, &'a Tensor)],
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.outputs.len()))?;
        for output in self.outputs {
            map.serialize_entry(&output.0.name, &part_of(output, self.row))?;
        }
        map.end()
    }
}

/// All of an output, or, of several, an object.
struct Columns<'a>(&'a [(&'a Output, &'a Tensor)]);

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [only] = self.0 {
            return whole(only).serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for output in self.0 {
            map.serialize_entry(&output.0.name, &whole(output))?;
        }
        map.end()
    }
}

/// A part of a tensor: the values from `start` on, in the shape of the last axes.
#[derive(Clone, Copy)]
struct Part<'a> {
    tensor: &'a Tensor,
    start: usize,
    shape: &'a [usize],
    labels: Option<&'a Labels>,
}

fn whole<'a>((output, tensor): &(&'a Output, &'a Tensor)) -> Part<'a> {
    Part {
        tensor,
        start: 0,
        shape: tensor.shape(),
        labels: output.labels.as_ref(),
    }
}

fn part_of<'a>(output: &(&'a Output, &'a Tensor), row: usize) -> Part<'a> {
    whole(output).child(row)
}

impl Part<'_> {
    /// The part at this position of the first axis.
    fn child(self, position: usize) -> Self {
        let shape = self.shape.get(1..).unwrap_or_default();
        Self {
            start: self.start + position * shape.iter().product::<usize>(),
            shape,
            ..self
        }
    }

    /// The only value.
    fn value<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        with_scalar!(
            self.tensor.datum_type(),
            T => match values::<T>(self.tensor).ok().and_then(|values| values.get(self.start)) {
                Some(value) => value.serialize(serializer),
                None => Err(S::Error::custom("a value is missing")),
            },
            Err(S::Error::custom("an output of a type that answers cannot hold"))
        )
    }

    /// A map of probabilities by label.
    fn map<S: Serializer>(self, labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(labels.len()))?;
        for (position, label) in labels.texts().enumerate() {
            map.serialize_entry(&label, &self.child(position))?;
        }
        map.end()
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.shape, self.labels) {
            ([], _) => self.value(serializer),
            ([columns], Some(labels)) if *columns == labels.len() => self.map(labels, serializer),
            ([length, ..], _) => {
                let mut list = serializer.serialize_seq(Some(*length))?;
                for position in 0..*length {
                    list.serialize_element(&self.child(position))?;
                }
                list.end()
            }
        }
    }
}

/// A response of the Open Inference Protocol.
struct Protocol<'a> {
    model_name: &'a str,
    id: Option<&'a str>,
    outputs: &'a [(&'a Output, &'a Tensor)],
}

impl Serialize for Protocol<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model_name", self.model_name)?;
        if let Some(id) = self.id {
            map.serialize_entry("id", id)?;
        }
        let outputs: Vec<_> = self.outputs.iter().map(ProtocolTensor).collect();
        map.serialize_entry("outputs", &outputs)?;
        map.end()
    }
}

/// A tensor of the Open Inference Protocol, with its values in a single list.
struct ProtocolTensor<'a>(&'a (&'a Output, &'a Tensor));

impl Serialize for ProtocolTensor<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (output, tensor) = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &output.name)?;
        map.serialize_entry("datatype", datatype(tensor.datum_type()))?;
        map.serialize_entry("shape", tensor.shape())?;
        if let Some(labels) = &output.labels {
            let labels: Vec<String> = labels.texts().collect();
            let value = labels.as_slice();
            map.serialize_entry(
                "parameters",
                &Named {
                    name: "labels",
                    value,
                },
            )?;
        }
        let flat = [tensor.len()];
        let data = Part {
            tensor,
            start: 0,
            shape: &flat,
            labels: None,
        };
        map.serialize_entry("data", &data)?;
        map.end()
    }
}

/// The protocol's name for a type.
fn datatype(kind: DatumType) -> &'static str {
    match kind {
        DatumType::Bool => "BOOL",
        DatumType::U8 => "UINT8",
        DatumType::U16 => "UINT16",
        DatumType::U32 => "UINT32",
        DatumType::U64 => "UINT64",
        DatumType::I8 => "INT8",
        DatumType::I16 => "INT16",
        DatumType::I32 => "INT32",
        DatumType::I64 => "INT64",
        DatumType::F64 => "FP64",
        DatumType::String => "BYTES",
        _ => "FP32",
    }
}
