//! The two kinds of numbers that models compute with.

use std::fmt::Debug;

use modelcell_guest::Element;
use serde::Serialize;

/// `f32` (XGBoost) or `f64` (LightGBM).
pub trait Float: Element + Copy + Debug + PartialEq + Serialize + Send + Sync + 'static {
    /// A missing value.
    const NAN: Self;
    /// Zero.
    const ZERO: Self;

    /// The nearest number, or none if a finite one would become infinite.
    fn narrow(value: f64) -> Option<Self>;

    /// How CSV spells it if it is not finite.
    fn not_finite(self) -> Option<&'static str>;
}

macro_rules! float {
    ($type:ty) => {
        impl Float for $type {
            const NAN: Self = Self::NAN;
            const ZERO: Self = 0.0;

            fn narrow(value: f64) -> Option<Self> {
                let narrowed = value as Self;
                (narrowed.is_finite() || !value.is_finite()).then_some(narrowed)
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
        }
    };
}

float!(f32);
float!(f64);
