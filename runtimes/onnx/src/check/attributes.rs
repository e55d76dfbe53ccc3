//! Checks attributes that tract counts, loops or indexes with.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

/// Numbers of axes, which may count from the end.
const AXES: [&str; 6] = [
    "axis",
    "axes",
    "batch_axis",
    "time_axis",
    "scan_input_axes",
    "scan_output_axes",
];

/// The most axes that a tensor may have.
const MAX_RANK: i64 = 8;

/// How a window moves over an image: one number for each of its axes, or two for `pads`.
const WINDOWS: [&str; 4] = ["kernel_shape", "strides", "dilations", "output_padding"];

/// More than any window has.
const MAX_WINDOW: i64 = 1 << 12;

/// Checks a node's attributes, as far as they mean the same for all operators. Those of other domains
/// have none of these names, and tract finds operators by name alone.
pub(super) fn check(node: &NodeProto) -> TractResult<()> {
    for attribute in &node.attribute {
        let name = attribute.name.as_str();
        if AXES.contains(&name) {
            expect(attribute, -MAX_RANK..MAX_RANK)?;
        }
        match name {
            "kernel_shape" | "strides" | "dilations" => expect(attribute, 1..MAX_WINDOW)?,
            "pads" | "output_padding" => expect(attribute, -MAX_WINDOW..MAX_WINDOW)?,
            "perm" => {
                expect(attribute, 0..MAX_RANK)?;
                let mut seen = attribute.ints.clone();
                seen.sort_unstable();
                if !seen.iter().zip(0..).all(|(axis, place)| *axis == place) {
                    bail!("attribute perm is no permutation: {:?}", attribute.ints);
                }
            }
            "group" | "hidden_size" => expect(attribute, 1..i64::from(u16::MAX))?,
            _ => {}
        }
    }
    check_windows(node)
}

/// Fails unless all numbers are in this range.
fn expect(attribute: &AttributeProto, range: std::ops::Range<i64>) -> TractResult<()> {
    // The single number is zero where a list is meant.
    let single = attribute.i != 0 || attribute.r#type == AttributeType::Int as i32;
    let mut numbers = attribute.ints.iter().chain(single.then_some(&attribute.i));
    match numbers.find(|number| !range.contains(number)) {
        Some(number) => bail!("attribute {} is out of range: {number}", attribute.name),
        None => Ok(()),
    }
}

/// Fails unless a window has as many numbers of each kind.
fn check_windows(node: &NodeProto) -> TractResult<()> {
    let mut axes = None;
    for attribute in &node.attribute {
        let count = match attribute.name.as_str() {
            "pads" if node.op_type != "Pad" => attribute.ints.len() / 2,
            name if WINDOWS.contains(&name) => attribute.ints.len(),
            _ => continue,
        };
        if axes.is_some_and(|axes| axes != count) {
            bail!(
                "attribute {} does not fit the others of its window",
                attribute.name
            );
        }
        axes = Some(count);
    }
    Ok(())
}
