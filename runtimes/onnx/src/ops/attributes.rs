//! A node's attributes, checked for their types.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};
use tract_onnx::tract_hir::internal::*;

/// The attributes of a node. An attribute that is absent is none, or an empty list.
pub(crate) struct Attributes<'a>(pub(crate) &'a NodeProto);

impl<'a> Attributes<'a> {
    /// The ONNX operator.
    pub(crate) fn operator(&self) -> &'a str {
        &self.0.op_type
    }

    fn get(&self, name: &str, kind: AttributeType) -> TractResult<Option<&'a AttributeProto>> {
        let Some(found) = self.0.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        // Files of the first versions do not say the type; the value is then where it belongs.
        if found.r#type != kind as i32 && found.r#type != 0 {
            bail!("attribute {name} is of type {}, not {kind:?}", found.r#type);
        }
        Ok(Some(found))
    }

    pub(crate) fn int(&self, name: &str) -> TractResult<Option<i64>> {
        Ok(self.get(name, AttributeType::Int)?.map(|a| a.i))
    }

    pub(crate) fn float(&self, name: &str) -> TractResult<Option<f32>> {
        Ok(self.get(name, AttributeType::Float)?.map(|a| a.f))
    }

    pub(crate) fn string(&self, name: &str) -> TractResult<Option<&'a str>> {
        let found = self.get(name, AttributeType::String)?;
        found.map(|a| text(name, &a.s)).transpose()
    }

    pub(crate) fn ints(&self, name: &str) -> TractResult<&'a [i64]> {
        let found = self.get(name, AttributeType::Ints)?;
        Ok(found.map_or(&[], |a| a.ints.as_slice()))
    }

    pub(crate) fn floats(&self, name: &str) -> TractResult<&'a [f32]> {
        let found = self.get(name, AttributeType::Floats)?;
        Ok(found.map_or(&[], |a| a.floats.as_slice()))
    }

    pub(crate) fn strings(&self, name: &str) -> TractResult<Vec<String>> {
        let found = self.get(name, AttributeType::Strings)?;
        found
            .map_or(&[][..], |a| a.strings.as_slice())
            .iter()
            .map(|bytes| Ok(text(name, bytes)?.to_owned()))
            .collect()
    }

    pub(crate) fn tensor(&self, name: &str) -> TractResult<Option<&'a TensorProto>> {
        let found = self.get(name, AttributeType::Tensor)?;
        found
            .map(|a| {
                a.t.as_ref()
                    .with_context(|| format!("attribute {name} is empty"))
            })
            .transpose()
    }
}

fn text<'a>(name: &str, bytes: &'a [u8]) -> TractResult<&'a str> {
    std::str::from_utf8(bytes).with_context(|| format!("attribute {name} is not UTF-8"))
}
