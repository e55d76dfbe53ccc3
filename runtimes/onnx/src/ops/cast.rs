//! Cast. tract's own makes lengths of whole numbers, which may then be symbolic; for the numbers and
//! texts of data that is slow, and text it hardly knows.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;
use super::kernel::{Fact, Kernel};
use super::values::{refused, tensor, values};

/// Converts values to another type.
#[derive(Debug)]
pub(crate) struct Cast {
    to: DatumType,
}

impl Kernel for Cast {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        let number = attributes.int("to")?.context("it has no attribute to")?;
        let kind = DataType::try_from(i32::try_from(number)?)
            .map_err(|_| format_err!("its type has the unknown number {number}"))?;
        Ok(Self {
            to: DatumType::try_from(kind)?,
        })
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let [input] = inputs else {
            bail!("it takes one input");
        };
        Ok(tvec![Fact::new(self.to, input.shape.iter().cloned())])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let text = String::datum_type();
        Ok(tvec![match (input.datum_type(), self.to) {
            (from, to) if from == to => input.clone().into_tensor(),
            (from, to) if from == text => parse(input)?.cast_to_dt(to)?.into_owned(),
            (_, to) if to == text => print(input)?,
            (from, to) if to == bool::datum_type() && from.is_float() => {
                let input = input.cast_to::<f64>()?;
                let bits = values::<f64>(&input)?.iter().map(|value| *value != 0.0);
                tensor(input.shape(), bits.collect())?
            }
            (_, to) => input.cast_to_dt(to)?.into_owned(),
        }])
    }
}

/// The numbers that texts spell.
fn parse(input: &Tensor) -> TractResult<Tensor> {
    let numbers = values::<String>(input)?.iter().map(|text| {
        text.trim()
            .parse::<f64>()
            .map_err(|_| refused(format_args!("{text:?} is not a number")))
    });
    tensor(input.shape(), numbers.collect::<TractResult<_>>()?)
}

/// Texts that spell the numbers, as onnxruntime spells them.
fn print(input: &Tensor) -> TractResult<Tensor> {
    let texts: Vec<String> = match input.datum_type() {
        DatumType::Bool => values::<bool>(input)?
            .iter()
            .map(|bit| u8::from(*bit).to_string())
            .collect(),
        kind if kind.is_float() => {
            let digits = if kind == f64::datum_type() { 17 } else { 8 };
            let input = input.cast_to::<f64>()?;
            values::<f64>(&input)?
                .iter()
                .map(|value| print_float(*value, digits))
                .collect()
        }
        _ => {
            let input = input.cast_to::<i64>()?;
            values::<i64>(&input)?.iter().map(i64::to_string).collect()
        }
    };
    tensor(input.shape(), texts)
}

/// A float with this many digits that count, as `%g` of C prints it.
fn print_float(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF" } else { "-INF" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let strip = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..digits as i32).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        return strip(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", strip(mantissa), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_c_prints_them() {
        for (value, expected) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (0.1_f32.into(), "0.1"),
            (1e10, "1e+10"),
            (1e-5, "1e-05"),
            (f64::NEG_INFINITY, "-INF"),
        ] {
            assert_eq!(print_float(value, 8), expected);
        }
    }
}
