//! Reads what XGBoost's `save_model("model.json")` writes, as of XGBoost 3.
//!
//! A file may come from anywhere, so every number in it is checked before it is used: whatever it
//! says, the result is a forest whose walks end, or an error that says what is wrong.

use std::fmt::Display;
use std::io::Read;
use std::str::FromStr;

use modelcell_guest::{Context, Error, Result};
use serde::Deserialize;

use crate::forest::{Forest, Node};

/// The parts of the file that matter for prediction.
#[derive(Deserialize)]
struct File {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    gradient_booster: Booster,
    learner_model_param: LearnerParam,
    objective: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// XGBoost writes these numbers as text.
#[derive(Deserialize)]
struct LearnerParam {
    /// A probability, `5E-1`, or a list with one per target, `[5E-1]`, as the version has it.
    base_score: String,
    num_feature: String,
    num_class: String,
    #[serde(default)]
    num_target: Option<String>,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    /// Other boosters than gbtree have it elsewhere.
    #[serde(default)]
    model: Trees,
}

#[derive(Default, Deserialize)]
struct Trees {
    /// A linear booster has none.
    #[serde(default)]
    trees: Vec<Tree>,
}

/// A tree as columns: each list has one entry per node, and the root is node 0.
#[derive(Deserialize)]
struct Tree {
    /// -1 at leaves.
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    /// Thresholds; at leaves the leaf's value.
    split_conditions: Vec<f32>,
    /// 0 or 1.
    default_left: Vec<u8>,
    /// 1 where a node splits on categories.
    #[serde(default)]
    split_type: Vec<u8>,
}

/// Reads a model file, piece by piece: what is freed later stays with the cell all the same, so the
/// whole file in memory would double what the model holds.
pub(crate) fn read(file: impl Read) -> Result<Forest> {
    let learner = serde_json::from_reader::<_, File>(file)?.learner;
    must_be("booster", &learner.gradient_booster.name, "gbtree")?;
    must_be("objective", &learner.objective.name, "binary:logistic")?;
    let param = &learner.learner_model_param;
    must_be("num_class", &param.num_class, "0")?;
    must_be(
        "num_target",
        param.num_target.as_deref().unwrap_or("1"),
        "1",
    )?;
    let features = number::<u32>("num_feature", &param.num_feature)?;
    // A node has 31 bits for its feature.
    if features == 0 || features > u32::MAX >> 1 {
        return Err(Error::failed(format!("num_feature is {features}")));
    }

    let mut forest = Forest {
        features: features as usize,
        base_margin: base_margin(&param.base_score)?,
        nodes: Vec::new(),
        roots: Vec::new(),
    };
    for (index, tree) in learner.gradient_booster.model.trees.iter().enumerate() {
        let root = tree
            .lay_out(features, &mut forest.nodes)
            .context(format!("tree {index}"))?;
        forest.roots.push(root);
    }
    forest.nodes.shrink_to_fit();
    Ok(forest)
}

fn must_be(what: &str, found: &str, supported: &str) -> Result<()> {
    if found == supported {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{what} is {found:?}, and this model reads only {supported:?}"
    )))
}

fn number<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|error| Error::failed(format!("{what} is {text:?}: {error}")))
}

/// The base score as log odds, computed in float32 as XGBoost computes it.
fn base_margin(base_score: &str) -> Result<f32> {
    let probability = number::<f32>("base_score", base_score.trim_matches(['[', ']']))?;
    if !(0.0 < probability && probability < 1.0) {
        return Err(Error::failed(format!(
            "base_score is {base_score:?}: not between 0 and 1"
        )));
    }
    Ok(-(1.0 / probability - 1.0).ln())
}

impl Tree {
    /// Appends the tree to `nodes`, children after their parent and siblings side by side. Returns
    /// where its root stands.
    ///
    /// Nodes that no path leads to stay behind: XGBoost keeps pruned ones in its files.
    fn lay_out(&self, features: u32, nodes: &mut Vec<Node>) -> Result<u32> {
        let mut reached = vec![false; self.left_children.len()];
        let root = reserve(nodes, 1)?;
        // Nodes to come: their place in the file, and their place in the forest.
        let mut waiting = vec![(0, root)];
        while let Some((from, to)) = waiting.pop() {
            let seen = reached
                .get_mut(from)
                .context(format!("there is no node {from}"))?;
            // In a tree one path leads to each node. So this loop ends, and walks in the forest end.
            if std::mem::replace(seen, true) {
                return Err(Error::failed(format!("two paths lead to node {from}")));
            }
            let node = match self.children(from)? {
                None => Node::leaf(entry(&self.split_conditions, from)?),
                Some((left, right)) => {
                    let place = reserve(nodes, 2)?;
                    waiting.extend([(right, place + 1), (left, place)]);
                    self.split(from, features, place)?
                }
            };
            *nodes.get_mut(to as usize).context("no place for a node")? = node;
        }
        Ok(root)
    }

    /// The children of a node, or none at a leaf.
    fn children(&self, node: usize) -> Result<Option<(usize, usize)>> {
        let left = entry(&self.left_children, node)?;
        if left == -1 {
            return Ok(None);
        }
        let right = entry(&self.right_children, node)?;
        match (usize::try_from(left), usize::try_from(right)) {
            (Ok(left), Ok(right)) => Ok(Some((left, right))),
            _ => Err(Error::failed(format!(
                "node {node} has children {left} and {right}"
            ))),
        }
    }

    fn split(&self, node: usize, features: u32, left: u32) -> Result<Node> {
        let feature = entry(&self.split_indices, node)?;
        if feature >= features {
            return Err(Error::failed(format!(
                "node {node} splits on feature {feature} of {features}"
            )));
        }
        if self.split_type.get(node).is_some_and(|&kind| kind != 0) {
            return Err(Error::failed(format!(
                "node {node} splits on categories, and this model reads only numeric splits"
            )));
        }
        let threshold = entry(&self.split_conditions, node)?;
        let missing_right = entry(&self.default_left, node)? == 0;
        Ok(Node::split(feature, threshold, missing_right, left))
    }
}

/// A node's entry in one of the lists of its tree.
fn entry<T: Copy>(list: &[T], node: usize) -> Result<T> {
    list.get(node)
        .copied()
        .context(format!("a list ends before node {node}"))
}

/// Makes room for `count` nodes side by side. Returns where the first will stand.
fn reserve(nodes: &mut Vec<Node>, count: usize) -> Result<u32> {
    let place = u32::try_from(nodes.len())?;
    nodes.resize(nodes.len() + count, Node::leaf(0.0));
    Ok(place)
}

#[cfg(test)]
mod tests;
