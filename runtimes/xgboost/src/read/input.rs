//! Bytes of a file, a buffer at a time.

use std::io::{ErrorKind, Read};

use modelcell_guest::{Context, Error, Result};

/// Few reads, because each is a call out of the cell. But each also leaves behind as much memory, which
/// the system's interface takes for itself.
const BUFFER: usize = 16 << 10;

/// The longest piece that [`Input::ahead`] gives.
pub(crate) const AHEAD: usize = 256;

/// A file, read once and in order.
pub(crate) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    /// What has been used of the buffer.
    at: usize,
    /// What the file has filled of it.
    end: usize,
    /// Where in the file the buffer begins.
    offset: u64,
    /// Whether the file has ended.
    ended: bool,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER],
            at: 0,
            end: 0,
            offset: 0,
            ended: false,
        }
    }

    /// An error that says where.
    pub(crate) fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::failed(format_args!("byte {}: {message}", self.position()))
    }

    /// How many bytes have been used.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// The bytes that come next: at least [`AHEAD`], unless the file ends before.
    pub(crate) fn ahead(&mut self) -> Result<&[u8]> {
        if self.end - self.at < AHEAD {
            self.fill()?;
        }
        Ok(self.buffer.get(self.at..self.end).unwrap_or_default())
    }

    /// The next byte, which stays the next; `None` at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Option<u8>> {
        if self.at == self.end {
            self.fill()?;
        }
        Ok(self
            .buffer
            .get(self.at..self.end)
            .and_then(<[u8]>::first)
            .copied())
    }

    /// Takes a byte.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<u8> {
        let byte = self.peek()?.ok_or_else(|| self.ends())?;
        self.at += 1;
        Ok(byte)
    }

    /// Takes bytes that [`ahead`](Self::ahead) or [`peek`](Self::peek) has shown.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }

    /// Takes so many bytes, and keeps none.
    pub(crate) fn discard(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            if self.at == self.end {
                self.fill()?;
            }
            let there = (self.end - self.at) as u64;
            if there == 0 {
                return Err(self.ends());
            }
            self.at += count.min(there) as usize;
            count -= count.min(there);
        }
        Ok(())
    }

    /// Takes an array of bytes.
    #[inline]
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        const { assert!(N <= AHEAD) };
        let bytes = self.ahead()?.first_chunk::<N>().copied();
        let bytes = bytes.ok_or_else(|| self.ends())?;
        self.at += N;
        Ok(bytes)
    }

    /// Takes so many bytes. Memory is used for those only that are really there.
    pub(crate) fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut left = count;
        while left > 0 {
            let ahead = self.ahead()?;
            if ahead.is_empty() {
                return Err(self.ends());
            }
            let piece = ahead.get(..usize::try_from(left)?.min(ahead.len()));
            let piece = piece.unwrap_or_default();
            bytes.extend_from_slice(piece);
            let taken = piece.len();
            self.advance(taken);
            left -= taken as u64;
        }
        Ok(bytes)
    }

    pub(crate) fn ends(&self) -> Error {
        self.error("the file ends too early")
    }

    /// Moves what is unused to the front, and reads behind it.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.at..self.end, 0);
        self.offset += self.at as u64;
        self.end -= self.at;
        self.at = 0;
        while !self.ended && self.end < AHEAD {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot be read"),
            }
        }
        Ok(())
    }
}
