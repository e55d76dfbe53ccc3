//! The header of an `.npy` file: what it promises about the bytes that follow.
//!
//! It comes from strangers. Every length is checked before it is used, and every problem is a text
//! for the caller.

/// NumPy's own limit since version 2.
const MOST_DIMENSIONS: usize = 64;

/// A checked header: the data that comes with it holds exactly this array.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DType {
    pub(super) kind: Kind,
    /// Bytes per element: 1, 2, 4 or 8.
    pub(super) size: usize,
    pub(super) big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
}

/// The header and the data after it.
pub(super) fn read(bytes: &[u8]) -> Result<(Header, &[u8]), String> {
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or("it does not begin as an npy file")?;
    let (text, data) = match rest {
        [1, _, a, b, rest @ ..] => split(rest, u16::from_le_bytes([*a, *b]).into()),
        [2 | 3, _, a, b, c, d, rest @ ..] => split(rest, u32::from_le_bytes([*a, *b, *c, *d])),
        [version, _, ..] => return Err(format!("version {version} of the format is unknown")),
        _ => None,
    }
    .ok_or("it ends within the header")?;
    let text = std::str::from_utf8(text).map_err(|_| "the header is not UTF-8")?;
    let header = Parser(text).header()?;

    let promised = header
        .shape
        .iter()
        .try_fold(header.dtype.size, |bytes, length| {
            bytes.checked_mul(*length)
        })
        .ok_or("the shape is larger than memory")?;
    if promised != data.len() {
        let found = data.len();
        return Err(format!(
            "the header promises {promised} bytes of data, there are {found}"
        ));
    }
    Ok((header, data))
}

fn split(rest: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    rest.split_at_checked(length.try_into().ok()?)
}

/// A header of version 1.0, padded so that the data is aligned to 64 bytes.
pub(super) fn write(descr: &str, shape: &[usize]) -> Vec<u8> {
    let mut sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    if sizes.len() == 1 {
        // Python's tuple of one.
        sizes.push(String::new());
    }
    let sizes = sizes.join(", ");
    let text = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        sizes.trim_end()
    );
    let start = 10;
    let length = (start + text.len() + 1).next_multiple_of(64) - start;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // At most 64 sizes of 20 digits: far from 65,535.
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(start + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Reads the header's Python literal, of which only the three known entries may be there.
struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn header(mut self) -> Result<Header, String> {
        let mut dtype = None;
        let mut fortran_order = None;
        let mut shape = None;
        self.expect('{')?;
        while !self.take('}') {
            let key = self.string()?;
            self.expect(':')?;
            match key {
                "descr" => dtype = Some(self.dtype()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return Err("the header has an unknown entry".to_owned()),
            }
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.0.trim().is_empty() {
            return Err("the header goes on after its end".to_owned());
        }
        Ok(Header {
            dtype: dtype.ok_or("the header lacks 'descr'")?,
            fortran_order: fortran_order.ok_or("the header lacks 'fortran_order'")?,
            shape: shape.ok_or("the header lacks 'shape'")?,
        })
    }

    fn take(&mut self, token: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        if let Some(rest) = rest {
            self.0 = rest;
        }
        rest.is_some()
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.take(token) {
            return Ok(());
        }
        Err(format!("the header is malformed: `{token}` is missing"))
    }

    /// A text in single or double quotes. No text in a numeric header needs an escape.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let (text, rest) = self
            .0
            .split_once(quote)
            .ok_or("the header is malformed: a quote is missing")?;
        self.0 = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let text = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = text.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err("the header is malformed: 'fortran_order' is neither True nor False".to_owned())
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            if shape.len() == MOST_DIMENSIONS {
                return Err(format!(
                    "the shape has more than {MOST_DIMENSIONS} dimensions"
                ));
            }
            shape.push(self.size()?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }

    fn size(&mut self) -> Result<usize, String> {
        let text = self.0.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        // Python 2 wrote long integers with an L.
        self.0 = rest.strip_prefix('L').unwrap_or(rest);
        digits
            .parse()
            .map_err(|_| "the shape holds something that is no size".to_owned())
    }

    fn dtype(&mut self) -> Result<DType, String> {
        if self.0.trim_start().starts_with('[') {
            return Err("arrays of records are not supported: send plain numbers".to_owned());
        }
        let descr = self.string()?;
        let mut characters = descr.chars();
        let big_endian = match characters.next() {
            Some('<' | '|' | '=') => false,
            Some('>') => true,
            _ => return Err(unknown(descr)),
        };
        let kind = match characters.next() {
            Some('f') => Kind::Float,
            Some('i') => Kind::Signed,
            Some('u') => Kind::Unsigned,
            Some('b') => Kind::Bool,
            Some('O') => {
                return Err(
                    "arrays of Python objects are refused, as reading them can run code: \
                            send plain numbers"
                        .to_owned(),
                );
            }
            _ => return Err(unknown(descr)),
        };
        let size = match (kind, characters.as_str()) {
            (Kind::Bool | Kind::Signed | Kind::Unsigned, "1") => 1,
            (Kind::Float | Kind::Signed | Kind::Unsigned, "2") => 2,
            (Kind::Float | Kind::Signed | Kind::Unsigned, "4") => 4,
            (Kind::Float | Kind::Signed | Kind::Unsigned, "8") => 8,
            _ => return Err(unknown(descr)),
        };
        Ok(DType {
            kind,
            size,
            big_endian,
        })
    }
}

fn unknown(descr: &str) -> String {
    let descr: String = descr.chars().take(20).collect();
    format!("the type {descr:?} is not supported: send floats (f2, f4, f8), integers or bool")
}
