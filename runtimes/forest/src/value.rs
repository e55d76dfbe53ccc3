//! What rows and thresholds are made of.

/// A number of a row or a threshold: `f32` or `f64`.
pub trait Value: Copy + std::fmt::Debug + PartialOrd + sealed::Sealed + 'static {
    /// Not a number: a missing value.
    const NAN: Self;
    /// Zero.
    const ZERO: Self;
    /// Larger than all other numbers.
    const INFINITY: Self;

    /// Whether this is NaN.
    fn is_nan(self) -> bool;
    /// Whether `LightGBM` takes it for zero: at most 1e-35, in float32, away from it.
    fn is_nearly_zero(self) -> bool;
    /// The number without its fraction.
    fn trunc(self) -> Self;
    /// The number as a category. What is too large or infinite becomes `u32::MAX`, what is negative
    /// 0.
    fn category(self) -> u32;
    /// Bits that [`into_bits`](Self::into_bits) gives back.
    fn from_bits(bits: u32) -> Self;
    /// The bits that [`from_bits`](Self::from_bits) was given.
    fn into_bits(self) -> u32;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Value for f32 {
    const NAN: Self = Self::NAN;
    const ZERO: Self = 0.0;
    const INFINITY: Self = Self::INFINITY;

    #[inline]
    fn is_nan(self) -> bool {
        self.is_nan()
    }

    #[inline]
    fn is_nearly_zero(self) -> bool {
        self.abs() <= 1e-35
    }

    #[inline]
    fn trunc(self) -> Self {
        self.trunc()
    }

    #[inline]
    fn category(self) -> u32 {
        self as u32
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        Self::from_bits(bits)
    }

    #[inline]
    fn into_bits(self) -> u32 {
        self.to_bits()
    }
}

impl Value for f64 {
    const NAN: Self = Self::NAN;
    const ZERO: Self = 0.0;
    const INFINITY: Self = Self::INFINITY;

    #[inline]
    fn is_nan(self) -> bool {
        self.is_nan()
    }

    #[inline]
    fn is_nearly_zero(self) -> bool {
        self.abs() <= f64::from(1e-35_f32)
    }

    #[inline]
    fn trunc(self) -> Self {
        self.trunc()
    }

    #[inline]
    fn category(self) -> u32 {
        self as u32
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        Self::from_bits(u64::from(bits))
    }

    #[inline]
    fn into_bits(self) -> u32 {
        self.to_bits() as u32
    }
}
