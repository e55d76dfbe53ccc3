//! Scaler, Binarizer, Imputer and Normalizer: operators that change numbers where they stand.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{cast, expect_numbers, matrix_shape, tensor, values};

/// The only input's fact, as 32-bit floats.
fn as_floats(inputs: &[Fact]) -> TractResult<TVec<Fact>> {
    let [input] = inputs else {
        bail!("it takes one input");
    };
    expect_numbers(input.kind)?;
    Ok(tvec![Fact::new(
        f32::datum_type(),
        input.shape.iter().cloned()
    )])
}

fn only(inputs: &[TValue]) -> TractResult<&TValue> {
    inputs.first().context("it takes one input")
}

/// A value for each feature, or one for all of them.
fn value_of(list: &[f32], column: usize, default: f32) -> f32 {
    match list {
        [all] => *all,
        list => list.get(column).copied().unwrap_or(default),
    }
}

/// `(x - offset) * scale`.
#[derive(Debug)]
pub(crate) struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

impl Kernel for Scaler {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        Ok(Self {
            offset: attributes.floats("offset")?.to_vec(),
            scale: attributes.floats("scale")?.to_vec(),
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let facts = as_floats(inputs)?;
        for list in [&self.offset, &self.scale] {
            if let (Some(fact), true) = (facts.first(), list.len() > 1) {
                fact.expect_columns(list.len())?;
            }
        }
        Ok(facts)
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = only(inputs)?;
        let (_, columns) = matrix_shape(input)?;
        let floats = cast::<f32>(input)?;
        let scaled = values::<f32>(&floats)?
            .chunks(columns.max(1))
            .flat_map(|row| row.iter().enumerate())
            .map(|(column, value)| {
                (value - value_of(&self.offset, column, 0.0)) * value_of(&self.scale, column, 1.0)
            });
        Ok(tvec![tensor(input.shape(), scaled.collect())?])
    }
}

/// Whether a number is above a threshold.
#[derive(Debug)]
pub(crate) struct Binarizer {
    threshold: f32,
}

impl Kernel for Binarizer {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let threshold = attributes.float("threshold")?.unwrap_or(0.0);
        Ok(Self { threshold })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        as_floats(inputs)
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = only(inputs)?;
        let floats = cast::<f32>(input)?;
        let binary = values::<f32>(&floats)?
            .iter()
            .map(|value| f32::from(u8::from(*value > self.threshold)));
        Ok(tvec![tensor(input.shape(), binary.collect())?])
    }
}

/// Puts a value in the place of missing ones.
#[derive(Debug)]
pub(crate) enum Imputer {
    Floats { missing: f32, imputed: Vec<f32> },
    Ints { missing: i64, imputed: Vec<i64> },
}

impl Imputer {
    fn imputed(&self) -> usize {
        match self {
            Self::Floats { imputed, .. } => imputed.len(),
            Self::Ints { imputed, .. } => imputed.len(),
        }
    }
}

impl Kernel for Imputer {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let floats = attributes.floats("imputed_value_floats")?;
        let ints = attributes.ints("imputed_value_int64s")?;
        match (floats.is_empty(), ints.is_empty()) {
            (false, true) => Ok(Self::Floats {
                missing: attributes.float("replaced_value_float")?.unwrap_or(0.0),
                imputed: floats.to_vec(),
            }),
            (true, false) => Ok(Self::Ints {
                missing: attributes.int("replaced_value_int64")?.unwrap_or(0),
                imputed: ints.to_vec(),
            }),
            _ => bail!("it has not one of imputed_value_floats and imputed_value_int64s"),
        }
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let mut facts = as_floats(inputs)?;
        for fact in &mut facts {
            if matches!(self, Self::Ints { .. }) {
                fact.kind = i64::datum_type();
            }
            if self.imputed() > 1 {
                fact.expect_columns(self.imputed())?;
            }
        }
        Ok(facts)
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = only(inputs)?;
        let (_, columns) = matrix_shape(input)?;
        Ok(tvec![match self {
            Self::Floats { missing, imputed } => impute(input, columns, imputed, |value: &f32| {
                *value == *missing || (value.is_nan() && missing.is_nan())
            })?,
            Self::Ints { missing, imputed } => {
                impute(input, columns, imputed, |value: &i64| value == missing)?
            }
        }])
    }
}

fn impute<T: Datum + Copy>(
    input: &Tensor,
    columns: usize,
    imputed: &[T],
    is_missing: impl Fn(&T) -> bool,
) -> TractResult<Tensor> {
    let input = cast::<T>(input)?;
    let filled = values::<T>(&input)?
        .chunks(columns.max(1))
        .flat_map(|row| row.iter().enumerate())
        .map(|(column, value)| match imputed {
            _ if !is_missing(value) => *value,
            [all] => *all,
            list => list.get(column).copied().unwrap_or(*value),
        });
    tensor(input.shape(), filled.collect())
}

/// Divides a row by its norm.
#[derive(Debug)]
pub(crate) enum Normalizer {
    Max,
    L1,
    L2,
}

impl Kernel for Normalizer {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        Ok(match attributes.string("norm")?.unwrap_or("MAX") {
            "MAX" => Self::Max,
            "L1" => Self::L1,
            "L2" => Self::L2,
            other => bail!("norm is {other:?}, which is unknown"),
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        as_floats(inputs)
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = only(inputs)?;
        let (_, columns) = matrix_shape(input)?;
        let floats = cast::<f32>(input)?;
        let mut rows = values::<f32>(&floats)?.to_vec();
        for row in rows.chunks_mut(columns.max(1)) {
            let norm = match self {
                Self::Max => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                Self::L1 => row.iter().map(|value| value.abs()).sum(),
                Self::L2 => row.iter().map(|value| value * value).sum::<f32>().sqrt(),
            };
            // A row of zeros stays.
            if norm != 0.0 {
                row.iter_mut().for_each(|value| *value /= norm);
            }
        }
        Ok(tvec![tensor(input.shape(), rows)?])
    }
}
