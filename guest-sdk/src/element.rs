//! The numbers that arrays may hold, and how they are converted.

use serde::Serialize;

/// A number as a body spells it, before it becomes an array's element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// With a fraction, or from a floating-point array.
    Float(f64),
    /// Whole.
    Int(i64),
    /// Whole, and perhaps above `i64::MAX`.
    Uint(u64),
}

impl Number {
    /// The number for an error's text.
    ///
    /// Like responses, it is spelt by serde_json: the standard library's own code for floats would
    /// add 20 KB to every component.
    pub(crate) fn spell(self) -> String {
        match self {
            Self::Float(value) if value.is_finite() => {
                serde_json::to_string(&value).unwrap_or_default()
            }
            Self::Float(value) => sealed::Sealed::non_finite(value)
                .unwrap_or_default()
                .to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Uint(value) => value.to_string(),
        }
    }
}

/// The numbers that arrays in requests, responses and NPY files may hold: `f32`, `f64`, and signed
/// and unsigned integers of 8 to 64 bits.
///
/// This trait cannot be implemented for other types.
#[diagnostic::on_unimplemented(
    message = "arrays of `{Self}` cannot be decoded or encoded: use f32, f64 or an integer, or write \
               input_fn and output_fn",
    label = "not an array of f32, f64 or integers"
)]
pub trait Element: sealed::Sealed {}

pub(crate) mod sealed {
    use super::{Number, Serialize};

    /// Out of reach for authors, so that conversions can change without breaking them.
    pub trait Sealed: Copy + Serialize + 'static {
        /// For error texts: `a 32-bit float`.
        const NAME: &'static str;
        /// What an empty CSV cell and JSON's `null` mean, if anything.
        const MISSING: Option<Self>;
        /// NumPy's name for it, little-endian.
        const NPY: &'static str;

        /// None if the type cannot hold the number. Rounding a float is fine, becoming infinite
        /// or losing a fraction is not.
        fn from_number(number: Number) -> Option<Self>;

        fn write_le(self, out: &mut Vec<u8>);

        /// NaN and the infinities, which JSON lacks and CSV spells as NumPy does.
        fn non_finite(self) -> Option<&'static str>;
    }
}

macro_rules! float {
    ($type:ty, $name:literal, $npy:literal) => {
        // One by one: behind a blanket impl, rustc would complain about the sealed trait instead.
        impl Element for $type {}

        impl sealed::Sealed for $type {
            const NAME: &'static str = $name;
            const MISSING: Option<Self> = Some(Self::NAN);
            const NPY: &'static str = $npy;

            fn from_number(number: Number) -> Option<Self> {
                match number {
                    Number::Float(value) => {
                        let narrowed = value as $type;
                        (narrowed.is_finite() || !value.is_finite()).then_some(narrowed)
                    }
                    Number::Int(value) => Some(value as $type),
                    Number::Uint(value) => Some(value as $type),
                }
            }

            fn write_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn non_finite(self) -> Option<&'static str> {
                if self.is_nan() {
                    Some("nan")
                } else if self.is_infinite() {
                    Some(if self > 0.0 { "inf" } else { "-inf" })
                } else {
                    None
                }
            }
        }
    };
}

macro_rules! integer {
    ($type:ty, $name:literal, $npy:literal) => {
        impl Element for $type {}

        impl sealed::Sealed for $type {
            const NAME: &'static str = $name;
            const MISSING: Option<Self> = None;
            const NPY: &'static str = $npy;

            fn from_number(number: Number) -> Option<Self> {
                match number {
                    // The bounds are powers of two, so they are exact: MAX + 1 is, MAX may not be.
                    Number::Float(value) => (value.trunc() == value
                        && value >= <$type>::MIN as f64
                        && value < <$type>::MAX as f64 + 1.0)
                        .then_some(value as $type),
                    Number::Int(value) => value.try_into().ok(),
                    Number::Uint(value) => value.try_into().ok(),
                }
            }

            fn write_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn non_finite(self) -> Option<&'static str> {
                None
            }
        }
    };
}

float!(f32, "a 32-bit float", "<f4");
float!(f64, "a 64-bit float", "<f8");
integer!(i8, "an 8-bit integer", "|i1");
integer!(i16, "a 16-bit integer", "<i2");
integer!(i32, "a 32-bit integer", "<i4");
integer!(i64, "a 64-bit integer", "<i8");
integer!(u8, "an unsigned 8-bit integer", "|u1");
integer!(u16, "an unsigned 16-bit integer", "<u2");
integer!(u32, "an unsigned 32-bit integer", "<u4");
integer!(u64, "an unsigned 64-bit integer", "<u8");

#[cfg(test)]
mod tests {
    use super::Number::{Float, Int, Uint};
    use super::sealed::Sealed as _;

    #[test]
    fn floats_may_round_but_not_overflow() {
        assert_eq!(f32::from_number(Float(0.1)), Some(0.1));
        assert_eq!(f32::from_number(Float(1e40)), None);
        assert_eq!(f32::from_number(Float(f64::INFINITY)), Some(f32::INFINITY));
        assert!(f32::from_number(Float(f64::NAN)).unwrap().is_nan());
        assert_eq!(f64::from_number(Uint(u64::MAX)), Some(u64::MAX as f64));
    }

    #[test]
    fn integers_hold_whole_numbers_in_range() {
        assert_eq!(i64::from_number(Float(3.0)), Some(3));
        assert_eq!(i64::from_number(Float(3.5)), None);
        assert_eq!(i64::from_number(Float(f64::NAN)), None);
        assert_eq!(i64::from_number(Float(9_223_372_036_854_775_808.0)), None);
        assert_eq!(
            i64::from_number(Float(-9_223_372_036_854_775_808.0)),
            Some(i64::MIN)
        );
        assert_eq!(u8::from_number(Int(-1)), None);
        assert_eq!(u8::from_number(Uint(255)), Some(255));
        assert_eq!(u8::from_number(Float(256.0)), None);
    }
}
