//! An artifact's archive, unpacked into a directory.
//!
//! The archive is hostile. Nothing is written outside of the target directory, because only plain
//! names are accepted and only regular files and directories are made; so no link exists that a
//! later entry could follow. Sizes, counts and depths are bounded, those included that an archive
//! only implies. The format is told by the content, not by the name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use bytesize::ByteSize;
use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// The component's file in an artifact.
pub const COMPONENT_FILE: &str = "model.wasm";

/// A pax header holds a few names and times; this is far more than any real one needs.
const PAX_LIMIT: u64 = 64 * 1024;

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
    /// The host could not write what was unpacked.
    #[error("the artifact could not be unpacked: {0}")]
    Storage(io::Error),
}

/// Unpacks the artifact `file` into the existing, empty directory `into`.
pub fn unpack(mut file: File, into: &Path, limits: &UnpackLimits) -> Result<(), UnpackError> {
    let mut magic = [0; 4];
    let read = read_up_to(&mut file, &mut magic).map_err(damaged)?;
    file.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let file = BufReader::with_capacity(128 * 1024, file);
    match magic.get(..read) {
        Some([0x1f, 0x8b, ..]) => unpack_tar(MultiGzDecoder::new(file), into, limits),
        Some(b"\0asm") => copy_component(file, into, limits),
        Some([]) | None => Err(UnpackError::Damaged("it is empty".into())),
        Some(_) => unpack_tar(file, into, limits),
    }
}

/// A bare component is an artifact without data files.
fn copy_component(file: impl Read, into: &Path, limits: &UnpackLimits) -> Result<(), UnpackError> {
    let mut file = Bounded::new(file, limits.total_bytes);
    write_file(&mut file, &into.join(COMPONENT_FILE)).map_err(|e| file.explain(e))
}

fn unpack_tar(reader: impl Read, into: &Path, limits: &UnpackLimits) -> Result<(), UnpackError> {
    let mut archive = Archive::new(Bounded::new(reader, limits.total_bytes));
    let mut unpacker = Unpacker {
        into,
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
        .map_err(|e| reader.explain(e))
}

/// Reading an archive fails because it is damaged, writing because of the host; the two must not be
/// mistaken for each other.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
    Refused(UnpackError),
}

struct Unpacker<'a> {
    into: &'a Path,
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
                write_file(entry, &self.into.join(path))
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
        let mut dir = self.into.to_owned();
        for part in path.components() {
            dir.push(part);
            match fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => self.count_made()?,
                Err(_) if dir.is_dir() => {}
                Err(error) => return Err(CopyError::Write(error)),
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

/// The path in a pax header, if it has one.
fn pax_path<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Vec<u8>>, CopyError> {
    let bytes = read_header(entry, PAX_LIMIT)?;
    for extension in PaxExtensions::new(&bytes) {
        let extension = extension.map_err(CopyError::Read)?;
        if extension.key_bytes() == b"path" {
            return Ok(Some(extension.value_bytes().to_vec()));
        }
    }
    Ok(None)
}

/// The path in GNU tar's header for long names, which ends it with a zero byte.
fn gnu_name<R: Read>(entry: &mut Entry<'_, R>, limit: usize) -> Result<Vec<u8>, CopyError> {
    if entry.size() > limit as u64 + 1 {
        return Err(CopyError::Refused(UnpackError::PathTooLong(limit)));
    }
    let mut name = read_header(entry, limit as u64 + 1)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// An extended header, which must be read into memory whole.
fn read_header<R: Read>(entry: &mut Entry<'_, R>, limit: u64) -> Result<Vec<u8>, CopyError> {
    if entry.size() > limit {
        return Err(CopyError::Refused(UnpackError::HeaderTooLarge(limit)));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(CopyError::Read)?;
    Ok(bytes)
}

fn write_file(from: &mut impl Read, path: &Path) -> Result<(), CopyError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(CopyError::Write)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).map_err(CopyError::Read)?;
        match buffer.get(..read) {
            Some(chunk) if !chunk.is_empty() => file.write_all(chunk).map_err(CopyError::Write)?,
            _ => return Ok(()),
        }
    }
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

fn damaged(error: io::Error) -> UnpackError {
    UnpackError::Damaged(error.to_string())
}

/// A reader that fails once more than `limit` bytes have come out of it, which ends zip bombs
/// wherever in the archive they are.
struct Bounded<R> {
    inner: R,
    limit: u64,
    left: u64,
    exceeded: bool,
}

impl<R: Read> Bounded<R> {
    fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            limit,
            left: limit,
            exceeded: false,
        }
    }

    fn explain(&self, error: CopyError) -> UnpackError {
        match error {
            CopyError::Refused(error) => error,
            _ if self.exceeded => UnpackError::TooLarge(self.limit),
            CopyError::Read(error) => damaged(error),
            // Names that the file system does not take, or that stand in each other's way.
            CopyError::Write(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidFilename
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::IsADirectory
                ) =>
            {
                damaged(error)
            }
            CopyError::Write(error) => UnpackError::Storage(error),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.exceeded = true;
                Err(io::Error::other("more than allowed"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
