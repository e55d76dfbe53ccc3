//! What the host and the compiler's process say to each other.
//!
//! The host writes, as the process's stdin: the length of a [`Header`] in four bytes, the header, the
//! component, the functions that are known. The process writes to stdout the code and then the
//! functions, and to stderr one line, a [`Report`] after [`MARK`]. Both are the same program, so
//! there is no version.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use serde::{Deserialize, Serialize};

use super::super::rewrite::Rewrite;
use super::Order;
use super::output::in_memory;

/// What the line of a report begins with. Whatever else is on stderr is of a crash.
const MARK: &str = "modelcell-compiler: ";

/// Bytes of a component's functions that are kept at most.
const FUNCTIONS_LIMIT: u64 = 128 << 20;

/// What comes before the component.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    /// What to do with the component first.
    pub(super) rewrite: Rewrite,
    /// What tells the engine's settings from others.
    pub(super) engine: [u8; 32],
    /// Bytes of the component.
    pub(super) wasm: u64,
    /// Bytes of the functions that are known.
    pub(super) functions: u64,
    /// Bytes that the functions may take from now on.
    pub(super) functions_limit: u64,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// The code is there.
    Done {
        /// Bytes of the code.
        code: u64,
        /// Bytes of the functions after it, zero if all of them were known.
        functions: u64,
        /// Functions that were known.
        reused: u64,
        /// Functions that were not.
        compiled: u64,
    },
    /// The component is not valid.
    Invalid(String),
    /// The component cannot be rewritten.
    Rewrite(String),
    /// The process cannot work, whatever the component.
    Unusable(String),
}

impl Report {
    /// Writes it as one line.
    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        writeln!(to, "\n{MARK}{text}")
    }

    /// The report among what a process wrote to stderr.
    pub(super) fn read(said: &str) -> Option<Self> {
        // The last one: what was said before may hold anything, a guest's words too.
        let text = said
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(MARK))?;
        serde_json::from_str(text).ok()
    }
}

/// The job as a file, ready to be read.
pub(super) fn write(engine: [u8; 32], order: &Order<'_>) -> io::Result<File> {
    let known = order.functions.map(File::metadata).transpose()?;
    let header = Header {
        rewrite: order.rewrite.clone(),
        engine,
        wasm: order.wasm.len() as u64,
        functions: known.map_or(0, |metadata| metadata.len()),
        functions_limit: FUNCTIONS_LIMIT,
    };
    let header = postcard::to_stdvec(&header).map_err(io::Error::other)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    let mut file = in_memory("modelcell-job")?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(&header)?;
    file.write_all(order.wasm)?;
    if let Some(mut functions) = order.functions {
        functions.rewind()?;
        io::copy(&mut functions, &mut file)?;
    }
    file.rewind()?;
    Ok(file)
}

/// A job: its header, the component, the functions that are known.
pub(super) fn read(mut from: impl Read) -> io::Result<(Header, Vec<u8>, Vec<u8>)> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let header = read_part(&mut from, u32::from_le_bytes(length).into())?;
    let header: Header = postcard::from_bytes(&header).map_err(io::Error::other)?;
    let wasm = read_part(&mut from, header.wasm)?;
    let functions = read_part(&mut from, header.functions)?;
    Ok((header, wasm, functions))
}

fn read_part(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    part.try_reserve_exact(usize::try_from(length).map_err(io::Error::other)?)?;
    let read = from.by_ref().take(length).read_to_end(&mut part)?;
    if read as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_arrives_as_it_was_sent() {
        let mut known = in_memory("known").unwrap();
        known.write_all(b"functions").unwrap();
        let order = Order {
            wasm: b"component",
            rewrite: &Rewrite::Plain,
            functions: Some(&known),
        };
        let (header, wasm, functions) = read(write([7; 32], &order).unwrap()).unwrap();
        assert_eq!(header.engine, [7; 32]);
        assert_eq!(header.rewrite, Rewrite::Plain);
        assert_eq!(
            (wasm.as_slice(), functions.as_slice()),
            (&b"component"[..], &b"functions"[..])
        );
    }

    #[test]
    fn a_job_that_is_cut_off_is_none() {
        assert!(read(&b""[..]).is_err());
        assert!(read(&[200, 0, 0, 0, 1][..]).is_err());
    }

    #[test]
    fn a_report_is_found_among_other_lines() {
        let report = Report::Invalid("of two\nlines".into());
        let mut said = b"thread 'main' said something".to_vec();
        report.write(&mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(Report::read(&said), Some(report));
        assert_eq!(Report::read("thread 'main' panicked"), None);
    }
}
