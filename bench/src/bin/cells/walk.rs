//! The floor below every host: the same trees, walked by native code over flat arrays.

use serde::Deserialize;

/// The trees of one model.
pub struct Forest {
    base_margin: f32,
    nodes: Vec<Node>,
    roots: Vec<u32>,
}

/// A split, or a leaf, whose `left` is [`LEAF`].
struct Node {
    /// What the feature is compared with, or the leaf's value.
    value: f32,
    feature: u32,
    /// The right child stands behind the left one.
    left: u32,
}

const LEAF: u32 = u32::MAX;

/// What matters of the file that XGBoost saves.
#[derive(Deserialize)]
struct Saved {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    gradient_booster: Booster,
    learner_model_param: Parameters,
}

#[derive(Deserialize)]
struct Booster {
    model: Trees,
}

#[derive(Deserialize)]
struct Trees {
    trees: Vec<Tree>,
}

#[derive(Deserialize)]
struct Tree {
    left_children: Vec<i64>,
    right_children: Vec<i64>,
    split_conditions: Vec<f32>,
    split_indices: Vec<u32>,
}

#[derive(Deserialize)]
struct Parameters {
    /// A number in brackets.
    base_score: String,
}

impl Forest {
    /// Reads what XGBoost saved. The benchmark's models miss no values, so defaults are left out.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let saved: Saved = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let score = saved.learner.learner_model_param.base_score;
        let score: f32 = score
            .trim_matches(['[', ']'])
            .parse()
            .map_err(|_| format!("the base score is {score}"))?;
        let mut forest = Self {
            base_margin: (score / (1.0 - score)).ln(),
            nodes: Vec::new(),
            roots: Vec::new(),
        };
        for tree in &saved.learner.gradient_booster.model.trees {
            forest.add(tree).ok_or("a tree has no such form")?;
        }
        Ok(forest)
    }

    fn add(&mut self, tree: &Tree) -> Option<()> {
        let first = u32::try_from(self.nodes.len()).ok()?;
        self.roots.push(first);
        for (index, &left) in tree.left_children.iter().enumerate() {
            let leaf = left == -1;
            if !leaf && *tree.right_children.get(index)? != left + 1 {
                return None;
            }
            self.nodes.push(Node {
                value: *tree.split_conditions.get(index)?,
                feature: *tree.split_indices.get(index)?,
                left: if leaf {
                    LEAF
                } else {
                    first + u32::try_from(left).ok()?
                },
            });
        }
        Some(())
    }

    /// The probability, or NaN if the trees lead nowhere.
    pub fn probability(&self, row: &[f32]) -> f32 {
        let votes = self.roots.iter().map(|&root| self.vote(root, row));
        let margin = votes.fold(self.base_margin, |sum, vote| sum + vote);
        1.0 / (1.0 + (-margin).exp())
    }

    fn vote(&self, root: u32, row: &[f32]) -> f32 {
        let mut at = root;
        while let Some(node) = self.nodes.get(at as usize) {
            if node.left == LEAF {
                return node.value;
            }
            let value = row.get(node.feature as usize).copied();
            let right = value.unwrap_or(f32::NAN) >= node.value;
            at = node.left + u32::from(right);
        }
        f32::NAN
    }
}
