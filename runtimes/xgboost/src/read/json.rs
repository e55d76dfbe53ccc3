//! JSON, with `NaN` and `Infinity` as `XGBoost` writes them.

use std::io::Read;

use modelcell_guest::Result;

use super::{Input, Items, Key, Number, Pull};

/// A JSON document.
pub(crate) struct Json<R> {
    input: Input<R>,
}

impl<R: Read> Json<R> {
    pub(crate) fn new(input: Input<R>) -> Self {
        Self { input }
    }

    /// Only white space may be left.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.space()? {
            None => Ok(()),
            Some(_) => Err(self.input.error("the document has ended, but not the file")),
        }
    }

    /// Skips white space, and shows what comes then.
    #[inline]
    fn space(&mut self) -> Result<Option<u8>> {
        loop {
            match self.input.peek()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.input.advance(1),
                other => return Ok(other),
            }
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        match self.space()? {
            Some(found) if found == byte => {
                self.input.advance(1);
                Ok(())
            }
            None => Err(self.input.ends()),
            Some(_) => Err(self.input.error(format_args!("expected {what}"))),
        }
    }

    /// Whether another item comes before `end`.
    #[inline]
    fn another(&mut self, items: &mut Items, end: u8) -> Result<bool> {
        let found = self.space()?;
        if found == Some(end) {
            self.input.advance(1);
            return Ok(false);
        }
        if !std::mem::replace(&mut items.fresh, false) {
            self.expect(b',', "a comma or the end of the list")?;
        }
        Ok(true)
    }

    /// Reads a text, and hands on its bytes.
    fn string(&mut self, mut push: impl FnMut(u8)) -> Result<()> {
        self.expect(b'"', "a text")?;
        loop {
            match self.input.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escaped(&mut push)?,
                0..0x20 => return Err(self.input.error("a control character in a text")),
                byte => push(byte),
            }
        }
    }

    fn escaped(&mut self, push: &mut impl FnMut(u8)) -> Result<()> {
        match self.input.next()? {
            byte @ (b'"' | b'\\' | b'/') => push(byte),
            b'b' => push(8),
            b'f' => push(12),
            b'n' => push(b'\n'),
            b'r' => push(b'\r'),
            b't' => push(b'\t'),
            b'u' => {
                let digits = self.input.take::<4>()?;
                let code = std::str::from_utf8(&digits)
                    .ok()
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| self.input.error("expected four hexadecimal digits"))?;
                // No text that matters has halves of surrogate pairs.
                let code = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                code.encode_utf8(&mut [0; 4]).bytes().for_each(push);
            }
            _ => return Err(self.input.error("no such escape")),
        }
        Ok(())
    }

    /// Reads a number.
    #[inline]
    fn scalar<T: Number>(&mut self) -> Result<T> {
        self.space()?;
        let ahead = self.input.ahead()?;
        let length = ahead
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'a'..=b'z' | b'A'..=b'Z'))
            .unwrap_or(ahead.len());
        let text = ahead.get(..length).unwrap_or_default();
        let value = match text {
            b"true" => T::from_integer(1),
            b"false" => T::from_integer(0),
            _ => std::str::from_utf8(text).ok().and_then(T::from_text),
        };
        let Some(value) = value else {
            let text = String::from_utf8_lossy(text).into_owned();
            return Err(match length {
                0 => self.input.error("expected a number"),
                _ => self
                    .input
                    .error(format_args!("{text} is not a {}", T::NAME)),
            });
        };
        self.input.advance(length);
        Ok(value)
    }

    /// Skips to the end of the innermost list or object in `depth`, as long as nothing new begins.
    fn skip_plain(&mut self) -> Result<()> {
        loop {
            let ahead = self.input.ahead()?;
            if ahead.is_empty() {
                return Err(self.input.ends());
            }
            let plain = ahead
                .iter()
                .position(|byte| matches!(byte, b'"' | b'[' | b']' | b'{' | b'}'));
            let length = ahead.len();
            self.input.advance(plain.unwrap_or(length));
            if plain.is_some() {
                return Ok(());
            }
        }
    }

    /// Skips a number or one of JSON's three words.
    fn skip_word(&mut self) -> Result<()> {
        let ahead = self.input.ahead()?;
        let length = ahead
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte))
            .unwrap_or(ahead.len());
        if length == 0 {
            return Err(self.input.error("expected a value"));
        }
        self.input.advance(length);
        Ok(())
    }
}

impl<R: Read> Pull for Json<R> {
    fn object(&mut self) -> Result<Items> {
        self.expect(b'{', "an object")?;
        Ok(Items::FRESH)
    }

    fn key(&mut self, items: &mut Items) -> Result<Option<Key>> {
        if !self.another(items, b'}')? {
            return Ok(None);
        }
        let mut key = Key::default();
        self.string(|byte| key.push(byte))?;
        self.expect(b':', "a colon")?;
        Ok(Some(key))
    }

    fn array(&mut self) -> Result<Items> {
        self.expect(b'[', "a list")?;
        Ok(Items::FRESH)
    }

    fn more(&mut self, items: &mut Items) -> Result<bool> {
        self.another(items, b']')
    }

    fn text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.string(|byte| bytes.push(byte))?;
        String::from_utf8(bytes).map_err(|_| self.input.error("a text is not UTF-8"))
    }

    fn numbers<T: Number>(&mut self, to: &mut Vec<T>) -> Result<()> {
        to.clear();
        let mut items = self.array()?;
        while self.another(&mut items, b']')? {
            to.push(self.scalar()?);
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        let mut depth = 0_u64;
        loop {
            match self.space()? {
                None => return Err(self.input.ends()),
                Some(b'"') => self.string(|_| ())?,
                Some(b'[' | b'{') => {
                    self.input.advance(1);
                    depth += 1;
                }
                Some(b']' | b'}') if depth > 0 => {
                    self.input.advance(1);
                    depth -= 1;
                }
                Some(_) if depth == 0 => self.skip_word()?,
                Some(_) => self.skip_plain()?,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
