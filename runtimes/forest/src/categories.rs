//! Splits on categories: sets of small numbers, as bits.

use crate::slots::Side;
use crate::value::Value;

/// The most words of 32 bits that the sets of a forest may have: 64 MiB.
///
/// Files may name one large set at many nodes, or one high category in few bytes. Each node has a copy
/// of its own, so without a bound a small file would become a large forest.
pub const MOST_SET_WORDS: usize = 16 << 20;

/// How a number becomes a category. NaN is missing in both; what is not a category is in no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codes {
    /// As in `XGBoost`: negative numbers and those from 2^24 are no categories, and others lose
    /// their fraction.
    NonNegative,
    /// As in `LightGBM`: numbers lose their fraction, so -0.5 is category 0, and those that are
    /// then negative are no categories.
    Truncated,
}

impl Codes {
    /// The number that stands for the category, infinity for none.
    #[inline]
    pub(crate) fn read<T: Value>(self, value: T) -> T {
        let (whole, refused) = match self {
            Self::NonNegative => {
                let category = value.trunc();
                let refused = value < T::ZERO || category.category() >= 1 << 24;
                (category, refused)
            }
            Self::Truncated => {
                let category = value.trunc();
                (category, category < T::ZERO)
            }
        };
        if value.is_nan() {
            T::NAN
        } else if refused {
            T::INFINITY
        } else {
            whole
        }
    }
}

/// A branch's set, which says for each category whether it goes right.
#[derive(Debug, Clone, Copy)]
struct Set {
    /// Where its words begin.
    start: u32,
    /// How many words there are. Categories beyond them go to `beyond`.
    words: u32,
    beyond: Side,
    missing: Side,
}

/// The sets of a forest's branches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sets {
    sets: Vec<Set>,
    words: Vec<u32>,
    /// The words of all sets as they were given, with those at the end that have no member.
    given: usize,
}

impl Sets {
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Keeps a set and says where. `members` are bits, lowest first; those that are set go to
    /// `side`, all others to the other side. `None` if all sets together have more than
    /// [`MOST_SET_WORDS`]. Words without members count, too: they take time, though no memory.
    pub(crate) fn add(&mut self, members: &[u32], side: Side, missing: Side) -> Option<u32> {
        self.given = self.given.checked_add(members.len())?;
        if self.given > MOST_SET_WORDS {
            return None;
        }
        let place = u32::try_from(self.sets.len()).ok()?;
        let used = members.iter().rposition(|&word| word != 0);
        let members = members.get(..used.map_or(0, |last| last + 1))?;
        let set = Set {
            start: u32::try_from(self.words.len()).ok()?,
            words: u32::try_from(members.len()).ok()?,
            beyond: match side {
                Side::Left => Side::Right,
                Side::Right => Side::Left,
            },
            missing,
        };
        self.words.extend(members.iter().map(|&word| match side {
            Side::Right => word,
            Side::Left => !word,
        }));
        self.sets.push(set);
        Some(place)
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.sets.shrink_to_fit();
        self.words.shrink_to_fit();
    }

    /// Whether a slot's number goes right at the branch whose set is kept at `place`.
    #[inline]
    pub(crate) fn goes_right<T: Value>(&self, place: u32, value: T) -> bool {
        let Some(set) = self.sets.get(place as usize) else {
            return false;
        };
        if value.is_nan() {
            return set.missing == Side::Right;
        }
        let category = value.category();
        if category / 32 >= set.words {
            return set.beyond == Side::Right;
        }
        let word = self.words.get((set.start + category / 32) as usize);
        word.is_some_and(|word| word >> (category % 32) & 1 == 1)
    }
}
