//! SVMClassifier and SVMRegressor.

mod classifier;
mod probability;

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::linear::dot;
use super::post::PostTransform;
use super::values::{cast, expect_numbers, matrix_shape, refused, tensor, values};

pub(crate) use classifier::SvmClassifier;

/// How alike two rows are.
#[derive(Debug, Clone, Copy)]
struct Likeness {
    kind: Kind,
    gamma: f32,
    coef0: f32,
    degree: f32,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

impl Likeness {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let kind = match attributes.string("kernel_type")?.unwrap_or("LINEAR") {
            "LINEAR" => Kind::Linear,
            "POLY" => Kind::Poly,
            "RBF" => Kind::Rbf,
            "SIGMOID" => Kind::Sigmoid,
            other => bail!("kernel_type is {other:?}, which is unknown"),
        };
        let (gamma, coef0, degree) = match attributes.floats("kernel_params")? {
            &[gamma, coef0, degree, ..] => (gamma, coef0, degree),
            _ => (0.0, 0.0, 0.0),
        };
        Ok(Self {
            kind,
            gamma,
            coef0,
            degree,
        })
    }

    fn of(&self, left: &[f32], right: &[f32]) -> f32 {
        match self.kind {
            Kind::Linear => dot(left, right),
            Kind::Poly => (self.gamma * dot(left, right) + self.coef0).powf(self.degree),
            Kind::Sigmoid => (self.gamma * dot(left, right) + self.coef0).tanh(),
            Kind::Rbf => {
                let distance: f32 = left.iter().zip(right).map(|(l, r)| (l - r) * (l - r)).sum();
                (-self.gamma * distance).exp()
            }
        }
    }
}

/// The vectors that rows are compared with.
#[derive(Debug)]
struct Vectors {
    likeness: Likeness,
    /// Vector after vector.
    values: Vec<f32>,
    count: usize,
    features: usize,
}

impl Vectors {
    fn new(likeness: Likeness, values: &[f32], count: usize) -> TractResult<Self> {
        if count == 0 || values.is_empty() || !values.len().is_multiple_of(count) {
            bail!("{} numbers do not make {count} vectors", values.len());
        }
        Ok(Self {
            likeness,
            values: values.to_vec(),
            count,
            features: values.len() / count,
        })
    }

    fn check(&self, inputs: &[Fact]) -> TractResult<TDim> {
        let [input] = inputs else {
            bail!("it takes one input");
        };
        expect_numbers(input.kind)?;
        input.expect_columns(self.features)?;
        Ok(input.rows())
    }

    /// Calls `each` with how alike each row is to each vector.
    fn compare(&self, input: &Tensor, mut each: impl FnMut(&[f32])) -> TractResult<usize> {
        let (rows, columns) = matrix_shape(input)?;
        if columns != self.features {
            return Err(refused(format_args!(
                "it takes {} features, and got {columns}",
                self.features
            )));
        }
        let input = cast::<f32>(input)?;
        let mut alike = Vec::with_capacity(self.count);
        for row in values::<f32>(&input)?.chunks_exact(self.features) {
            alike.clear();
            let vectors = self.values.chunks_exact(self.features);
            alike.extend(vectors.map(|vector| self.likeness.of(row, vector)));
            each(&alike);
        }
        Ok(rows)
    }
}

/// A weighted sum. Its weights are large and nearly cancel each other, so it takes 64 bits.
fn sum(alike: &[f32], weights: &[f32]) -> f32 {
    let products = alike.iter().zip(weights);
    products
        .map(|(alike, weight)| f64::from(*alike) * f64::from(*weight))
        .sum::<f64>() as f32
}

/// A weighted sum of likenesses.
#[derive(Debug)]
pub(crate) struct SvmRegressor {
    vectors: Vectors,
    /// One for each vector; none if the only vector is the sum's weights themselves.
    coefficients: Vec<f32>,
    rho: f32,
    /// Whether only the sum's sign counts.
    one_class: bool,
    post: PostTransform,
}

impl Kernel for SvmRegressor {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let coefficients = attributes.floats("coefficients")?;
        let count = usize::try_from(attributes.int("n_supports")?.unwrap_or(0))?;
        let mut likeness = Likeness::read(attributes)?;
        let (vectors, coefficients) = if count > 0 {
            let vectors = attributes.floats("support_vectors")?;
            (Vectors::new(likeness, vectors, count)?, coefficients)
        } else {
            likeness.kind = Kind::Linear;
            (Vectors::new(likeness, coefficients, 1)?, &[1.0][..])
        };
        if coefficients.len() != vectors.count {
            bail!(
                "{} coefficients do not fit {count} vectors",
                coefficients.len()
            );
        }
        let rho = attributes.floats("rho")?.first();
        Ok(Self {
            vectors,
            coefficients: coefficients.to_vec(),
            rho: *rho.context("it has no rho")?,
            one_class: attributes.int("one_class")?.unwrap_or(0) != 0,
            post: PostTransform::read(attributes)?,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.vectors.check(inputs)?;
        Ok(tvec![Fact::new(f32::datum_type(), [rows, 1.to_dim()])])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let mut sums = Vec::new();
        let rows = self.vectors.compare(input, |alike| {
            let sum = sum(alike, &self.coefficients) + self.rho;
            sums.push(match self.one_class {
                true if sum > 0.0 => 1.0,
                true => -1.0,
                false => sum,
            });
        })?;
        if self.post == PostTransform::Probit {
            self.post.apply(&mut sums);
        }
        Ok(tvec![tensor(&[rows, 1], sums)?])
    }
}
