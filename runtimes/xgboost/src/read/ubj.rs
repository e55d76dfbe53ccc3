//! Universal Binary JSON, as `XGBoost` writes it: numbers big end first, lengths as `L`, arrays of
//! numbers with their type and count ahead.

use std::io::Read;

use modelcell_guest::Result;

use super::{Input, Items, Key, Number, Pull};

/// Objects and arrays within each other beyond this are not a model's.
const DEPTH: usize = 64;

/// A UBJSON document.
pub(crate) struct Ubj<R> {
    input: Input<R>,
}

impl<R: Read> Ubj<R> {
    pub(crate) fn new(input: Input<R>) -> Self {
        Self { input }
    }

    /// Nothing may be left.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.input.peek()? {
            None => Ok(()),
            Some(_) => Err(self.input.error("the document has ended, but not the file")),
        }
    }

    fn expect(&mut self, marker: u8, what: &str) -> Result<()> {
        match self.input.peek()? {
            Some(found) if found == marker => {
                self.input.advance(1);
                Ok(())
            }
            None => Err(self.input.ends()),
            Some(_) => Err(self.input.error(format_args!("expected {what}"))),
        }
    }

    /// A number whose type is known.
    #[inline]
    fn scalar<T: Number>(&mut self, kind: u8) -> Result<T> {
        let input = &mut self.input;
        let value = match kind {
            b'T' => T::from_integer(1),
            b'F' => T::from_integer(0),
            b'i' => T::from_integer(i8::from_be_bytes(input.take()?).into()),
            b'U' => T::from_integer(u8::from_be_bytes(input.take()?).into()),
            b'I' => T::from_integer(i16::from_be_bytes(input.take()?).into()),
            b'l' => T::from_integer(i32::from_be_bytes(input.take()?).into()),
            b'L' => T::from_integer(i64::from_be_bytes(input.take()?)),
            b'd' => T::from_single(f32::from_be_bytes(input.take()?)),
            b'D' => T::from_float(f64::from_be_bytes(input.take()?)),
            _ => return Err(input.error("expected a number")),
        };
        value.ok_or_else(|| {
            self.input
                .error(format_args!("a number is not a {}", T::NAME))
        })
    }

    /// So many numbers of 4 bytes, as many at a time as have been read from the file.
    fn packed<T: Number>(
        &mut self,
        mut count: u64,
        number: impl Fn([u8; 4]) -> Option<T>,
        to: &mut Vec<T>,
    ) -> Result<()> {
        while count > 0 {
            let ahead = self.input.ahead()?;
            let (words, _) = ahead.as_chunks::<4>();
            let words = usize::try_from(count)
                .ok()
                .and_then(|count| words.get(..count))
                .unwrap_or(words);
            let before = to.len();
            to.extend(words.iter().map_while(|&word| number(word)));
            let (taken, there) = (to.len() - before, words.len());
            self.input.advance(4 * taken);
            count -= taken as u64;
            if taken < there {
                let message = format_args!("a number is not a {}", T::NAME);
                return Err(self.input.error(message));
            }
            if there == 0 {
                return Err(self.input.ends());
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<u64> {
        let kind = self.input.next()?;
        let count = self.scalar::<i64>(kind)?;
        u64::try_from(count).map_err(|_| self.input.error("a count is negative"))
    }

    /// What stands behind the bracket of an array or object.
    fn header(&mut self) -> Result<Items> {
        let mut items = Items::FRESH;
        if self.input.peek()? == Some(b'$') {
            self.input.advance(1);
            items.kind = Some(self.input.next()?);
            if self.input.peek()? != Some(b'#') {
                return Err(self.input.error("expected a count"));
            }
        }
        if self.input.peek()? == Some(b'#') {
            self.input.advance(1);
            items.left = Some(self.count()?);
        }
        Ok(items)
    }

    fn another(&mut self, items: &mut Items, end: u8) -> Result<bool> {
        if let Some(left) = &mut items.left {
            let more = *left > 0;
            *left = left.saturating_sub(1);
            return Ok(more);
        }
        let ends = self.input.peek()?.ok_or_else(|| self.input.ends())? == end;
        if ends {
            self.input.advance(1);
        }
        Ok(!ends)
    }

    /// The value of a list whose items have no type of their own can be numbers only.
    fn plain(&self, items: Items) -> Result<()> {
        match items.kind {
            None => Ok(()),
            Some(_) => Err(self.input.error("expected a list of values of any type")),
        }
    }

    /// Skips the value of a marker, or enters it.
    fn skip_value(&mut self, kind: u8, open: &mut Vec<(Items, bool)>) -> Result<()> {
        match kind {
            b'Z' | b'N' | b'T' | b'F' => Ok(()),
            b'S' | b'H' => {
                let length = self.count()?;
                self.input.discard(length)
            }
            b'[' | b'{' if open.len() < DEPTH => {
                let items = self.header()?;
                open.push((items, kind == b'{'));
                self.skip_packed(open)
            }
            b'[' | b'{' => Err(self.input.error("too deeply nested")),
            other => match size(other) {
                Some(size) => self.input.discard(size),
                None => Err(self.input.error("no such type of value")),
            },
        }
    }

    /// Skips a list of numbers in one go: it may claim any count, so it must not take time by it.
    fn skip_packed(&mut self, open: &mut Vec<(Items, bool)>) -> Result<()> {
        let Some(&(items, false)) = open.last() else {
            return Ok(());
        };
        let (Some(kind), Some(count)) = (items.kind, items.left) else {
            return Ok(());
        };
        open.pop();
        let bytes = size(kind)
            .and_then(|size| count.checked_mul(size))
            .ok_or_else(|| self.input.error("a list of no numbers"))?;
        self.input.discard(bytes)
    }
}

/// The bytes of a number of this type.
fn size(kind: u8) -> Option<u64> {
    match kind {
        b'i' | b'U' | b'C' => Some(1),
        b'I' => Some(2),
        b'l' | b'd' => Some(4),
        b'L' | b'D' => Some(8),
        _ => None,
    }
}

impl<R: Read> Pull for Ubj<R> {
    fn object(&mut self) -> Result<Items> {
        self.expect(b'{', "an object")?;
        let items = self.header()?;
        self.plain(items)?;
        Ok(items)
    }

    fn key(&mut self, items: &mut Items) -> Result<Option<Key>> {
        if !self.another(items, b'}')? {
            return Ok(None);
        }
        let length = self.count()?;
        let mut key = Key::default();
        for _ in 0..length {
            key.push(self.input.next()?);
        }
        Ok(Some(key))
    }

    fn array(&mut self) -> Result<Items> {
        self.expect(b'[', "a list")?;
        let items = self.header()?;
        self.plain(items)?;
        Ok(items)
    }

    fn more(&mut self, items: &mut Items) -> Result<bool> {
        self.another(items, b']')
    }

    fn text(&mut self) -> Result<String> {
        self.expect(b'S', "a text")?;
        let length = self.count()?;
        let bytes = self.input.bytes(length)?;
        String::from_utf8(bytes).map_err(|_| self.input.error("a text is not UTF-8"))
    }

    fn numbers<T: Number>(&mut self, to: &mut Vec<T>) -> Result<()> {
        to.clear();
        self.expect(b'[', "a list")?;
        let mut items = self.header()?;
        // Values without bytes would let a file claim any count.
        if items.kind.is_some_and(|kind| size(kind).is_none()) {
            return Err(self.input.error("a list of no numbers"));
        }
        // Nearly all lists are of these.
        match (items.kind, items.left) {
            (Some(b'l'), Some(count)) => {
                let number = |bytes| T::from_integer(i32::from_be_bytes(bytes).into());
                return self.packed(count, number, to);
            }
            (Some(b'd'), Some(count)) => {
                let number = |bytes| T::from_single(f32::from_be_bytes(bytes));
                return self.packed(count, number, to);
            }
            _ => {}
        }
        while self.another(&mut items, b']')? {
            let kind = match items.kind {
                Some(kind) => kind,
                None => self.input.next()?,
            };
            to.push(self.scalar(kind)?);
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        let mut open = Vec::new();
        let kind = self.input.next()?;
        self.skip_value(kind, &mut open)?;
        while let Some((mut items, is_object)) = open.pop() {
            let more = match is_object {
                true => self.key(&mut items)?.is_some(),
                false => self.another(&mut items, b']')?,
            };
            if more {
                open.push((items, is_object));
                let kind = match items.kind {
                    Some(kind) => kind,
                    None => self.input.next()?,
                };
                self.skip_value(kind, &mut open)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
