//! Checks a graph before tract sees it. A file may come from anywhere, and tract takes for granted what
//! the ONNX standard says: that values are defined before they are used, that tensors have as many
//! values as their shapes say, and so on.

mod attributes;
mod tensors;

use std::collections::HashSet;

use tract_onnx::model::OnnxOpRegister;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

/// The page that lists what is supported.
const DOCS: &str = "see docs/onnx.md";

/// Checks a graph and the graphs inside it.
///
/// `outer` are the names that the graph can use from around it.
pub(crate) fn graph(
    graph: &GraphProto,
    operators: &OnnxOpRegister,
    outer: &HashSet<&str>,
) -> TractResult<()> {
    if !graph.sparse_initializer.is_empty() {
        bail!("sparse tensors are not supported: {DOCS}");
    }
    let mut known = outer.clone();
    for tensor in &graph.initializer {
        tensors::check(tensor).with_context(|| format!("tensor `{}`", tensor.name))?;
        known.insert(&tensor.name);
    }
    for input in &graph.input {
        known.insert(&input.name);
    }
    let mut made = HashSet::new();
    for (number, node) in graph.node.iter().enumerate() {
        check_node(node, operators, &known).with_context(|| place(number, node))?;
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !made.insert(output.as_str()) || known.contains(output.as_str()) {
                let problem = format_err!("`{output}` is defined twice");
                return Err(problem.context(place(number, node)));
            }
        }
        known.extend(node.output.iter().map(String::as_str));
    }
    for output in &graph.output {
        if output.name.is_empty() || !known.contains(output.name.as_str()) {
            bail!("output `{}` is not defined by any node", output.name);
        }
    }
    Ok(())
}

/// How errors call a node.
fn place(number: usize, node: &NodeProto) -> String {
    format!("node {number} (`{}`, {})", node.name, node.op_type)
}

fn check_node(
    node: &NodeProto,
    operators: &OnnxOpRegister,
    known: &HashSet<&str>,
) -> TractResult<()> {
    let domain = match node.domain.as_str() {
        "" => "ai.onnx",
        domain => domain,
    };
    let is_known = crate::ops::DOMAINS.contains(&domain);
    if !is_known || !operators.0.contains_key(&node.op_type) {
        bail!(
            "uses the operator {domain}.{}, which is not supported: {DOCS}",
            node.op_type
        );
    }
    if node.output.iter().all(String::is_empty) {
        bail!("has no outputs");
    }
    for input in node.input.iter().filter(|name| !name.is_empty()) {
        if !known.contains(input.as_str()) {
            bail!("its input `{input}` is not defined before it");
        }
    }
    attributes::check(node)?;
    for attribute in &node.attribute {
        check_attribute(attribute, operators, known)
            .with_context(|| format!("attribute {}", attribute.name))?;
    }
    Ok(())
}

fn check_attribute(
    attribute: &tract_onnx::pb::AttributeProto,
    operators: &OnnxOpRegister,
    known: &HashSet<&str>,
) -> TractResult<()> {
    if attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty() {
        bail!("sparse tensors are not supported: {DOCS}");
    }
    attribute
        .t
        .iter()
        .chain(&attribute.tensors)
        .try_for_each(tensors::check)?;
    attribute
        .g
        .iter()
        .chain(&attribute.graphs)
        .try_for_each(|inner| graph(inner, operators, known))
}
