//! The lines of a model file, and the lists of numbers in them.

use std::fmt::Display;
use std::str::FromStr;

use memchr::memchr;
use modelcell_guest::{Context, Error, Result};

/// Lines, one after the other, without their ends.
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr(b'\n', self.rest) {
            Some(end) => (
                self.rest.get(..end).unwrap_or_default(),
                self.rest.get(end + 1..).unwrap_or_default(),
            ),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// A line's key and value. A line without `=` is a key without a value.
pub(crate) fn key_value(line: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b'=', line).unwrap_or(line.len());
    (
        line.get(..end).unwrap_or_default(),
        line.get(end + 1..).unwrap_or_default(),
    )
}

/// The start of something from a file, to be quoted in an error.
pub(crate) fn quote(bytes: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes));
    let more = if bytes.len() > LONGEST { "..." } else { "" };
    format!("{text:?}{more}")
}

/// A number that is a whole value.
pub(crate) fn number<T: FromStr<Err: Display>>(key: &str, value: &[u8]) -> Result<T> {
    let text = str::from_utf8(value).unwrap_or_default().trim();
    text.parse()
        .map_err(|error| Error::failed(format_args!("{key} is {}: {error}", quote(value))))
}

/// Reads numbers between spaces into `list`, in place of what it held.
///
/// # Errors
/// If one of them is none, or there are not `count` of them. The list never grows beyond what the line
/// has.
pub(crate) fn list<T: FromStr<Err: Display>>(
    list: &mut Vec<T>,
    key: &str,
    value: &[u8],
    count: usize,
) -> Result<()> {
    list.clear();
    let text = str::from_utf8(value).context(key)?;
    for token in text.split(' ').filter(|token| !token.is_empty()) {
        let item = token.parse().map_err(|error| {
            let (place, token) = (list.len(), quote(token.as_bytes()));
            Error::failed(format_args!("{key}: entry {place} is {token}: {error}"))
        })?;
        list.push(item);
    }
    if list.len() == count {
        return Ok(());
    }
    let found = list.len();
    Err(Error::failed(format_args!(
        "{key} has {found} entries instead of {count}"
    )))
}
