//! Models in the binary format, which `XGBoost` wrote until 2.1: structures as they lay in memory,
//! little end first.

use std::io::Read;

use modelcell_guest::{Context, Error, Result};

use super::tree::TreeColumns;
use super::{Saved, Version};
use crate::read::Input;

/// What a booster that was pickled begins with. A number follows (where its training settings are),
/// and then the model.
pub(crate) const SERIALISED: &[u8] = b"CONFIG-offset:";

/// What some versions put before the model.
pub(crate) const MARK: &[u8] = b"binf";

/// Nodes of a tree at most: their numbers have 31 bits.
const NODES: u32 = i32::MAX as u32;

/// Reads a whole file into `saved`, which has nothing yet.
pub(crate) fn read<R: Read>(input: &mut Input<R>, mut saved: Saved) -> Result<Saved> {
    if input.ahead()?.starts_with(SERIALISED) {
        input.discard(SERIALISED.len() as u64 + 8)?;
    }
    if input.ahead()?.starts_with(MARK) {
        input.discard(MARK.len() as u64)?;
    }
    let has_attributes = read_learner(input, &mut saved).context("the learner")?;
    let objective = read_text(input, "the objective's name")?;
    let booster = read_text(input, "the booster's name")?;
    match booster.as_str() {
        "gbtree" => read_trees(input, &mut saved)?,
        "dart" => {
            read_trees(input, &mut saved)?;
            if saved.trees.count() > 0 {
                saved.tree_weights = read_floats(input).context("the trees' weights")?;
            }
        }
        "gblinear" => {
            input.discard(136)?;
            saved.weights = Some(read_floats(input).context("the weights")?);
        }
        other => {
            return Err(Error::failed(format_args!(
                "it is no XGBoost model that this runtime reads: its booster is {other:?}"
            )));
        }
    };
    saved.objective = Some(objective);
    saved.booster = Some(booster);
    if has_attributes {
        read_attributes(input, &mut saved).context("the attributes")?;
    }
    Ok(saved)
}

/// 136 bytes. Says whether attributes follow behind the booster.
fn read_learner<R: Read>(input: &mut Input<R>, saved: &mut Saved) -> Result<bool> {
    saved.base_score = vec![f32::from_le_bytes(input.take()?)];
    saved.features = Some(word(input)?);
    saved.classes = count(input, "num_class")?;
    let has_attributes = word(input)? != 0;
    let _evaluation_metrics = word(input)?;
    saved.version = Version([word(input)?, word(input)?, 0]);
    saved.base_is_margin = saved.version < Version([1, 0, 0]);
    saved.targets = count(input, "num_target")?;
    input.discard(136 - 8 * 4)?;
    Ok(has_attributes)
}

fn read_trees<R: Read>(input: &mut Input<R>, saved: &mut Saved) -> Result<()> {
    let trees = count(input, "num_trees")?;
    input.discard(160 - 4)?;
    let mut columns = TreeColumns::default();
    for tree in 0..trees {
        columns.clear();
        read_tree(input, &mut columns).context(format_args!("tree {tree}"))?;
        saved.trees.add(&mut columns)?;
    }
    let mut outputs = Vec::new();
    for _ in 0..trees {
        outputs.push(count(input, "tree_info")?);
    }
    saved.trees.set_outputs(outputs);
    Ok(())
}

/// 148 bytes, then 20 for each node, then 16 for each node that do not matter here.
fn read_tree<R: Read>(input: &mut Input<R>, tree: &mut TreeColumns) -> Result<()> {
    let _roots = word(input)?;
    let nodes = count(input, "num_nodes")?;
    input.discard(3 * 4)?;
    tree.leaf_size = word(input)?;
    if tree.is_vector() {
        return Err(input.error("vector leaves are not written in this format"));
    }
    input.discard(31 * 4)?;
    for _ in 0..nodes {
        let _parent = word(input)?;
        tree.left.push(word(input)?.cast_signed());
        tree.right.push(word(input)?.cast_signed());
        let split = word(input)?;
        tree.feature.push(split & NODES);
        tree.default_left.push((split >> 31) as u8);
        tree.condition.push(f32::from_le_bytes(input.take()?));
    }
    input.discard(16 * u64::from(nodes))
}

fn read_attributes<R: Read>(input: &mut Input<R>, saved: &mut Saved) -> Result<()> {
    let attributes = long(input)?;
    for _ in 0..attributes {
        let key = read_text(input, "an attribute")?;
        let value = read_text(input, "an attribute")?;
        if key == "best_ntree_limit" {
            saved.best_trees = value.parse().ok();
        }
    }
    Ok(())
}

fn read_floats<R: Read>(input: &mut Input<R>) -> Result<Vec<f32>> {
    let count = long(input)?;
    let mut floats = Vec::new();
    for _ in 0..count {
        floats.push(f32::from_le_bytes(input.take()?));
    }
    Ok(floats)
}

fn read_text<R: Read>(input: &mut Input<R>, what: &str) -> Result<String> {
    let length = long(input).context(what)?;
    let bytes = input.bytes(length).context(what)?;
    String::from_utf8(bytes).map_err(|_| Error::failed(format_args!("{what} is not UTF-8")))
}

fn word<R: Read>(input: &mut Input<R>) -> Result<u32> {
    Ok(u32::from_le_bytes(input.take()?))
}

fn long<R: Read>(input: &mut Input<R>) -> Result<u64> {
    Ok(u64::from_le_bytes(input.take()?))
}

/// A number that is not negative.
fn count<R: Read>(input: &mut Input<R>, name: &str) -> Result<u32> {
    let number = word(input)?;
    if number > NODES {
        let number = number.cast_signed();
        return Err(input.error(format_args!("{name} is {number}")));
    }
    Ok(number)
}
