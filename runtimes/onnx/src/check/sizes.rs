//! Checks constants that operators take for sizes, steps and divisors. The runtime counts in 32 bits:
//! tract cuts longer numbers without a word, and stops the whole cell at others, such as a step of 0.

use std::ops::RangeInclusive;

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::constants::Bounds;

/// The longest that anything can be.
const MAX: i64 = i32::MAX as i64;

/// What an operator's input may be, where it is a constant of whole numbers.
struct Rule {
    operator: &'static str,
    input: usize,
    /// What errors call one of the numbers.
    what: &'static str,
    range: RangeInclusive<i64>,
    /// Whether zero makes sense, if it is in the range.
    zero: bool,
    /// Whether the numbers are the shape of something that is made.
    is_shape: bool,
}

const fn rule(
    operator: &'static str,
    input: usize,
    what: &'static str,
    range: RangeInclusive<i64>,
) -> Rule {
    Rule {
        operator,
        input,
        what,
        range,
        zero: true,
        is_shape: false,
    }
}

impl Rule {
    const fn not_zero(mut self) -> Self {
        self.zero = false;
        self
    }

    const fn shape(mut self) -> Self {
        self.is_shape = true;
        self
    }

    fn check(&self, bounds: Bounds) -> TractResult<()> {
        let Bounds::Whole {
            least,
            greatest,
            has_zero,
            product,
        } = bounds
        else {
            return Ok(());
        };
        if has_zero && !self.zero {
            bail!("{} 0 makes no sense", self.what);
        }
        if let Some(beyond) = [least, greatest].iter().find(|n| !self.range.contains(n)) {
            bail!("{} {beyond} is out of range", self.what);
        }
        if self.is_shape && product > i128::from(MAX) {
            bail!("its constant shape is too large: {product} values");
        }
        Ok(())
    }
}

const RULES: [Rule; 14] = [
    rule("ConstantOfShape", 0, "length", 0..=MAX).shape(),
    rule("Expand", 1, "length", 0..=MAX).shape(),
    rule("Tile", 1, "number of repeats", 0..=MAX).shape(),
    rule("Reshape", 1, "length", -1..=MAX),
    rule("Resize", 3, "length", 0..=MAX),
    rule("Split", 1, "length", 0..=MAX),
    rule("Pad", 1, "padding", -MAX..=MAX),
    rule("OneHot", 1, "depth", 1..=MAX).not_zero(),
    rule("Slice", 4, "step", -MAX..=MAX).not_zero(),
    rule("Range", 2, "step", -MAX..=MAX).not_zero(),
    rule("Div", 1, "divisor", i64::MIN..=i64::MAX).not_zero(),
    rule("Mod", 1, "divisor", i64::MIN..=i64::MAX).not_zero(),
    rule("Squeeze", 1, "axis", -64..=63),
    rule("Unsqueeze", 1, "axis", -64..=63),
];

/// More than any image is enlarged.
const MAX_SCALE: f64 = 1e4;

/// Checks those inputs of a node that are constants, as `bounds` knows by their names.
pub(super) fn check(node: &NodeProto, bounds: impl Fn(&str) -> Option<Bounds>) -> TractResult<()> {
    let input = |number: usize| node.input.get(number).and_then(|name| bounds(name));
    let rules = RULES.iter().filter(|rule| rule.operator == node.op_type);
    for rule in rules {
        if let Some(bounds) = input(rule.input) {
            rule.check(bounds)?;
        }
    }
    if node.op_type == "Resize" {
        // Up to version 10 there is no region of interest before the scales.
        check_scales(input(if node.input.len() == 2 { 1 } else { 2 }))?;
    }
    Ok(())
}

fn check_scales(bounds: Option<Bounds>) -> TractResult<()> {
    let Some(Bounds::Floats { least, greatest }) = bounds else {
        return Ok(());
    };
    for scale in [least, greatest] {
        let is_sensible = scale > 0.0 && scale <= MAX_SCALE;
        if !is_sensible {
            bail!("scale {scale} is out of range");
        }
    }
    Ok(())
}
