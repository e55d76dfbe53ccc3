//! A model file block by block. Empty lines part its blocks: the header, each tree, and what follows them.
//!
//! A cell's memory never shrinks, so a file is not held whole: it is many times larger than the model.

use std::hint::black_box;
use std::io::{self, Read, Seek};

use memchr::memchr;

/// How much is read at once: each read is a call out of the cell.
const CHUNK: usize = 64 << 10;

/// The blocks of a file, one after the other.
pub(crate) struct Blocks<R> {
    source: R,
    /// What was read, from `start` to `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The source has no more.
    is_over: bool,
    /// The bytes of all blocks so far.
    bytes: usize,
}

impl<R: Read + Seek> Blocks<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            is_over: false,
            bytes: 0,
        }
    }

    /// Begins again.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.source.rewind()?;
        (self.start, self.end, self.bytes) = (0, 0, 0);
        self.is_over = false;
        Ok(())
    }

    /// The bytes of the blocks so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next block, without the empty lines around it; empty after the last.
    pub(crate) fn next(&mut self) -> io::Result<&[u8]> {
        self.skip_line_ends()?;
        let mut searched = 0;
        let length = loop {
            if let Some(length) = end_of_block(self.held(), &mut searched) {
                break length;
            }
            if self.is_over {
                break self.held().len();
            }
            self.fill()?;
        };
        let block = self.start..self.start + length;
        self.start = block.end;
        self.bytes += length;
        Ok(self.buffer.get(block).unwrap_or_default())
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let held = self.held();
            let ends = held.iter().take_while(|&&byte| is_line_end(byte)).count();
            let found = ends < held.len();
            self.start += ends;
            if found || self.is_over {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads on, behind what is held.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            let mut larger = vec![0; self.buffer.len().saturating_mul(2)];
            let (held, _) = larger.split_at_mut(self.end);
            held.copy_from_slice(&self.buffer);
            self.buffer = larger;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end += count;
        self.is_over = count == 0;
        Ok(())
    }
}

impl<R> Drop for Blocks<R> {
    fn drop(&mut self) {
        // In a cell a read hands over memory of the C library's, which was freed since and would be kept as a
        // part of the model. The same size again is the same place, if nothing else took it.
        black_box(vec![0_u8; CHUNK]);
    }
}

/// How long the block is that begins `text`, if it ends there: before a line end that another one follows.
/// Lines before `searched` are known not to end it.
fn end_of_block(text: &[u8], searched: &mut usize) -> Option<usize> {
    while let Some(found) = memchr(b'\n', text.get(*searched..)?) {
        let line_end = *searched + found;
        match text.get(line_end + 1..)? {
            [b'\n', ..] | [b'\r', b'\n', ..] => return Some(line_end),
            // What decides is not there yet.
            [] | [b'\r'] => return None,
            _ => *searched = line_end + 1,
        }
    }
    None
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

#[cfg(test)]
mod tests;
