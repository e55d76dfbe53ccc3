//! An artifact's archive, unpacked into a directory.
//!
//! The archive is hostile. Nothing is written outside of the target directory, because only plain
//! names are accepted and only regular files and directories are made; so no link exists that a
//! later entry could follow. Sizes, counts and depths are bounded, those included that an archive
//! only implies, and what is written is under the disk budget. The format is told by the content, not
//! by the name.

mod bounded;
mod headers;
mod writer;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use bytesize::ByteSize;
use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::workspace::disk::{DiskFull, Reservation};
use bounded::Bounded;
use headers::{gnu_name, pax_path};
use writer::Writer;
pub(super) use writer::write_error;

/// The component's file in an artifact.
pub const COMPONENT_FILE: &str = "model.wasm";

/// Folders in folders: a long path costs the archive a few bytes and the disk a folder a part.
const DEPTH_LIMIT: usize = 32;

/// What an artifact may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of the unpacked archive.
    pub total_bytes: u64,
    /// Files and directories, those that a path implies included.
    pub entries: usize,
    /// Bytes of one entry's path.
    pub path_bytes: usize,
}

/// Why an artifact cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Neither gzip, tar nor WebAssembly, or damaged.
    #[error(
        "the artifact cannot be read: {0}. Pack it anew as a tar.gz with {COMPONENT_FILE} at its top"
    )]
    Damaged(String),
    /// An entry that could write outside of the model's directory, or that no model needs.
    #[error(
        "the artifact holds {what} ({path}): it may hold regular files and directories with relative paths only"
    )]
    Forbidden {
        /// The kind of entry.
        what: &'static str,
        /// Its path in the archive, printable.
        path: String,
    },
    /// Unpacks to more than allowed.
    #[error("the artifact unpacks to more than {}, the limit of --max-unpacked", ByteSize(*.0))]
    TooLarge(u64),
    /// More files than allowed.
    #[error("the artifact holds more than {0} files and folders, the limit of --max-files")]
    TooMany(usize),
    /// A path longer than allowed.
    #[error("the artifact holds a path of more than {0} bytes")]
    PathTooLong(usize),
    /// A path with more folders than allowed.
    #[error("the artifact holds a path of more than {DEPTH_LIMIT} folders")]
    PathTooDeep,
    /// An extended header larger than any real one.
    #[error("the artifact holds an extended header of more than {0} bytes")]
    HeaderTooLarge(u64),
    /// There is no room for what is unpacked.
    #[error("the artifact could not be unpacked: {0}")]
    NoRoom(DiskFull),
    /// The host could not write what was unpacked.
    #[error("the artifact could not be unpacked: {0}")]
    Storage(io::Error),
}

/// Unpacks the artifact `file` into the existing, empty directory `into`. `room` grows with what is
/// written.
///
/// # Errors
///
/// Any [`UnpackError`]; what was written so far is left.
pub fn unpack(
    mut file: File,
    into: &Path,
    limits: &UnpackLimits,
    room: &mut Reservation,
) -> Result<(), UnpackError> {
    let writer = Writer::new(into, room);
    let mut magic = [0; 4];
    let read = read_up_to(&mut file, &mut magic).map_err(damaged)?;
    file.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let file = BufReader::with_capacity(128 * 1024, file);
    match magic.get(..read) {
        Some([0x1f, 0x8b, ..]) => unpack_tar(MultiGzDecoder::new(file), writer, limits),
        Some(b"\0asm") => copy_component(file, writer, limits),
        Some([]) | None => Err(UnpackError::Damaged("it is empty".into())),
        Some(_) => unpack_tar(file, writer, limits),
    }
}

/// A bare component is an artifact without data files.
fn copy_component(
    file: impl Read,
    mut writer: Writer<'_>,
    limits: &UnpackLimits,
) -> Result<(), UnpackError> {
    let mut file = Bounded::new(file, limits.total_bytes);
    writer
        .write_file(&mut file, Path::new(COMPONENT_FILE))
        .map_err(|e| file.explain(e))?;
    writer.finish();
    Ok(())
}

fn unpack_tar(
    reader: impl Read,
    writer: Writer<'_>,
    limits: &UnpackLimits,
) -> Result<(), UnpackError> {
    let mut archive = Archive::new(Bounded::new(reader, limits.total_bytes));
    let mut unpacker = Unpacker {
        writer,
        limits,
        made: 0,
        headers: 0,
    };
    let unpacked = unpacker.unpack(&mut archive);
    let mut reader = archive.into_inner();
    // The rest is read for gzip's checksum, which comes last.
    unpacked
        .and_then(|()| {
            io::copy(&mut reader, &mut io::sink())
                .map(drop)
                .map_err(CopyError::Read)
        })
        .map_err(|e| reader.explain(e))?;
    unpacker.writer.finish();
    Ok(())
}

