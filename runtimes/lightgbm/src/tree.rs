//! A tree of a model file.
//!
//! It is written as columns: each list has one entry for each split, or one for each leaf. A child that is
//! negative is a leaf: -1 is leaf 0, -2 leaf 1.

use modelcell_forest::{Branch, Builder, Codes, Missing, Node, Side, Test};
use modelcell_guest::{Context, Error, Result};

use crate::leaves::{Leaves, LinearColumns};
use crate::lines::{Lines, key_value, list, number};

/// The largest number that LightGBM takes for zero. What is no further away counts as 0 in all
/// comparisons.
pub(crate) const ZERO: f64 = 1e-35_f32 as f64;

/// The bits of a split's `decision_type`. The two above them are the type of missing values.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
const MISSING_SHIFT: u8 = 2;

/// The lines of a tree that matter for prediction, unread.
#[derive(Default)]
struct Text<'a> {
    num_leaves: Option<&'a [u8]>,
    num_cat: Option<&'a [u8]>,
    split_feature: Option<&'a [u8]>,
    threshold: Option<&'a [u8]>,
    decision_type: Option<&'a [u8]>,
    left_child: Option<&'a [u8]>,
    right_child: Option<&'a [u8]>,
    leaf_value: Option<&'a [u8]>,
    cat_boundaries: Option<&'a [u8]>,
    cat_threshold: Option<&'a [u8]>,
    is_linear: Option<&'a [u8]>,
    leaf_const: Option<&'a [u8]>,
    num_features: Option<&'a [u8]>,
    leaf_features: Option<&'a [u8]>,
    leaf_coeff: Option<&'a [u8]>,
}

impl<'a> Text<'a> {
    fn read(lines: Lines<'a>) -> Self {
        let mut text = Self::default();
        for line in lines {
            let (key, value) = key_value(line);
            let place = match key {
                b"num_leaves" => &mut text.num_leaves,
                b"num_cat" => &mut text.num_cat,
                b"split_feature" => &mut text.split_feature,
                b"threshold" => &mut text.threshold,
                b"decision_type" => &mut text.decision_type,
                b"left_child" => &mut text.left_child,
                b"right_child" => &mut text.right_child,
                b"leaf_value" => &mut text.leaf_value,
                b"cat_boundaries" => &mut text.cat_boundaries,
                b"cat_threshold" => &mut text.cat_threshold,
                b"is_linear" => &mut text.is_linear,
                b"leaf_const" => &mut text.leaf_const,
                b"num_features" => &mut text.num_features,
                b"leaf_features" => &mut text.leaf_features,
                b"leaf_coeff" => &mut text.leaf_coeff,
                // Statistics of the training.
                _ => continue,
            };
            *place = Some(value);
        }
        text
    }
}

fn required<'a>(key: &str, value: Option<&'a [u8]>) -> Result<&'a [u8]> {
    value.context(format_args!("it has no {key}"))
}

/// The columns of the tree at hand. Kept for the next one, so that reading a file leaves no garbage.
#[derive(Default)]
pub(crate) struct TreeReader {
    leaves: usize,
    split_feature: Vec<u32>,
    threshold: Vec<f64>,
    decision_type: Vec<u8>,
    left_child: Vec<i32>,
    right_child: Vec<i32>,
    leaf_value: Vec<f64>,
    cat_boundaries: Vec<usize>,
    cat_threshold: Vec<u32>,
    linear: LinearColumns,
    /// Whether some tree so far compares with infinity, to part all numbers from missing ones.
    pub(crate) compares_with_infinity: bool,
}

impl TreeReader {
    /// Reads a tree's lines. Adds its splits to `forest` and its leaves to `leaves`.
    ///
    /// # Errors
    /// Whatever is wrong with it. They do not say in which tree.
    pub(crate) fn read(
        &mut self,
        lines: Lines<'_>,
        features: u32,
        forest: &mut Builder<f64>,
        leaves: &mut Leaves,
    ) -> Result<()> {
        let text = Text::read(lines);
        self.read_columns(&text)?;
        let linear = self.read_linear(&text, features)?;
        let first = leaves.add(&self.leaf_value, linear.then_some(&self.linear))?;
        self.grow(first, forest)
    }

    fn read_columns(&mut self, text: &Text<'_>) -> Result<()> {
        let leaves = number::<i32>("num_leaves", required("num_leaves", text.num_leaves)?)?;
        self.leaves = usize::try_from(leaves)
            .ok()
            .filter(|&leaves| leaves > 0)
            .context(format_args!("num_leaves is {leaves}"))?;
        let leaf_value = required("leaf_value", text.leaf_value)?;
        list(&mut self.leaf_value, "leaf_value", leaf_value, self.leaves)?;

        let splits = self.leaves - 1;
        if splits == 0 {
            // The other lists are empty then, or missing.
            return Ok(());
        }
        let value = required("split_feature", text.split_feature)?;
        list(&mut self.split_feature, "split_feature", value, splits)?;
        let value = required("threshold", text.threshold)?;
        list(&mut self.threshold, "threshold", value, splits)?;
        self.compares_with_infinity |= self.threshold.contains(&f64::INFINITY);
        let value = required("decision_type", text.decision_type)?;
        list(&mut self.decision_type, "decision_type", value, splits)?;
        let value = required("left_child", text.left_child)?;
        list(&mut self.left_child, "left_child", value, splits)?;
        let value = required("right_child", text.right_child)?;
        list(&mut self.right_child, "right_child", value, splits)?;
        self.read_categories(text)
    }

