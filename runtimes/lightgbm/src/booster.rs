//! A model: its trees, and what becomes of their sums.

use std::borrow::Cow;
use std::io::{Read, Seek};

use modelcell_forest::Forest;
use modelcell_guest::{Context, Error, Result};

use crate::leaves::Leaves;
use crate::objective::Objective;
use crate::read::read;

/// From so many rows on it is faster to walk them side by side than one after the other.
const ROWS_OF_A_BATCH: usize = 4;

/// A LightGBM model, ready to predict.
#[derive(Debug, Clone)]
pub struct Booster {
    version: String,
    boosting: String,
    objective: Objective,
    averaged: bool,
    outputs: usize,
    forest: Forest<f64>,
    leaves: Leaves,
    /// See [`Booster::comparable`].
    compares_with_infinity: bool,
}

impl Booster {
    /// Reads a model file as LightGBM 3 and 4 save it. `name` is the file's, for errors.
    ///
    /// # Errors
    /// Whatever is wrong with the file, and where.
    pub fn parse(name: &str, file: impl Read + Seek) -> Result<Self> {
        let saved = read(file).context(name)?;
        Ok(Self {
            version: saved.header.version,
            boosting: saved.boosting,
            objective: saved.header.objective,
            averaged: saved.header.averaged,
            outputs: saved.header.outputs,
            forest: saved.forest,
            leaves: saved.leaves,
            compares_with_infinity: saved.compares_with_infinity,
        })
    }

    /// The number of features of a row.
    pub fn features(&self) -> usize {
        self.forest.features()
    }

    /// The number of trees.
    pub fn trees(&self) -> usize {
        self.forest.trees()
    }

    /// The numbers that [`predict`](Self::predict) gives for each row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The number of classes that the model tells apart; 0 if it is no classification. With two there
    /// is one output, the probability of the second.
    pub fn classes(&self) -> usize {
        self.objective.classes
    }

    /// The objective, under LightGBM's name.
    pub fn objective(&self) -> &str {
        &self.objective.name
    }

    /// The bytes of memory that the trees take.
    pub fn bytes(&self) -> usize {
        self.forest.node_bytes() + self.leaves.bytes()
    }

    /// What it is, in a few words.
    pub fn description(&self) -> String {
        let linear = if self.leaves.are_linear() {
            "linear tree"
        } else {
            "tree"
        };
        let mut words = vec![
            self.boosting.clone(),
            self.objective.name.clone(),
            counted(self.trees(), linear),
            counted(self.features(), "feature"),
        ];
        if self.classes() > 0 {
            words.push(format!("{} classes", self.classes()));
        }
        format!("lightgbm {}: {}", self.version, words.join(", "))
    }

    /// Predicts as LightGBM's own `Booster.predict`: [`outputs`](Self::outputs) numbers for each row, one
    /// row after the other. `rows` has [`features`](Self::features) numbers for each row; NaN is a missing
    /// value.
    ///
    /// # Errors
    /// If `rows` is not made of whole rows.
    pub fn predict(&self, rows: &[f64]) -> Result<Vec<f64>> {
        let mut outputs = self.predict_raw(rows)?;
        if self.averaged {
            let iterations = (self.trees() / self.outputs) as f64;
            outputs.iter_mut().for_each(|sum| *sum /= iterations);
        }
        for sums in outputs.chunks_exact_mut(self.outputs) {
            self.objective.transform.apply(sums);
        }
        Ok(outputs)
    }

    /// The sums of the trees, before anything else is done: `Booster.predict` with `raw_score=True`.
    ///
    /// # Errors
    /// If `rows` is not made of whole rows.
    pub fn predict_raw(&self, rows: &[f64]) -> Result<Vec<f64>> {
        let features = self.features();
        let (count, rest) = (rows.len() / features, rows.len() % features);
        if rest != 0 {
            return Err(Error::invalid_input(format_args!(
                "expected rows of {features} features, and {rest} numbers are left over"
            )));
        }
        let mut sums = vec![0.0; count * self.outputs];
        let comparable = self.comparable(rows);
        if count < ROWS_OF_A_BATCH {
            self.sum_each_row(rows, &comparable, &mut sums);
        } else {
            self.sum_rows(rows, &comparable, &mut sums);
        }
        Ok(sums)
    }

    /// The rows as the forest may compare them. In it no number is below infinity that is not below all
    /// others; to LightGBM infinity is `<= infinity`, which is how it parts numbers from missing ones.
    /// So where a model does that, the largest number takes infinity's place.
    fn comparable<'a>(&self, rows: &'a [f64]) -> Cow<'a, [f64]> {
        if self.compares_with_infinity && rows.contains(&f64::INFINITY) {
            let finite = |&value| {
                if value == f64::INFINITY {
                    f64::MAX
                } else {
                    value
                }
            };
            rows.iter().map(finite).collect()
        } else {
            Cow::Borrowed(rows)
        }
    }

    /// All trees for a row, then the next row. Float64 sums depend on their order, which is that of the
    /// file in LightGBM.
    fn sum_each_row(&self, rows: &[f64], comparable: &[f64], sums: &mut [f64]) {
        let width = self.features();
        let mut leaves = vec![0; self.trees()];
        for ((row, comparable), sums) in rows
            .chunks_exact(width)
            .zip(comparable.chunks_exact(width))
            .zip(sums.chunks_exact_mut(self.outputs))
        {
            self.forest.leaves(comparable, &mut leaves);
            for iteration in leaves.chunks_exact(self.outputs) {
                for (&leaf, sum) in iteration.iter().zip(sums.iter_mut()) {
                    *sum += self.output(leaf, row);
                }
            }
        }
    }

    /// All trees for a block of rows, then the next block: the same sums in the same order.
    fn sum_rows(&self, rows: &[f64], comparable: &[f64], sums: &mut [f64]) {
        let width = self.features();
        self.forest
            .leaves_of_rows(comparable, width, |first, tree, leaves| {
                let rows = rows.get(first * width..).unwrap_or_default();
                let sums = sums.get_mut(first * self.outputs..).unwrap_or_default();
                for ((&leaf, row), sums) in leaves
                    .iter()
                    .zip(rows.chunks_exact(width))
                    .zip(sums.chunks_exact_mut(self.outputs))
                {
                    if let Some(sum) = sums.get_mut(tree % self.outputs) {
                        *sum += self.output(leaf, row);
                    }
                }
            });
    }

    #[inline]
    fn output(&self, leaf: u32, row: &[f64]) -> f64 {
        if self.leaves.are_linear() {
            self.leaves.output(leaf, row)
        } else {
            self.leaves.value(leaf)
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod malformed;
#[cfg(test)]
mod tests;
