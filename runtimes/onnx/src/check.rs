//! Checks a graph before tract sees it. A file may come from anywhere, and tract takes for granted what
//! the ONNX standard says: that values are defined before they are used, that tensors have as many
//! values as their shapes say, and so on.

mod attributes;
mod constants;
mod sizes;
mod tensors;

use std::collections::{HashMap, HashSet};

use tract_onnx::model::OnnxOpRegister;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use constants::Bounds;

/// The page that lists what is supported.
const DOCS: &str = "see docs/onnx.md";

/// The most nodes that a model may have, with those of its inner graphs. The time that planning takes
/// grows faster than their number: a small file could keep a cell busy for minutes.
const MAX_NODES: usize = 10_000;

/// The names that a graph can use, with the bounds of those that are constants.
type Known<'a> = HashMap<&'a str, Option<Bounds>>;

/// Checks a model's graph and the graphs inside it.
pub(crate) fn model(graph: &GraphProto, operators: &OnnxOpRegister) -> TractResult<()> {
    let nodes = count_nodes(graph);
    if nodes > MAX_NODES {
        bail!("it has {nodes} nodes, and a model may have {MAX_NODES}");
    }
    check_graph(graph, operators, &Known::new())
}

/// The number of nodes of a graph and the graphs inside it.
fn count_nodes(graph: &GraphProto) -> usize {
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let inner = attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
    graph.node.len() + inner.map(count_nodes).sum::<usize>()
}

/// Checks a graph and the graphs inside it.
///
/// `outer` are the names that the graph can use from around it.
fn check_graph(graph: &GraphProto, operators: &OnnxOpRegister, outer: &Known) -> TractResult<()> {
    if !graph.sparse_initializer.is_empty() {
        bail!("sparse tensors are not supported: {DOCS}");
    }
    let mut known = outer.clone();
    known.extend(graph.input.iter().map(|input| (input.name.as_str(), None)));
    // An initializer with the name of an input is its value.
    for tensor in &graph.initializer {
        let bounds = tensors::check(tensor).and_then(|()| Bounds::of(tensor));
        let bounds = bounds.with_context(|| format!("tensor `{}`", tensor.name))?;
        known.insert(&tensor.name, bounds);
    }
    let mut made = HashSet::new();
    for (number, node) in graph.node.iter().enumerate() {
        check_node(node, operators, &known).with_context(|| place(number, node))?;
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !made.insert(output.as_str()) || known.contains_key(output.as_str()) {
                let problem = format_err!("`{output}` is defined twice");
                return Err(problem.context(place(number, node)));
            }
        }
        let bounds = made_by(node, &known).with_context(|| place(number, node))?;
        let outputs = node.output.iter().filter(|name| !name.is_empty());
        known.extend(outputs.map(|name| (name.as_str(), bounds)));
    }
    for output in &graph.output {
        if output.name.is_empty() || !known.contains_key(output.name.as_str()) {
            bail!("output `{}` is not defined by any node", output.name);
        }
    }
    Ok(())
}

/// The bounds of what a node puts out, if it is a constant.
fn made_by(node: &NodeProto, known: &Known) -> TractResult<Option<Bounds>> {
    match (node.op_type.as_str(), node.input.as_slice()) {
        ("Identity", [input]) => Ok(known.get(input.as_str()).copied().flatten()),
        _ => Bounds::of_node(node),
    }
}

/// How errors call a node.
fn place(number: usize, node: &NodeProto) -> String {
    format!("node {number} (`{}`, {})", node.name, node.op_type)
}

fn check_node(node: &NodeProto, operators: &OnnxOpRegister, known: &Known) -> TractResult<()> {
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
        if !known.contains_key(input.as_str()) {
            bail!("its input `{input}` is not defined before it");
        }
    }
    attributes::check(node)?;
    sizes::check(node, |name| known.get(name).copied().flatten())?;
    for attribute in &node.attribute {
        check_attribute(attribute, operators, known)
            .with_context(|| format!("attribute {}", attribute.name))?;
    }
    Ok(())
}

fn check_attribute(
    attribute: &AttributeProto,
    operators: &OnnxOpRegister,
    known: &Known,
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
        .try_for_each(|inner| check_graph(inner, operators, known))
}
