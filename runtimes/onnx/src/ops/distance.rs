//! CDist of com.microsoft: the distances between the rows of two matrices.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{cast, matrix_shape, refused, tensor, values};

/// The distances between the rows of two matrices.
#[derive(Debug)]
pub(crate) struct CDist {
    /// Whether distances are squared.
    squared: bool,
}

impl Kernel for CDist {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let squared = match attributes.string("metric")?.unwrap_or("sqeuclidean") {
            "euclidean" => false,
            "sqeuclidean" => true,
            other => bail!("metric is {other:?}, which is not supported"),
        };
        Ok(Self { squared })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let [left, right] = inputs else {
            bail!("it takes two inputs");
        };
        if !left.kind.is_float() || left.kind != right.kind {
            bail!(
                "it takes floats, and its inputs are {:?} and {:?}",
                left.kind,
                right.kind
            );
        }
        if let Some(columns) = left.columns() {
            right.expect_columns(columns)?;
        }
        Ok(tvec![Fact::new(left.kind, [left.rows(), right.rows()])])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let [left, right] = inputs else {
            bail!("it takes two inputs");
        };
        let ((rows, columns), (others, width)) = (matrix_shape(left)?, matrix_shape(right)?);
        if columns != width || columns == 0 {
            return Err(refused(format_args!(
                "its inputs have {columns} and {width} columns"
            )));
        }
        let kind = left.datum_type();
        // Sums of squares are small numbers' undoing, so they are summed in 64 bits.
        let (left, right) = (cast::<f64>(left)?, cast::<f64>(right)?);
        let mut distances = Vec::with_capacity(rows * others);
        for left in values::<f64>(&left)?.chunks_exact(columns) {
            for right in values::<f64>(&right)?.chunks_exact(columns) {
                let sum: f64 = left.iter().zip(right).map(|(l, r)| (l - r) * (l - r)).sum();
                distances.push(if self.squared { sum } else { sum.sqrt() });
            }
        }
        let distances = tensor(&[rows, others], distances)?;
        Ok(tvec![distances.cast_to_dt(kind)?.into_owned()])
    }
}
