//! SVMClassifier: each pair of classes is told apart by a sum of likenesses, and the pairs vote.

use tract_onnx::tract_hir::internal::*;

use super::probability::{of_pairs, sigmoid};
use super::{Likeness, Vectors, sum};
use crate::ops::attributes::Attributes;
use crate::ops::kernel::{Fact, Kernel};
use crate::ops::labels::{Labels, argmax};
use crate::ops::post::PostTransform;
use crate::ops::values::tensor;

/// The class that wins most pairs.
#[derive(Debug)]
pub(crate) struct SvmClassifier {
    labels: Labels,
    post: PostTransform,
    vectors: Vectors,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// Each class has a vector of weights, and the largest weighted sum wins.
    Linear { rho: f32 },
    Pairs {
        pairs: Vec<Pair>,
        /// Whether the scores are probabilities of the classes, and not the sums of the pairs.
        probabilities: bool,
    },
}

/// What tells two classes apart.
#[derive(Debug)]
struct Pair {
    classes: (usize, usize),
    /// The weights of the vectors of either class, and where these vectors begin.
    weights: [(usize, Vec<f32>); 2],
    rho: f32,
    /// The slope and the intercept of the sigmoid that makes a probability of the sum.
    sigmoid: (f32, f32),
}

impl Pair {
    fn sum(&self, alike: &[f32]) -> f32 {
        let parts = self.weights.iter().map(|(start, weights)| {
            let alike = alike.get(*start..).unwrap_or_default();
            sum(alike, weights)
        });
        parts.sum::<f32>() + self.rho
    }
}

/// More classes than any model has; their pairs are as many as the square of this.
const MAX_CLASSES: usize = 1024;

impl SvmClassifier {
    fn columns(&self) -> usize {
        match &self.mode {
            Mode::Pairs {
                pairs,
                probabilities: false,
            } if pairs.len() > 1 => pairs.len(),
            _ => self.labels.len(),
        }
    }

    /// Appends a row's scores, and returns its class.
    fn classify(&self, alike: &[f32], scores: &mut Vec<f32>) -> usize {
        let start = scores.len();
        let class = match &self.mode {
            Mode::Linear { rho } => {
                scores.extend(alike.iter().map(|sum| sum + rho));
                argmax(scores.get(start..).unwrap_or_default())
            }
            Mode::Pairs {
                pairs,
                probabilities,
            } => self.vote(pairs, *probabilities, alike, scores),
        };
        // The transformations of a single pair's sum are what onnxruntime makes of them: none.
        self.post.apply(scores.get_mut(start..).unwrap_or_default());
        class
    }

    fn vote(
        &self,
        pairs: &[Pair],
        probabilities: bool,
        alike: &[f32],
        scores: &mut Vec<f32>,
    ) -> usize {
        let mut votes = vec![0.0; self.labels.len()];
        let sums: Vec<f32> = pairs
            .iter()
            .map(|pair| {
                let sum = pair.sum(alike);
                let (first, second) = pair.classes;
                let winner = if sum > 0.0 { first } else { second };
                votes
                    .get_mut(winner)
                    .into_iter()
                    .for_each(|votes| *votes += 1.0);
                sum
            })
            .collect();
        if probabilities {
            let wins = pairs.iter().zip(&sums);
            let wins: Vec<f32> = wins
                .map(|(pair, sum)| sigmoid(*sum, pair.sigmoid))
                .collect();
            scores.extend(of_pairs(self.labels.len(), &wins));
        } else if let [sum] = sums.as_slice() {
            scores.extend([-sum, *sum]);
        } else {
            scores.extend(sums);
        }
        argmax(&votes)
    }
}

impl Kernel for SvmClassifier {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let labels = Labels::read(attributes, "classlabels_ints", "classlabels_strings")?;
        let post = PostTransform::read(attributes)?;
        let mut likeness = Likeness::read(attributes)?;
        let coefficients = attributes.floats("coefficients")?;
        let rho = attributes.floats("rho")?;
        let per_class = attributes.ints("vectors_per_class")?;
        if labels.len() > MAX_CLASSES {
            bail!("{} classes are more than {MAX_CLASSES}", labels.len());
        }
        let (vectors, mode) = if per_class.is_empty() {
            likeness.kind = super::Kind::Linear;
            let vectors = Vectors::new(likeness, coefficients, labels.len())?;
            let rho = *rho.first().context("it has no rho")?;
            (vectors, Mode::Linear { rho })
        } else {
            let starts = starts(per_class, labels.len())?;
            let count = *starts.last().context("it has no vectors")?;
            let vectors = attributes.floats("support_vectors")?;
            (
                Vectors::new(likeness, vectors, count)?,
                pairs(attributes, &starts, rho, coefficients)?,
            )
        };
        Ok(Self {
            labels,
            post,
            vectors,
            mode,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.vectors.check(inputs)?;
        Ok(tvec![
            Fact::new(self.labels.kind(), [rows.clone()]),
            Fact::new(f32::datum_type(), [rows, self.columns().to_dim()]),
        ])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let mut classes = Vec::new();
        let mut scores = Vec::new();
        let rows = self.vectors.compare(input, |alike| {
            classes.push(self.classify(alike, &mut scores));
        })?;
        Ok(tvec![
            self.labels.choose(&classes)?,
            tensor(&[rows, self.columns()], scores)?,
        ])
    }
}

/// Where each class's vectors begin, and at last where they all end.
fn starts(per_class: &[i64], classes: usize) -> TractResult<Vec<usize>> {
    if per_class.len() != classes || classes < 2 {
        bail!(
            "vectors_per_class has {} entries for {classes} classes",
            per_class.len()
        );
    }
    let mut starts = vec![0];
    let mut end = 0_usize;
    for count in per_class {
        end = end
            .checked_add(usize::try_from(*count)?)
            .context("vectors_per_class is out of range")?;
        starts.push(end);
    }
    Ok(starts)
}

/// Sorts the coefficients by pair. The file has them as a matrix with a row for each class but one and
/// a column for each vector: in the columns of a class stand its weights against the others, in order.
fn pairs(
    attributes: &Attributes,
    starts: &[usize],
    rho: &[f32],
    coefficients: &[f32],
) -> TractResult<Mode> {
    let (slopes, intercepts) = (attributes.floats("prob_a")?, attributes.floats("prob_b")?);
    let classes = starts.len() - 1;
    let count = starts.last().copied().unwrap_or_default();
    let weights = |row: usize, class: usize| -> TractResult<(usize, Vec<f32>)> {
        let ends = starts.get(class).zip(starts.get(class + 1));
        let (start, end) = ends.context("there is no such class")?;
        let range = row * count + start..row * count + end;
        let found = coefficients
            .get(range)
            .context("it has too few coefficients")?;
        Ok((*start, found.to_vec()))
    };
    let mut pairs = Vec::new();
    for first in 0..classes {
        for second in first + 1..classes {
            let at = pairs.len();
            pairs.push(Pair {
                classes: (first, second),
                weights: [weights(second - 1, first)?, weights(first, second)?],
                rho: *rho.get(at).context("it has too few of rho")?,
                sigmoid: match slopes.is_empty() {
                    true => (0.0, 0.0),
                    false => slopes
                        .get(at)
                        .copied()
                        .zip(intercepts.get(at).copied())
                        .context("it has too few of prob_a or prob_b")?,
                },
            });
        }
    }
    Ok(Mode::Pairs {
        pairs,
        probabilities: !slopes.is_empty(),
    })
}
