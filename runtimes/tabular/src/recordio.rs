//! RecordIO, the framing of SageMaker's recordio-protobuf: a magic number, a length, the record, and
//! zeros up to a multiple of four bytes.
//!
//! MXNet's writers split a record where it holds the magic number itself: the upper three bits of
//! the length say which part it is, and the number goes between the parts. SageMaker's writers never
//! split.

use std::borrow::Cow;

use modelcell_guest::{Error, Result};

const MAGIC: [u8; 4] = 0xced7_230a_u32.to_le_bytes();
/// The bits of the length that say which part of a record follows.
const PART_SHIFT: u32 = 29;
const WHOLE: u32 = 0;
const FIRST: u32 = 1;
const MIDDLE: u32 = 2;
const LAST: u32 = 3;

/// Goes through the records of a body.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    /// The number of the record that comes next, counted from 1.
    number: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            number: 1,
        }
    }

    /// The next record, or none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Cow<'a, [u8]>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let record = match self.part()? {
            (WHOLE, record) => Cow::Borrowed(record),
            (FIRST, record) => Cow::Owned(self.join(record)?),
            _ => return Err(self.problem("begins with a part that is not its first")),
        };
        self.number += 1;
        Ok(Some(record))
    }

    /// The parts of a split record, from the first on.
    fn join(&mut self, first: &[u8]) -> Result<Vec<u8>> {
        let mut record = first.to_vec();
        loop {
            let (part, bytes) = self.part()?;
            record.extend_from_slice(&MAGIC);
            record.extend_from_slice(bytes);
            match part {
                MIDDLE => {}
                LAST => return Ok(record),
                _ => return Err(self.problem("lacks its last part")),
            }
        }
    }

    /// Which part it is, and its bytes.
    fn part(&mut self) -> Result<(u32, &'a [u8])> {
        let (magic, rest) = self.take::<4>(self.rest)?;
        if magic != MAGIC {
            return Err(self.problem("does not begin as RecordIO does, with 0xced7230a"));
        }
        let (word, rest) = self.take::<4>(rest)?;
        let word = u32::from_le_bytes(word);
        let length = (word & ((1 << PART_SHIFT) - 1)) as usize;
        let padded = length.next_multiple_of(4);
        let (Some(record), Some(rest)) = (rest.get(..length), rest.get(padded..)) else {
            let found = rest.len();
            return Err(self.problem(format_args!(
                "is {padded} bytes long with its padding, and {found} are there"
            )));
        };
        self.rest = rest;
        Ok((word >> PART_SHIFT, record))
    }

    fn take<const N: usize>(&self, bytes: &'a [u8]) -> Result<([u8; N], &'a [u8])> {
        bytes
            .split_first_chunk::<N>()
            .map(|(chunk, rest)| (*chunk, rest))
            .ok_or_else(|| self.problem("ends within its header"))
    }

    fn problem(&self, problem: impl std::fmt::Display) -> Error {
        Error::invalid_input(format_args!("record {} {problem}", self.number))
    }
}

/// Appends a record.
pub(crate) fn write(out: &mut Vec<u8>, record: &[u8]) {
    // Records are a few labels of a row: far below the 2^29 bytes that the framing allows.
    let length = record.len() as u32;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(record);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut records = Records::new(body);
        let mut found = Vec::new();
        while let Some(record) = records.next()? {
            found.push(record.into_owned());
        }
        Ok(found)
    }

    fn part(kind: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, bytes);
        let word = kind << PART_SHIFT | bytes.len() as u32;
        out[4..8].copy_from_slice(&word.to_le_bytes());
        out
    }

    #[test]
    fn there_and_back() {
        let mut body = Vec::new();
        let records = [&b"12345"[..], b"", b"1234", &MAGIC];
        for record in records {
            write(&mut body, record);
        }
        assert_eq!(body.len(), 8 + 8 + 8 + 8 + 4 + 8 + 4);
        assert_eq!(all(&body).unwrap(), records);
    }

    #[test]
    fn parts_are_joined_with_the_magic_number_between() {
        let body = [
            part(FIRST, b"ab"),
            part(MIDDLE, b""),
            part(LAST, b"cde"),
            part(WHOLE, b"f"),
        ]
        .concat();
        let joined = [b"ab", &MAGIC[..], &MAGIC, b"cde"].concat();
        assert_eq!(all(&body).unwrap(), [joined, b"f".to_vec()]);
    }

    #[test]
    fn errors_name_the_record() {
        let whole = part(WHOLE, b"abc");
        for (body, expected) in [
            (vec![1, 2, 3, 4, 5], "record 1 does not begin as RecordIO"),
            (MAGIC[..3].to_vec(), "record 1 ends within its header"),
            (whole[..6].to_vec(), "record 1 ends within its header"),
            (
                [&whole[..], &whole[..11]].concat(),
                "record 2 is 4 bytes long with its padding, and 3 are there",
            ),
            (part(7, b""), "record 1 begins with a part that"),
            (part(LAST, b""), "record 1 begins with a part that"),
            (part(FIRST, b""), "record 1 ends within its header"),
            (
                [part(FIRST, b""), part(FIRST, b"")].concat(),
                "record 1 lacks its last part",
            ),
            (
                [MAGIC, [0xff, 0xff, 0xff, 0x1f]].concat(),
                "record 1 is 536870912 bytes long with its padding, and 0 are there",
            ),
        ] {
            let error = all(&body).unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(error.message().starts_with(expected), "{error}");
        }
    }
}
