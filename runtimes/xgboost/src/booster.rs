//! A model, ready to predict.

use std::io::Read;

use modelcell_forest::Forest;
use modelcell_guest::{Error, Result};
use modelcell_tabular::Scores;

use crate::format;
use crate::objective::Objective;
use crate::saved::trees::Trees;
use crate::saved::{Saved, Version, missing};

/// From so many rows on it pays to walk a tree with several rows at once, rather than several trees with
/// one row.
const BLOCK: usize = 4;

/// A booster, as `XGBoost` calls a trained model: trees or weights, and the objective that makes
/// predictions of their sums.
pub struct Booster {
    version: Version,
    name: String,
    objective: Objective,
    features: usize,
    /// What each output's sum begins with. At least one.
    base: Vec<f32>,
    kind: Kind,
}

enum Kind {
    Trees {
        forest: Forest<f32>,
        /// Numbers of the leaves, if they are vectors. The forest then has where each begins.
        vectors: Vec<f32>,
        /// The output of each tree. Empty if there is only one, or leaves are vectors.
        outputs: Vec<u32>,
        /// What each tree's leaves are multiplied by. Empty if that is 1.
        weights: Vec<f32>,
    },
    /// For each feature a weight per output, then a bias per output.
    Linear(Vec<f32>),
}

impl Booster {
    /// Reads a model file: JSON, UBJSON or the older binary format of `XGBoost`, told apart by what is
    /// in it. `bytes` is how long it is, or 0: with that, room is made for the trees at once, and none is
    /// left over from when they were fewer.
    ///
    /// # Errors
    /// Failed, if it is malformed or something else; the text begins with `name` and says where.
    pub fn parse(name: &str, file: impl Read, bytes: u64) -> Result<Self> {
        format::read(file, bytes)
            .and_then(Self::new)
            .map_err(|error| Error::failed(format_args!("{name}: {}", error.message())))
    }

    fn new(saved: Saved) -> Result<Self> {
        let name = saved
            .booster
            .as_deref()
            .ok_or_else(|| missing("the booster's name"))?;
        let objective = saved.objective.as_deref();
        let objective = Objective::new(
            objective.ok_or_else(|| missing("the objective"))?,
            saved.version,
        )?;
        let features = saved.features.ok_or_else(|| missing("num_feature"))?;
        let outputs = saved.outputs()?;
        if objective.has_classes() && saved.classes < 1 {
            return Err(Error::failed(format_args!(
                "its objective is {}, but num_class is {}",
                objective.name(),
                saved.classes
            )));
        }
        if !objective.allows(outputs) {
            return Err(Error::failed(format_args!(
                "models of {} with several outputs are not supported: train one for each",
                objective.name()
            )));
        }
        let base = base(&saved, &objective)?;
        let (name, version) = (name.to_owned(), saved.version);
        let kind = match name.as_str() {
            "gbtree" | "dart" => trees(saved, features, outputs)?,
            "gblinear" => linear(saved, features, outputs)?,
            other => {
                return Err(Error::failed(format_args!(
                    "its booster is {other:?}: known are gbtree, dart and gblinear"
                )));
            }
        };
        Ok(Self {
            version,
            name,
            objective,
            features: features as usize,
            base,
            kind,
        })
    }

    /// The number of features of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The objective.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The number of predictions for each row.
    pub fn outputs(&self) -> usize {
        self.objective.predictions(self.base.len())
    }

    /// The number of classes that the objective tells apart: 0 if it tells none apart.
    pub fn classes(&self) -> usize {
        if self.objective.has_classes() {
            self.base.len()
        } else if self.objective.name().starts_with("binary:") {
            2
        } else {
            0
        }
    }

    /// What it is, in a line: `xgboost 3.2.0: gbtree, binary:logistic, 100 trees, 10 features`.
    pub fn describe(&self) -> String {
        let size = match &self.kind {
            Kind::Trees { forest, .. } => format!("{} trees, ", forest.trees()),
            Kind::Linear(_) => String::new(),
        };
        let outputs = match (self.classes(), self.base.len()) {
            (0, 1) => String::new(),
            (0, outputs) => format!(", {outputs} outputs"),
            (classes, _) => format!(", {classes} classes"),
        };
        format!(
            "xgboost {}: {}, {}, {size}{} features{outputs}",
            self.version,
            self.name,
            self.objective.name(),
            self.features
        )
    }

    /// Predicts for rows of `width` numbers, one row after the other. NaN is a missing value, and so are
    /// features from `width` on.
    pub fn predict(&self, rows: &[f32], width: usize) -> Scores<f32> {
        let margins = self.margins(rows, width.max(1));
        let outputs = self.base.len();
        Scores::new(self.outputs(), self.objective.transform(margins, outputs))
    }

