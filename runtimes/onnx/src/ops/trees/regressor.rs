//! TreeEnsembleRegressor and TreeEnsemble.

use tract_onnx::tract_hir::internal::*;

use super::attributes::{by_branch, by_node, is_double};
use super::forest::{Trees, Weight, add};
use crate::ops::attributes::Attributes;
use crate::ops::kernel::{Fact, Kernel};
use crate::ops::post::PostTransform;
use crate::ops::values::tensor;

/// What becomes of what the trees say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// Numbers for the targets of a regression.
#[derive(Debug)]
pub(crate) struct TreeEnsembleRegressor {
    trees: Trees,
    aggregate: Aggregate,
    base: Vec<f32>,
    post: PostTransform,
    targets: usize,
    /// The type of the output.
    kind: DatumType,
}

/// More targets than any model has: their number is a promise that no bytes stand for.
const MAX_TARGETS: i64 = 1 << 16;

fn targets(attributes: &Attributes) -> TractResult<usize> {
    let targets = attributes.int("n_targets")?.unwrap_or(1);
    if !(1..=MAX_TARGETS).contains(&targets) {
        bail!("n_targets is {targets}, which is out of range");
    }
    Ok(targets as usize)
}

impl TreeEnsembleRegressor {
    fn read_by_node(attributes: &Attributes) -> TractResult<Self> {
        let targets = targets(attributes)?;
        let names = ["nodes_values_as_tensor", "target_weights_as_tensor"];
        let base = super::attributes::numbers(attributes, "base_values")?;
        if !base.is_empty() && base.len() != targets {
            bail!("{} base_values do not fit {targets} targets", base.len());
        }
        let aggregate = match attributes.string("aggregate_function")?.unwrap_or("SUM") {
            "SUM" => Aggregate::Sum,
            "AVERAGE" => Aggregate::Average,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            other => bail!("aggregate_function is {other:?}, which is unknown"),
        };
        Ok(Self {
            trees: by_node(attributes, "target", targets)?.trees(is_double(attributes, &names)?)?,
            aggregate,
            base: base.into_iter().map(|value| value as f32).collect(),
            post: PostTransform::read(attributes)?,
            targets,
            kind: f32::datum_type(),
        })
    }

    fn read_by_branch(attributes: &Attributes) -> TractResult<Self> {
        let targets = targets(attributes)?;
        let is_double = is_double(attributes, &["nodes_splits", "leaf_weights"])?;
        Ok(Self {
            trees: by_branch(attributes, targets)?.trees(is_double)?,
            aggregate: match attributes.int("aggregate_function")?.unwrap_or(1) {
                0 => Aggregate::Average,
                1 => Aggregate::Sum,
                2 => Aggregate::Min,
                3 => Aggregate::Max,
                other => bail!("aggregate_function is {other}, which is unknown"),
            },
            base: Vec::new(),
            post: PostTransform::from_number(attributes.int("post_transform")?.unwrap_or(0))?,
            targets,
            kind: if is_double {
                f64::datum_type()
            } else {
                f32::datum_type()
            },
        })
    }

    fn finish(&self, sums: &mut [f32]) {
        if self.aggregate == Aggregate::Average {
            let count = self.trees.count().max(1) as f32;
            sums.iter_mut().for_each(|sum| *sum /= count);
        }
        // Of a target that no tree has a weight for, only the base value counts.
        for sum in sums.iter_mut().filter(|sum| sum.is_infinite()) {
            *sum = 0.0;
        }
        sums.iter_mut()
            .zip(&self.base)
            .for_each(|(sum, base)| *sum += base);
        // A single number is not transformed: so does onnxruntime.
        if self.targets > 1 || self.post == PostTransform::Probit {
            self.post.apply(sums);
        }
    }
}

impl Kernel for TreeEnsembleRegressor {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        match attributes.operator() {
            "TreeEnsemble" => Self::read_by_branch(attributes),
            _ => Self::read_by_node(attributes),
        }
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.trees.check(inputs)?;
        Ok(tvec![Fact::new(self.kind, [rows, self.targets.to_dim()])])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let mut all = Vec::new();
        let each = |sums: &mut [f32]| {
            self.finish(sums);
            all.extend_from_slice(sums);
        };
        let start = |value| vec![value; self.targets];
        let rows = match self.aggregate {
            Aggregate::Sum | Aggregate::Average => self.trees.sum(input, add, &start(0.0), each),
            Aggregate::Min => self
                .trees
                .sum(input, choose(f32::min), &start(f32::INFINITY), each),
            Aggregate::Max => {
                self.trees
                    .sum(input, choose(f32::max), &start(f32::NEG_INFINITY), each)
            }
        }?;
        let output = tensor(&[rows, self.targets], all)?;
        Ok(tvec![output.cast_to_dt(self.kind)?.into_owned()])
    }
}

/// Keeps the one of two numbers that `better` prefers.
fn choose(better: fn(f32, f32) -> f32) -> impl Fn(&mut [f32], &[Weight]) {
    move |sums, weights| {
        for weight in weights {
            if let Some(sum) = sums.get_mut(weight.target as usize) {
                *sum = better(*sum, weight.value);
            }
        }
    }
}
