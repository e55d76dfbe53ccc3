//! Reading documents piece by piece: what a model file says, in whichever of its two notations.
//!
//! [`Pull`] is what the model's reader asks for, [`json`] and [`ubj`] answer it. Neither keeps more of
//! the file than a [`Input`]'s buffer, because what a cell once had in memory stays with it.

pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod number;
pub(crate) mod ubj;

use modelcell_guest::Result;

pub(crate) use input::Input;
pub(crate) use number::Number;

/// A document that is read from its beginning to its end, once.
///
/// A value is read by one call of [`object`](Self::object), [`array`](Self::array),
/// [`text`](Self::text), [`numbers`](Self::numbers) or [`skip`](Self::skip); each fails if the value is of another kind. What fails says at which byte.
pub(crate) trait Pull {
    /// Enters an object, whose members [`key`](Self::key) then gives.
    fn object(&mut self) -> Result<Items>;

    /// The key of the next member, whose value is to be read then, or `None` behind the last.
    fn key(&mut self, items: &mut Items) -> Result<Option<Key>>;

    /// Enters an array, whose values [`more`](Self::more) then announces.
    fn array(&mut self) -> Result<Items>;

    /// Whether a value comes, which is to be read then.
    fn more(&mut self, items: &mut Items) -> Result<bool>;

    /// Reads a text.
    fn text(&mut self) -> Result<String>;

    /// Reads an array of numbers in place of what `to` had. True and false are 1 and 0.
    fn numbers<T: Number>(&mut self, to: &mut Vec<T>) -> Result<()>;

    /// Reads a value of any kind, however deeply nested, and forgets it.
    fn skip(&mut self) -> Result<()>;
}

/// How far an object or array has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Items {
    /// Nothing has been read yet.
    fresh: bool,
    /// How many are left, where the file says so.
    left: Option<u64>,
    /// The type of all of them, where the file says so.
    kind: Option<u8>,
}

impl Items {
    const FRESH: Self = Self {
        fresh: true,
        left: None,
        kind: None,
    };
}

/// A key. Those that are longer than any that matters come out as an empty one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Key {
    bytes: [u8; 32],
    length: usize,
}

impl Key {
    fn push(&mut self, byte: u8) {
        if let Some(to) = self.bytes.get_mut(self.length) {
            *to = byte;
        }
        self.length += 1;
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}
