//! TreeEnsembleClassifier.

use tract_onnx::tract_hir::internal::*;

use super::attributes::{by_node, is_double, numbers};
use super::forest::{Forest, Threshold, Trees, add};
use crate::ops::attributes::Attributes;
use crate::ops::kernel::{Fact, Kernel};
use crate::ops::labels::{Labels, argmax};
use crate::ops::post::{PostTransform, logistic};
use crate::ops::values::tensor;

/// The class that the trees give the largest sum.
#[derive(Debug)]
pub(crate) struct TreeEnsembleClassifier {
    trees: Trees,
    labels: Labels,
    base: Vec<f32>,
    post: PostTransform,
    /// Set if a single sum decides between two classes.
    single: Option<Single>,
}

/// A sum that decides between two classes.
#[derive(Debug)]
struct Single {
    /// The class that the weights are for; they speak for the second class all the same.
    class: usize,
    /// Whether no weight is negative. The sum is then a probability.
    is_probability: bool,
}

impl TreeEnsembleClassifier {
    /// Turns a row's sums into scores, and returns its class.
    fn classify(&self, sums: &mut [f32]) -> usize {
        let Some(single) = &self.single else {
            sums.iter_mut()
                .zip(&self.base)
                .for_each(|(sum, base)| *sum += base);
            let class = argmax(sums);
            self.post.apply(sums);
            return class;
        };
        let base = self.base.last().copied().unwrap_or_default();
        let sum = sums.get(single.class).copied().unwrap_or_default() + base;
        let (scores, threshold) = match (single.is_probability, self.post) {
            (true, _) => ([1.0 - sum, sum], 0.5),
            (false, PostTransform::Logistic) => ([logistic(-sum), logistic(sum)], 0.0),
            (false, _) => ([-sum, sum], 0.0),
        };
        sums.copy_from_slice(&scores);
        usize::from(sum > threshold)
    }

    /// The labels and scores of all rows.
    fn answer<T: Threshold>(
        &self,
        forest: &Forest<T>,
        input: &Tensor,
    ) -> TractResult<TVec<Tensor>> {
        let (mut classes, mut scores) = (Vec::new(), Vec::new());
        let start = vec![T::from_f64(0.0); self.labels.len()];
        let rows = forest.sum(input, add, &start, |sums| {
            let row = scores.len();
            let narrow = |sum: &T| Into::<f64>::into(*sum) as f32;
            scores.extend(sums.iter().map(narrow));
            classes.push(self.classify(scores.get_mut(row..).unwrap_or_default()));
        })?;
        Ok(tvec![
            self.labels.choose(&classes)?,
            tensor(&[rows, self.labels.len()], scores)?,
        ])
    }
}

impl Kernel for TreeEnsembleClassifier {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let labels = Labels::read(attributes, "classlabels_int64s", "classlabels_strings")?;
        let names = ["nodes_values_as_tensor", "class_weights_as_tensor"];
        let base = numbers(attributes, "base_values")?;
        let ids = attributes.ints("class_ids")?;
        let weights = numbers(attributes, "class_weights")?;
        let single = match ids {
            [first, rest @ ..] if labels.len() == 2 && rest.iter().all(|id| id == first) => {
                Some(Single {
                    class: usize::try_from(*first)?,
                    is_probability: weights.iter().all(|weight| *weight >= 0.0),
                })
            }
            _ => None,
        };
        if single.is_none() && !base.is_empty() && base.len() != labels.len() {
            bail!(
                "{} base_values do not fit {} classes",
                base.len(),
                labels.len()
            );
        }
        Ok(Self {
            trees: by_node(attributes, "class", labels.len())?
                .trees(is_double(attributes, &names)?)?,
            base: base.into_iter().map(|value| value as f32).collect(),
            post: PostTransform::read(attributes)?,
            labels,
            single,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.trees.check(inputs)?;
        Ok(tvec![
            Fact::new(self.labels.kind(), [rows.clone()]),
            Fact::new(f32::datum_type(), [rows, self.labels.len().to_dim()]),
        ])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        match &self.trees {
            Trees::Narrow(forest) => self.answer(forest, input),
            Trees::Wide(forest) => self.answer(forest, input),
        }
    }
}
