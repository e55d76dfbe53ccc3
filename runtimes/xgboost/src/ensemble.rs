//! The boosters of an artifact, which predict together.

use modelcell_guest::{Error, Result};
use modelcell_tabular::Scores;

use crate::Booster;

/// At least one booster. All have the same features and as many predictions for a row.
pub(crate) struct Ensemble {
    first: Booster,
    others: Vec<Booster>,
}

impl Ensemble {
    /// # Errors
    /// If there are no boosters, or they do not go together. Each comes with its file's name.
    pub(crate) fn new(boosters: Vec<(String, Booster)>) -> Result<Self> {
        let mut boosters = boosters.into_iter();
        let (first_name, first) = boosters.next().ok_or_else(|| {
            Error::failed(
                "the artifact has no model file: put what XGBoost's save_model writes at its top, \
                 as xgboost-model or xgboost-model.json",
            )
        })?;
        let mut others = Vec::new();
        for (name, booster) in boosters {
            let shape = (booster.features(), booster.outputs());
            let expected = (first.features(), first.outputs());
            if shape != expected {
                return Err(Error::failed(format_args!(
                    "{name}: it has {} features and {} outputs, but {first_name} has {} and {}: \
                     models of an ensemble must agree",
                    shape.0, shape.1, expected.0, expected.1
                )));
            }
            others.push(booster);
        }
        Ok(Self { first, others })
    }

    /// The one that stands for all where they are alike.
    pub(crate) fn first(&self) -> &Booster {
        &self.first
    }

    /// The first, and how many there are.
    pub(crate) fn describe(&self) -> String {
        let first = self.first.describe();
        match self.others.len() {
            0 => first,
            others if self.votes() => format!("{first}; {} models that vote", others + 1),
            others => format!("{first}; the mean of {} models", others + 1),
        }
    }

    pub(crate) fn predict(&self, rows: &[f32], width: usize) -> Scores<f32> {
        let scores = self.first.predict(rows, width);
        if self.others.is_empty() {
            return scores;
        }
        let mut all = vec![scores.values];
        for booster in &self.others {
            all.push(booster.predict(rows, width).values);
        }
        let together = if self.votes() { vote } else { mean };
        let count = all.first().map_or(0, Vec::len);
        let mut one = Vec::with_capacity(all.len());
        let values = (0..count)
            .map(|index| {
                one.clear();
                one.extend(all.iter().filter_map(|values| values.get(index)));
                together(&mut one)
            })
            .collect();
        Scores::new(scores.columns, values)
    }

    /// Whether predictions are classes, whose mean would make no sense.
    fn votes(&self) -> bool {
        matches!(
            self.first.objective().name(),
            "multi:softmax" | "binary:hinge"
        )
    }
}

/// In float32 and in order, as numpy's mean over the models.
fn mean(values: &mut [f32]) -> f32 {
    let sum: f32 = values.iter().sum();
    sum / values.len() as f32
}

/// The most frequent, and the smallest of those.
fn vote(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    let mut best = (0, f32::NAN);
    for same in values.chunk_by(|a, b| a == b) {
        if let Some(&value) = same.first()
            && same.len() > best.0
        {
            best = (same.len(), value);
        }
    }
    best.1
}

#[cfg(test)]
mod tests;
