//! What is changed in a graph before tract plans it.
//!
//! - ZipMap, which turns a matrix of probabilities into a list of maps, is taken out. Its labels stay
//!   with the output, and the answer is made of both.
//! - The first axis of each input, if its length is not fixed, gets one symbol for the number of rows,
//!   so that one plan serves any number.
//! - What the file says about the types of intermediate values is dropped: they follow from the inputs.

use std::collections::HashMap;

use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, NodeProto, ValueInfoProto};
use tract_onnx::tract_hir::internal::*;

use crate::ops::{Attributes, Labels};

/// The symbol for the number of rows.
pub(crate) const ROWS: &str = "N";

/// Rewrites a graph. Returns the labels of the outputs that were a ZipMap's, by their names.
pub(crate) fn graph(graph: &mut GraphProto) -> TractResult<HashMap<String, Labels>> {
    graph.value_info.clear();
    let labels = take_zip_maps(graph)?;
    let initialised: Vec<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph
        .input
        .iter_mut()
        .filter(|input| !initialised.contains(&input.name.as_str()));
    name_lengths(inputs);
    Ok(labels)
}

/// Takes ZipMaps out, and makes their inputs outputs under the ZipMaps' names.
fn take_zip_maps(graph: &mut GraphProto) -> TractResult<HashMap<String, Labels>> {
    let mut labels = HashMap::new();
    for node in &mut graph.node {
        let [output] = node.output.as_slice() else {
            continue;
        };
        if node.op_type != "ZipMap" || node.domain != "ai.onnx.ml" {
            continue;
        }
        if node.input.len() != 1 || !graph.output.iter().any(|o| o.name == *output) {
            bail!(
                "ZipMap `{}` is not the last operator of an output",
                node.name
            );
        }
        let found = Labels::read(
            &Attributes(node),
            "classlabels_int64s",
            "classlabels_strings",
        )
        .with_context(|| format!("ZipMap `{}`", node.name))?;
        labels.insert(output.clone(), found);
        *node = NodeProto {
            op_type: "Identity".to_owned(),
            domain: String::new(),
            attribute: Vec::new(),
            ..std::mem::take(node)
        };
    }
    Ok(labels)
}

/// Gives names of our own to all lengths that are not fixed: those of the file may be expressions.
fn name_lengths<'a>(inputs: impl Iterator<Item = &'a mut ValueInfoProto>) {
    let mut inputs: Vec<_> = inputs.collect();
    // Lengths with the name that a first axis has are the number of rows, too.
    let mut names: HashMap<String, String> = HashMap::new();
    for input in &mut inputs {
        if let Some(Some(Length::DimParam(name))) = lengths(input).next().cloned() {
            names.insert(name, ROWS.to_owned());
        }
    }
    let mut others = 0;
    for input in &mut inputs {
        for (axis, length) in lengths(input).enumerate() {
            let name = match length.as_ref() {
                Some(Length::DimValue(value)) if *value >= 0 => continue,
                _ if axis == 0 => ROWS.to_owned(),
                Some(Length::DimParam(name)) if names.contains_key(name) => {
                    names.get(name).cloned().unwrap_or_default()
                }
                other => {
                    others += 1;
                    let ours = format!("D{others}");
                    if let Some(Length::DimParam(name)) = other {
                        names.insert(name.clone(), ours.clone());
                    }
                    ours
                }
            };
            *length = Some(Length::DimParam(name));
        }
    }
}

/// The lengths of an input's axes.
fn lengths(input: &mut ValueInfoProto) -> impl Iterator<Item = &mut Option<Length>> {
    let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    let shape = kind.and_then(|Type::TensorType(tensor)| tensor.shape.as_mut());
    shape
        .into_iter()
        .flat_map(|shape| shape.dim.iter_mut().map(|dim| &mut dim.value))
}

/// Sets the number of rows, for a model that cannot be planned without.
pub(crate) fn fix_rows(graph: &mut GraphProto, rows: i64) {
    for input in &mut graph.input {
        for length in lengths(input) {
            if matches!(length, Some(Length::DimParam(name)) if name == ROWS) {
                *length = Some(Length::DimValue(rows));
            }
        }
    }
}