/// Reading an archive fails because it is damaged, writing because of the host; the two must not be
/// mistaken for each other.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
    Refused(UnpackError),
}

struct Unpacker<'a> {
    writer: Writer<'a>,
    limits: &'a UnpackLimits,
    /// Files and directories made so far.
    made: usize,
    /// Extended headers read so far. They come before their entries and make nothing themselves.
    headers: usize,
}

impl Unpacker<'_> {
    fn unpack<R: Read>(&mut self, archive: &mut Archive<R>) -> Result<(), CopyError> {
        let mut long_name = None;
        let mut empty = true;
        // Raw, because otherwise the library reads extended headers of any size into memory.
        for entry in archive.entries().map_err(CopyError::Read)?.raw(true) {
            let mut entry = entry.map_err(CopyError::Read)?;
            empty = false;
            match entry.header().entry_type() {
                EntryType::XGlobalHeader => self.count_header()?,
                EntryType::XHeader => {
                    self.count_header()?;
                    long_name = pax_path(&mut entry)?.or(long_name);
                }
                EntryType::GNULongName => {
                    self.count_header()?;
                    long_name = Some(gnu_name(&mut entry, self.limits.path_bytes)?);
                }
                kind => {
                    let name = match long_name.take() {
                        Some(name) => name,
                        None => entry.path_bytes().into_owned(),
                    };
                    let path = checked_path(&name, self.limits)?;
                    self.make(&mut entry, kind, &path)?;
                }
            }
        }
        if empty {
            let nothing = "it is neither gzip nor tar, or holds nothing".to_owned();
            return Err(CopyError::Refused(UnpackError::Damaged(nothing)));
        }
        Ok(())
    }

    fn make<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        kind: EntryType,
        path: &Path,
    ) -> Result<(), CopyError> {
        match kind {
            EntryType::Directory => self.make_dirs(path),
            EntryType::Regular | EntryType::Continuous => {
                if path.as_os_str().is_empty() {
                    return Err(forbidden("a file without a name", path));
                }
                self.make_dirs(path.parent().unwrap_or(Path::new("")))?;
                self.count_made()?;
                self.writer.write_file(entry, path)
            }
            EntryType::Link | EntryType::Symlink => Err(forbidden("a link", path)),
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                Err(forbidden("a device", path))
            }
            _ => Err(forbidden("an entry of an unusual kind", path)),
        }
    }

    /// Makes the directory `path` and those above it, one by one so that each is counted.
    fn make_dirs(&mut self, path: &Path) -> Result<(), CopyError> {
        let mut dir = PathBuf::new();
        for part in path.components() {
            dir.push(part);
            if self.writer.make_dir(&dir)? {
                self.count_made()?;
            }
        }
        Ok(())
    }

    fn count_made(&mut self) -> Result<(), CopyError> {
        self.made += 1;
        self.check(self.made)
    }

    fn count_header(&mut self) -> Result<(), CopyError> {
        self.headers += 1;
        self.check(self.headers)
    }

    fn check(&self, count: usize) -> Result<(), CopyError> {
        if count > self.limits.entries {
            return Err(CopyError::Refused(UnpackError::TooMany(
                self.limits.entries,
            )));
        }
        Ok(())
    }
}

/// The path of an entry if it is relative and plain. `.` components are left out.
fn checked_path(name: &[u8], limits: &UnpackLimits) -> Result<PathBuf, CopyError> {
    if name.len() > limits.path_bytes {
        return Err(CopyError::Refused(UnpackError::PathTooLong(
            limits.path_bytes,
        )));
    }
    let lossy = String::from_utf8_lossy(name);
    let shown = Path::new(&*lossy);
    let Ok(name) = std::str::from_utf8(name) else {
        return Err(forbidden("a path that is not UTF-8", shown));
    };
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(forbidden("a path with ..", shown)),
            Component::RootDir | Component::Prefix(_) => {
                return Err(forbidden("an absolute path", shown));
            }
        }
    }
    if path.components().count() > DEPTH_LIMIT {
        return Err(CopyError::Refused(UnpackError::PathTooDeep));
    }
    Ok(path)
}

fn forbidden(what: &'static str, path: &Path) -> CopyError {
    CopyError::Refused(UnpackError::Forbidden {
        what,
        path: crate::sandbox::printable(&path.to_string_lossy()),
    })
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match reader.read(rest)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// The library's texts quote the archive.
fn damaged(error: io::Error) -> UnpackError {
    UnpackError::Damaged(crate::sandbox::printable(&error.to_string()))
}

#[cfg(test)]
mod tests;
