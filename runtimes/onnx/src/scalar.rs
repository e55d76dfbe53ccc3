//! The values that tensors hold, as requests and answers spell them.

use serde_json::Value;
use tract_onnx::tract_hir::internal::*;

/// A type of values that requests and answers can hold.
pub(crate) trait Scalar: Datum + serde::Serialize {
    /// What an error calls such a value.
    const NAME: &'static str;

    /// None if this is no such value, or one that does not fit.
    fn from_json(value: &Value) -> Option<Self>;

    /// None if this is no such value, or one that does not fit.
    fn from_text(text: &str) -> Option<Self>;

    /// The value as text.
    fn to_text(&self) -> String;
}

macro_rules! integer {
    ($type:ty, $name:literal) => {
        impl Scalar for $type {
            const NAME: &'static str = $name;

            fn from_json(value: &Value) -> Option<Self> {
                if let Some(number) = value.as_u64() {
                    return number.try_into().ok();
                }
                if let Some(number) = value.as_i64() {
                    return number.try_into().ok();
                }
                whole(value.as_f64()?)?.try_into().ok()
            }

            fn from_text(text: &str) -> Option<Self> {
                let text = text.trim();
                let number = text.parse().ok();
                number.or_else(|| whole(text.parse().ok()?)?.try_into().ok())
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    };
}

/// A float that is a whole number, and small enough to be exact.
fn whole(number: f64) -> Option<i64> {
    let exact = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
    exact.then_some(number as i64)
}

integer!(i8, "an 8-bit integer");
integer!(i16, "a 16-bit integer");
integer!(i32, "a 32-bit integer");
integer!(i64, "a 64-bit integer");
integer!(u8, "an unsigned 8-bit integer");
integer!(u16, "an unsigned 16-bit integer");
integer!(u32, "an unsigned 32-bit integer");
integer!(u64, "an unsigned 64-bit integer");

macro_rules! float {
    ($type:ty, $name:literal) => {
        impl Scalar for $type {
            const NAME: &'static str = $name;

            /// A missing value, and one that JSON has no number for, may be `null` or its name.
            fn from_json(value: &Value) -> Option<Self> {
                match value {
                    Value::Null => Some(<$type>::NAN),
                    Value::String(text) if not_finite(text) => text.parse().ok(),
                    value => narrow(value.as_f64()?),
                }
            }

            /// A missing value is an empty cell.
            fn from_text(text: &str) -> Option<Self> {
                match text.trim() {
                    "" => Some(<$type>::NAN),
                    text if not_finite(text) => text.parse().ok(),
                    text => narrow(text.parse().ok()?),
                }
            }

            /// Spelt as in JSON, and as NumPy spells what JSON cannot.
            fn to_text(&self) -> String {
                if self.is_nan() {
                    "nan".to_owned()
                } else if self.is_infinite() {
                    if *self > 0.0 { "inf" } else { "-inf" }.to_owned()
                } else {
                    serde_json::to_string(self).unwrap_or_default()
                }
            }
        }

        impl Narrow for $type {
            fn narrow(value: f64) -> Self {
                value as $type
            }

            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

trait Narrow: Copy {
    fn narrow(value: f64) -> Self;
    fn is_finite(self) -> bool;
}

/// Rounds a number. None if it is too large.
fn narrow<T: Narrow>(value: f64) -> Option<T> {
    let narrowed = T::narrow(value);
    (narrowed.is_finite()).then_some(narrowed)
}

fn not_finite(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"]
        .iter()
        .any(|name| text.eq_ignore_ascii_case(name))
}

float!(f32, "a 32-bit float");
float!(f64, "a 64-bit float");

impl Scalar for bool {
    const NAME: &'static str = "true or false";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_bool().or_else(|| match value.as_u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Scalar for String {
    const NAME: &'static str = "text";

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

/// Does something for the Rust type of a tensor's values; `$other` if it is not a type of [`Scalar`].
macro_rules! with_scalar {
    ($kind:expr, $type:ident => $body:expr, $other:expr) => {{
        macro_rules! with {
            ($rust:ty) => {{
                type $type = $rust;
                $body
            }};
        }
        match $kind {
            tract_onnx::prelude::DatumType::Bool => with!(bool),
            tract_onnx::prelude::DatumType::I8 => with!(i8),
            tract_onnx::prelude::DatumType::I16 => with!(i16),
            tract_onnx::prelude::DatumType::I32 => with!(i32),
            tract_onnx::prelude::DatumType::I64 => with!(i64),
            tract_onnx::prelude::DatumType::U8 => with!(u8),
            tract_onnx::prelude::DatumType::U16 => with!(u16),
            tract_onnx::prelude::DatumType::U32 => with!(u32),
            tract_onnx::prelude::DatumType::U64 => with!(u64),
            tract_onnx::prelude::DatumType::F32 => with!(f32),
            tract_onnx::prelude::DatumType::F64 => with!(f64),
            tract_onnx::prelude::DatumType::String => with!(String),
            _ => $other,
        }
    }};
}

pub(crate) use with_scalar;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_must_fit() {
        assert_eq!(u8::from_json(&json!(255)), Some(255));
        assert_eq!(u8::from_json(&json!(256)), None);
        assert_eq!(i8::from_json(&json!(-128)), Some(-128));
        assert_eq!(u64::from_json(&json!(u64::MAX)), Some(u64::MAX));
        assert_eq!(i64::from_json(&json!(3.0)), Some(3));
        assert_eq!(i64::from_json(&json!(3.5)), None);
        assert_eq!(i64::from_json(&json!("3")), None);
        assert_eq!(i64::from_text(" 12 "), Some(12));
        assert_eq!(i64::from_text("12.0"), Some(12));
        assert_eq!(i64::from_text("12.5"), None);
        assert_eq!(f32::from_json(&json!(1e39)), None);
        assert_eq!(f64::from_json(&json!(1e39)), Some(1e39));
        assert_eq!(f32::from_text("-inf"), Some(f32::NEG_INFINITY));
        assert!(f32::from_text("").unwrap().is_nan());
        assert!(f32::from_json(&Value::Null).unwrap().is_nan());
        assert_eq!(f32::from_text("red"), None);
        assert_eq!(bool::from_json(&json!(1)), Some(true));
        assert_eq!(bool::from_text("False"), Some(false));
        assert_eq!(String::from_json(&json!(1)), None);
    }
}