    /// The sums, one per output for each row. Float32 sums depend on their order, and this is
    /// `XGBoost`'s: the bias, then tree after tree.
    fn margins(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let count = rows.len() / width;
        match &self.kind {
            Kind::Linear(weights) => self.linear_margins(weights, rows, width),
            Kind::Trees { forest, .. } => {
                let mut margins = self.base.repeat(count);
                if count < BLOCK {
                    let mut leaves = vec![0; forest.trees()];
                    let outputs = self.base.len();
                    for (row, margins) in rows
                        .chunks_exact(width)
                        .zip(margins.chunks_exact_mut(outputs))
                    {
                        forest.leaves(row, &mut leaves);
                        for (tree, &leaf) in leaves.iter().enumerate() {
                            self.add(tree, &[leaf], margins);
                        }
                    }
                } else {
                    forest.leaves_of_rows(rows, width, |first, tree, leaves| {
                        let margins = margins.get_mut(first * self.base.len()..);
                        self.add(tree, leaves, margins.unwrap_or_default());
                    });
                }
                margins
            }
        }
    }

    /// Adds a tree's leaves to the sums of as many rows.
    #[inline]
    fn add(&self, tree: usize, leaves: &[u32], margins: &mut [f32]) {
        let Kind::Trees {
            vectors,
            outputs,
            weights,
            ..
        } = &self.kind
        else {
            return;
        };
        let weight = weights.get(tree).copied().unwrap_or(1.0);
        let value = |leaf: u32| f32::from_bits(leaf) * weight;
        let stride = self.base.len();
        if !vectors.is_empty() {
            for (margins, &leaf) in margins.chunks_exact_mut(stride).zip(leaves) {
                let vector = vectors.get(leaf as usize..).unwrap_or_default();
                for (margin, leaf) in margins.iter_mut().zip(vector) {
                    *margin += leaf * weight;
                }
            }
        } else if stride == 1 {
            for (margin, &leaf) in margins.iter_mut().zip(leaves) {
                *margin += value(leaf);
            }
        } else {
            let output = outputs.get(tree).map_or(0, |&output| output as usize);
            let margins = margins.iter_mut().skip(output).step_by(stride);
            for (margin, &leaf) in margins.zip(leaves) {
                *margin += value(leaf);
            }
        }
    }

    fn linear_margins(&self, weights: &[f32], rows: &[f32], width: usize) -> Vec<f32> {
        let outputs = self.base.len();
        let (weights, biases) = weights.split_at(self.features * outputs);
        // So in XGBoost, whatever the output.
        let base = self.base.first().copied().unwrap_or_default();
        let mut margins = Vec::with_capacity(rows.len() / width * outputs);
        for row in rows.chunks_exact(width) {
            let begin = margins.len();
            margins.extend(biases.iter().map(|bias| bias + base));
            let margins = margins.get_mut(begin..).unwrap_or_default();
            for (&value, weights) in row.iter().zip(weights.chunks_exact(outputs)) {
                // Missing values add nothing.
                if !value.is_nan() {
                    for (margin, weight) in margins.iter_mut().zip(weights) {
                        *margin += value * weight;
                    }
                }
            }
        }
        margins
    }
}

/// What each output's sum begins with.
fn base(saved: &Saved, objective: &Objective) -> Result<Vec<f32>> {
    let outputs = saved.outputs()?;
    if saved.base_is_margin {
        return Ok(saved.base_score.repeat(outputs));
    }
    // Until XGBoost 3.0 there was one for all.
    let scores = match saved.base_score.len() {
        1 => saved.base_score.repeat(outputs),
        _ => saved.base_score.clone(),
    };
    if scores.len() != outputs {
        return Err(Error::failed(format_args!(
            "base_score has {} entries, but the model has {outputs} outputs",
            scores.len()
        )));
    }
    scores
        .into_iter()
        .map(|score| {
            let margin = objective.margin(score, saved.version);
            margin.is_finite().then_some(margin).ok_or_else(|| {
                Error::failed(format_args!(
                    "base_score is {score}, which {} cannot have",
                    objective.name()
                ))
            })
        })
        .collect()
}

fn trees(saved: Saved, features: u32, outputs: usize) -> Result<Kind> {
    let mut weights = saved.tree_weights;
    let Trees {
        mut forest,
        vectors,
        outputs: trees_outputs,
    } = saved.trees.finish(features, outputs)?;
    // As of XGBoost 3.4 gbtree may have weights, too, and those of the last trees may be left out.
    let is_dart = saved.booster.as_deref() == Some("dart");
    if weights.len() > forest.trees() || (is_dart && weights.len() != forest.trees()) {
        return Err(Error::failed(format_args!(
            "weight_drop has {} entries for {} trees",
            weights.len(),
            forest.trees()
        )));
    }
    weights.shrink_to_fit();
    // Newer versions keep what an older one wrote there, and pay no heed to it.
    let best = saved.best_trees.filter(|&best| best > 0);
    if let Some(best) = best.filter(|_| saved.version < Version([2, 0, 0])) {
        forest.truncate((best as usize).saturating_mul(outputs));
    }
    Ok(Kind::Trees {
        forest,
        vectors,
        outputs: trees_outputs,
        weights,
    })
}

fn linear(saved: Saved, features: u32, outputs: usize) -> Result<Kind> {
    let mut weights = saved.weights.ok_or_else(|| missing("weights"))?;
    let expected = (features as usize)
        .checked_add(1)
        .and_then(|rows| rows.checked_mul(outputs));
    if expected != Some(weights.len()) {
        return Err(Error::failed(format_args!(
            "there are {} weights for {features} features and {outputs} outputs",
            weights.len()
        )));
    }
    weights.shrink_to_fit();
    Ok(Kind::Linear(weights))
}
