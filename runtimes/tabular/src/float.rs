//! The two kinds of numbers that models compute with.

use std::fmt::Debug;

use modelcell_guest::Element;
use serde::Serialize;

/// `f32` (XGBoost) or `f64` (LightGBM). No other type can be one.
pub trait Float: Element + Copy + Debug + PartialOrd + Serialize + Send + Sync + 'static {
    /// A missing value.
    const NAN: Self;
    /// Zero.
    const ZERO: Self;
    /// The field of SageMaker's `Value` message with a tensor of these numbers.
    const TENSOR: u8;

    /// The nearest number, or none if a finite one would become infinite.
    fn narrow(value: f64) -> Option<Self>;

    /// The nearest 32-bit float.
    fn to_f32(self) -> f32;

    /// How CSV spells it if it is not finite.
    fn not_finite(self) -> Option<&'static str>;

    /// Appends its bytes, the lowest first.
    fn append_le(self, out: &mut Vec<u8>);
}

macro_rules! float {
    ($type:ty, $tensor:literal) => {
        impl Float for $type {
            const NAN: Self = Self::NAN;
            const ZERO: Self = 0.0;
            const TENSOR: u8 = $tensor;

            fn narrow(value: f64) -> Option<Self> {
                let narrowed = value as Self;
                (narrowed.is_finite() || !value.is_finite()).then_some(narrowed)
            }

            fn to_f32(self) -> f32 {
                self as f32
            }

            fn not_finite(self) -> Option<&'static str> {
                if self.is_nan() {
                    Some("nan")
                } else if self.is_infinite() {
                    Some(if self > 0.0 { "inf" } else { "-inf" })
                } else {
                    None
                }
            }

            fn append_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}

float!(f32, 2);
float!(f64, 3);

/// Reads a number; `nan` and `inf` are numbers, one too large for 64 bits (`1e999`) is none.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let overflowed = value.is_infinite() && text.iter().any(u8::is_ascii_digit);
    (!overflowed).then_some(value)
}
