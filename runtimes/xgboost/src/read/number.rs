//! Numbers of the types that model files have.

/// A type of numbers.
pub(crate) trait Number: Copy {
    /// What it is called in errors.
    const NAME: &'static str;

    /// From an integer, if it fits.
    fn from_integer(value: i64) -> Option<Self>;
    /// From any number, if it fits.
    fn from_float(value: f64) -> Option<Self>;
    /// From a float32, which may round less than by way of a float64.
    fn from_single(value: f32) -> Option<Self> {
        Self::from_float(f64::from(value))
    }
    /// From digits, dots, signs and words for what is not finite.
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Number for $type {
            const NAME: &'static str = stringify!($type);

            #[inline]
            fn from_integer(value: i64) -> Option<Self> {
                value.try_into().ok()
            }

            fn from_float(value: f64) -> Option<Self> {
                let integer = value as i64;
                (integer as f64 == value).then_some(integer)?.try_into().ok()
            }

            #[inline]
            fn from_text(text: &str) -> Option<Self> {
                // Most are short and plain.
                if let Ok(value) = text.parse() {
                    return Some(value);
                }
                Self::from_float(text.parse().ok()?)
            }
        }
    )*};
}

integer!(u8, i32, u32, i64);

impl Number for f32 {
    const NAME: &'static str = "float32";

    #[inline]
    fn from_integer(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    fn from_float(value: f64) -> Option<Self> {
        Some(value as Self)
    }

    #[inline]
    fn from_single(value: f32) -> Option<Self> {
        Some(value)
    }

    #[inline]
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
