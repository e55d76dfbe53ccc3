//! LinearClassifier and LinearRegressor.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::labels::{Labels, argmax};
use super::post::{PostTransform, logistic};
use super::values::{cast, expect_numbers, matrix_shape, refused, tensor, values};

/// Weighted sums of a row's features, one for each target.
#[derive(Debug)]
struct Linear {
    /// Target after target.
    coefficients: Vec<f32>,
    /// One for each target.
    intercepts: Vec<f32>,
    features: usize,
}

impl Linear {
    fn read(attributes: &Attributes, targets: usize) -> TractResult<Self> {
        let coefficients = attributes.floats("coefficients")?;
        let intercepts = attributes.floats("intercepts")?;
        if coefficients.is_empty() || targets == 0 || !coefficients.len().is_multiple_of(targets) {
            bail!(
                "{} coefficients do not fit {targets} targets",
                coefficients.len()
            );
        }
        if !intercepts.is_empty() && intercepts.len() != targets {
            bail!(
                "{} intercepts do not fit {targets} targets",
                intercepts.len()
            );
        }
        let mut intercepts = intercepts.to_vec();
        intercepts.resize(targets, 0.0);
        Ok(Self {
            coefficients: coefficients.to_vec(),
            intercepts,
            features: coefficients.len() / targets,
        })
    }

    fn targets(&self) -> usize {
        self.intercepts.len()
    }

    fn check(&self, inputs: &[Fact]) -> TractResult<TDim> {
        let [input] = inputs else {
            bail!("it takes one input");
        };
        expect_numbers(input.kind)?;
        input.expect_columns(self.features)?;
        Ok(input.rows())
    }

    /// The sums of all rows, row after row.
    fn eval(&self, input: &Tensor) -> TractResult<Vec<f32>> {
        let (rows, columns) = matrix_shape(input)?;
        if columns != self.features {
            return Err(refused(format_args!(
                "it takes {} features, and got {columns}",
                self.features
            )));
        }
        let input = cast::<f32>(input)?;
        let mut sums = Vec::with_capacity(rows * self.targets());
        for row in values::<f32>(&input)?.chunks_exact(self.features) {
            for (weights, intercept) in self
                .coefficients
                .chunks_exact(self.features)
                .zip(&self.intercepts)
            {
                sums.push(dot(row, weights) + intercept);
            }
        }
        Ok(sums)
    }
}

/// A sum of products, in four strands that a processor can compute side by side.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut strands = [0.0; 4];
    let (left, left_rest) = left.as_chunks::<4>();
    let (right, right_rest) = right.as_chunks::<4>();
    for (left, right) in left.iter().zip(right) {
        for ((strand, left), right) in strands.iter_mut().zip(left).zip(right) {
            *strand += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum();
    strands.iter().sum::<f32>() + rest
}

/// The class whose weighted sum is the largest.
#[derive(Debug)]
pub(crate) struct LinearClassifier {
    linear: Linear,
    labels: Labels,
    post: PostTransform,
}

impl LinearClassifier {
    /// Whether one sum decides between two classes.
    fn is_single(&self) -> bool {
        self.linear.targets() == 1 && self.labels.len() == 2
    }

    fn columns(&self) -> usize {
        if self.is_single() {
            2
        } else {
            self.linear.targets()
        }
    }

    fn classify(&self, sums: &[f32], scores: &mut Vec<f32>) -> usize {
        let (&[sum], true) = (sums, self.is_single()) else {
            let start = scores.len();
            scores.extend_from_slice(sums);
            self.post.apply(scores.get_mut(start..).unwrap_or_default());
            return argmax(sums);
        };
        scores.extend(match self.post {
            PostTransform::Logistic => [1.0 - logistic(sum), logistic(sum)],
            _ => [1.0 - sum, sum],
        });
        usize::from(sum > 0.0)
    }
}

impl Kernel for LinearClassifier {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let labels = Labels::read(attributes, "classlabels_ints", "classlabels_strings")?;
        let intercepts = attributes.floats("intercepts")?.len();
        let targets = if intercepts == 0 {
            labels.len()
        } else {
            intercepts
        };
        if targets != labels.len() && !(targets == 1 && labels.len() == 2) {
            bail!("{} labels do not fit {targets} intercepts", labels.len());
        }
        Ok(Self {
            linear: Linear::read(attributes, targets)?,
            labels,
            post: PostTransform::read(attributes)?,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.linear.check(inputs)?;
        Ok(tvec![
            Fact::new(self.labels.kind(), [rows.clone()]),
            Fact::new(f32::datum_type(), [rows, self.columns().to_dim()]),
        ])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let sums = self.linear.eval(input)?;
        let rows = sums.len() / self.linear.targets();
        let mut scores = Vec::with_capacity(rows * self.columns());
        let classes: Vec<usize> = sums
            .chunks_exact(self.linear.targets())
            .map(|sums| self.classify(sums, &mut scores))
            .collect();
        Ok(tvec![
            self.labels.choose(&classes)?,
            tensor(&[rows, self.columns()], scores)?,
        ])
    }
}

/// Weighted sums.
#[derive(Debug)]
pub(crate) struct LinearRegressor {
    linear: Linear,
    post: PostTransform,
}

impl Kernel for LinearRegressor {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let targets = attributes.int("targets")?.unwrap_or(1);
        Ok(Self {
            linear: Linear::read(attributes, usize::try_from(targets)?)?,
            post: PostTransform::read(attributes)?,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.linear.check(inputs)?;
        let shape = [rows, self.linear.targets().to_dim()];
        Ok(tvec![Fact::new(f32::datum_type(), shape)])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let mut sums = self.linear.eval(input)?;
        let targets = self.linear.targets();
        sums.chunks_exact_mut(targets)
            .for_each(|row| self.post.apply(row));
        Ok(tvec![tensor(&[sums.len() / targets, targets], sums)?])
    }
}
