//! ArrayFeatureExtractor and FeatureVectorizer: operators that pick columns and put them together.

use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{cast, expect_numbers, matrix_shape, refused, tensor, values};

/// Picks columns. Its second input says which.
#[derive(Debug)]
pub(crate) struct ArrayFeatureExtractor;

impl Kernel for ArrayFeatureExtractor {
    fn read(_attributes: &Attributes) -> TractResult<Self> {
        Ok(Self)
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let [data, columns] = inputs else {
            bail!("it takes two inputs");
        };
        expect_numbers(columns.kind)?;
        let picked: TDim = columns.shape.iter().product();
        let mut shape: TVec<TDim> = match data.shape.as_slice() {
            [_] => tvec![1.to_dim()],
            [outer @ .., _] => outer.iter().cloned().collect(),
            [] => bail!("it takes no scalars"),
        };
        shape.push(picked);
        Ok(tvec![Fact::new(data.kind, shape)])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let [data, columns] = inputs else {
            bail!("it takes two inputs");
        };
        let columns = cast::<i64>(columns)?;
        let columns = values::<i64>(&columns)?;
        Ok(tvec![dispatch_datum!(pick(data.datum_type())(
            data, columns
        ))?])
    }
}

fn pick<T: Datum>(data: &Tensor, columns: &[i64]) -> TractResult<Tensor> {
    let width = *data.shape().last().context("it takes no scalars")?;
    let mut shape: TVec<usize> = match data.shape() {
        [_] => tvec![1],
        [outer @ .., _] => outer.into(),
        [] => tvec![],
    };
    shape.push(columns.len());
    let mut picked = Vec::with_capacity(shape.iter().product());
    for row in values::<T>(data)?.chunks(width.max(1)) {
        for column in columns {
            let value = usize::try_from(*column).ok().and_then(|at| row.get(at));
            let value = value.ok_or_else(|| {
                refused(format_args!(
                    "there is no column {column}: there are {width}"
                ))
            })?;
            picked.push(value.clone());
        }
    }
    tensor(&shape, picked)
}

/// Puts matrices side by side, as 32-bit floats.
#[derive(Debug)]
pub(crate) struct FeatureVectorizer {
    /// How many columns of each input are used; the last ones are zero if an input has fewer.
    widths: Vec<usize>,
}

/// More columns than any model has: a width is a promise of the file that no bytes stand for.
const MAX_WIDTH: i64 = 1 << 16;

impl Kernel for FeatureVectorizer {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let widths = attributes.ints("inputdimensions")?;
        if widths.iter().any(|width| !(0..=MAX_WIDTH).contains(width)) {
            bail!("inputdimensions {widths:?} are out of range");
        }
        Ok(Self {
            widths: widths.iter().map(|width| *width as usize).collect(),
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        if inputs.len() != self.widths.len() {
            bail!("{} inputs do not fit its inputdimensions", inputs.len());
        }
        inputs
            .iter()
            .try_for_each(|input| expect_numbers(input.kind))?;
        let rows = inputs.first().context("it takes inputs")?.rows();
        let width: usize = self.widths.iter().sum();
        Ok(tvec![Fact::new(f32::datum_type(), [rows, width.to_dim()])])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let (rows, _) = matrix_shape(inputs.first().context("it takes inputs")?)?;
        let total: usize = self.widths.iter().sum();
        let mut vectors = vec![0.0_f32; rows * total];
        let mut start = 0;
        for (input, width) in inputs.iter().zip(&self.widths) {
            let (found, columns) = matrix_shape(input)?;
            if found != rows {
                return Err(refused(format_args!(
                    "its inputs have {rows} and {found} rows"
                )));
            }
            let input = cast::<f32>(input)?;
            let from = values::<f32>(&input)?.chunks(columns.max(1));
            for (to, from) in vectors.chunks_mut(total.max(1)).zip(from) {
                let to = to.get_mut(start..start + width).unwrap_or_default();
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            start += width;
        }
        Ok(tvec![tensor(&[rows, total], vectors)?])
    }
}
