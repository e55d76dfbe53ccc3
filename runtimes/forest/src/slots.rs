//! Rows as the walk wants them: one number for each way in which the forest reads a feature.

use std::collections::HashMap;

use crate::categories::Codes;
use crate::value::Value;

/// A child of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

/// Which values a branch takes for missing, and where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// NaN is missing and goes to this side. The only one in `XGBoost`.
    Nan(Side),
    /// NaN and what is nearly zero (at most 1e-35 away) are missing and go to this side.
    NanAndZero(Side),
    /// Nothing is missing: NaN counts as 0.
    Nothing,
}

/// How a slot's number is made of a feature's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    /// To be compared with thresholds.
    Number(Missing),
    /// To be looked up in a set.
    Category(Codes),
}

impl Reading {
    /// What stands in the slot. See the head of the crate for NaN and infinity.
    #[inline]
    fn of<T: Value>(self, value: T) -> T {
        match self {
            Self::Number(missing) => missing.read(value),
            Self::Category(codes) => codes.read(value),
        }
    }
}

impl Missing {
    #[inline]
    fn read<T: Value>(self, value: T) -> T {
        let (missing, side) = match self {
            Self::Nan(side) => (value.is_nan(), side),
            Self::NanAndZero(side) => (value.is_nan() || value.is_nearly_zero(), side),
            Self::Nothing if value.is_nan() => return T::ZERO,
            Self::Nothing => return value,
        };
        match (missing, side) {
            (false, _) => value,
            (true, Side::Left) => T::NAN,
            (true, Side::Right) => T::INFINITY,
        }
    }
}

/// The slots of a forest. Slot 0 belongs to the leaves and holds NaN.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    readings: Vec<(u32, Reading)>,
}

impl Slots {
    /// The number of slots.
    pub(crate) fn width(&self) -> usize {
        self.readings.len() + 1
    }

    /// Writes a row's slots to `to`, which has as many entries as there are slots. Features that the
    /// row is too short for are missing.
    #[inline]
    pub(crate) fn fill<T: Value>(&self, row: &[T], to: &mut [T]) {
        let Some((leaves, rest)) = to.split_first_mut() else {
            return;
        };
        *leaves = T::NAN;
        for (slot, &(feature, reading)) in rest.iter_mut().zip(&self.readings) {
            let value = row.get(feature as usize).copied().unwrap_or(T::NAN);
            *slot = reading.of(value);
        }
    }
}

/// Hands out slots while a forest is built.
#[derive(Debug, Default)]
pub(crate) struct SlotsBuilder {
    readings: Vec<(u32, Reading)>,
    known: HashMap<(u32, Reading), u32>,
}

impl SlotsBuilder {
    /// The slot of a feature that is read in this way.
    pub(crate) fn slot(&mut self, feature: u32, reading: Reading) -> u32 {
        *self.known.entry((feature, reading)).or_insert_with(|| {
            self.readings.push((feature, reading));
            // There is one per feature and way at most, and each came with a node.
            u32::try_from(self.readings.len()).unwrap_or(u32::MAX)
        })
    }

    pub(crate) fn finish(mut self) -> Slots {
        self.readings.shrink_to_fit();
        Slots {
            readings: self.readings,
        }
    }
}