    /// The sets of the splits on categories: set `i` has the words from boundary `i` to the next.
    fn read_categories(&mut self, text: &Text<'_>) -> Result<()> {
        self.cat_boundaries.clear();
        self.cat_threshold.clear();
        let sets = number::<i32>("num_cat", required("num_cat", text.num_cat)?)?;
        if sets == 0 {
            return Ok(());
        }
        let boundaries = usize::try_from(sets)
            .ok()
            .and_then(|sets| sets.checked_add(1))
            .context(format_args!("num_cat is {sets}"))?;
        let value = required("cat_boundaries", text.cat_boundaries)?;
        list(
            &mut self.cat_boundaries,
            "cat_boundaries",
            value,
            boundaries,
        )?;
        let words = self.cat_boundaries.last().copied().unwrap_or_default();
        let value = required("cat_threshold", text.cat_threshold)?;
        list(&mut self.cat_threshold, "cat_threshold", value, words)
    }

    /// The linear models of the leaves. False if there are none.
    fn read_linear(&mut self, text: &Text<'_>, features: u32) -> Result<bool> {
        let is_linear = text.is_linear.unwrap_or(b"0");
        if number::<u8>("is_linear", is_linear)? == 0 {
            return Ok(false);
        }
        self.linear.read(
            self.leaves,
            features,
            required("leaf_const", text.leaf_const)?,
            required("num_features", text.num_features)?,
            required("leaf_features", text.leaf_features)?,
            required("leaf_coeff", text.leaf_coeff)?,
        )?;
        Ok(true)
    }

    /// Hands the tree to the builder, which sees to it that it is one. Splits keep their numbers
    /// there, and leaves follow them.
    fn grow(&self, first_leaf: u32, forest: &mut Builder<f64>) -> Result<()> {
        let splits = self.leaves - 1;
        let nodes = splits + self.leaves;
        let node = |at: u32| match (at as usize).checked_sub(splits) {
            // `Leaves` sees to it that the numbers of all leaves fit.
            Some(leaf) => Ok(Node::Leaf(first_leaf + leaf as u32)),
            None => self.split(at as usize).map_err(|error| error.to_string()),
        };
        forest.add_tree(nodes, node).map_err(|error| {
            let at = error.node as usize;
            let (kind, at) = match at.checked_sub(splits) {
                Some(leaf) => ("leaf", leaf),
                None => ("node", at),
            };
            Error::failed(format_args!("{kind} {at}: {}", error.message))
        })
    }

    fn split(&self, at: usize) -> Result<Node<'_, f64>> {
        let (Some(&feature), Some(&threshold), Some(&decision), Some(&left), Some(&right)) = (
            self.split_feature.get(at),
            self.threshold.get(at),
            self.decision_type.get(at),
            self.left_child.get(at),
            self.right_child.get(at),
        ) else {
            return Err(Error::failed("there is no such split"));
        };
        let test = if decision & CATEGORICAL == 0 {
            comparison(threshold, decision)?
        } else {
            self.membership(threshold, decision)?
        };
        Ok(Node::Branch(Branch {
            feature,
            left: self.child(left)?,
            right: self.child(right)?,
            test,
        }))
    }

    /// A child's number among the builder's nodes.
    fn child(&self, child: i32) -> Result<u32> {
        let splits = self.leaves - 1;
        let (kind, number, count) = if child < 0 {
            ("leaf", !child, self.leaves)
        } else {
            ("node", child, splits)
        };
        let place = usize::try_from(number).ok().filter(|&at| at < count);
        let place = place.context(format_args!(
            "its child is {kind} {number}, but the tree has {count} (the first is 0)"
        ))?;
        Ok(u32::try_from(if child < 0 {
            splits + place
        } else {
            place
        })?)
    }

    /// A split on categories. Its threshold says which set is meant.
    fn membership(&self, threshold: f64, decision: u8) -> Result<Test<'_, f64>> {
        // All that LightGBM does with the type here is to write it down.
        missing_type(decision)?;
        let set = threshold as usize;
        let members = self
            .cat_boundaries
            .get(set)
            .zip(self.cat_boundaries.get(set.saturating_add(1)))
            .filter(|_| set as f64 == threshold)
            .and_then(|(&start, &end)| self.cat_threshold.get(start..end))
            .context(format_args!(
                "its categories are set {threshold}, which is not in cat_boundaries and cat_threshold"
            ))?;
        Ok(Test::Among {
            members,
            side: Side::Left,
            missing: Side::Right,
            codes: Codes::Truncated,
        })
    }
}

/// What a split does about missing values: 0 nothing, 1 zero is missing as well as NaN, 2 NaN is.
fn missing_type(decision: u8) -> Result<u8> {
    let kind = decision >> MISSING_SHIFT;
    (kind <= 2)
        .then_some(kind)
        .context(format_args!("its decision_type is {decision}"))
}

/// A comparison, which in LightGBM is `value <= threshold`.
fn comparison(threshold: f64, decision: u8) -> Result<Test<'static, f64>> {
    let default = match decision & DEFAULT_LEFT {
        0 => Side::Right,
        _ => Side::Left,
    };
    let missing = match missing_type(decision)? {
        0 => Missing::Nothing,
        1 => Missing::NanAndZero(default),
        _ => Missing::Nan(default),
    };
    Ok(Test::Below {
        threshold: first_to_the_right(threshold),
        missing,
    })
}

/// The smallest number that is not `<= threshold`; infinity if there is none. LightGBM takes all numbers about zero for 0, so they
/// go to the same side.
fn first_to_the_right(threshold: f64) -> f64 {
    if (-ZERO..0.0).contains(&threshold) {
        -ZERO
    } else if (0.0..ZERO).contains(&threshold) {
        ZERO.next_up()
    } else {
        threshold.next_up()
    }
}

#[cfg(test)]
mod tests;
