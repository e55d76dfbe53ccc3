//! Cached files that survive a crash in the middle of a write: each has a second, small file beside
//! it, its seal, which is written last and deleted first. A file without a seal is no file, and what
//! the seal says (a digest) tells whether the file is the one that was sealed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::disk::on_disk;

/// A file without its seal is left alone for as long as another host may be about to seal it.
const ORPHAN_AGE: Duration = Duration::from_secs(600);

/// The endings of the two files of a kind of cached files.
#[derive(Debug, Clone, Copy)]
pub struct Endings {
    /// Of the file itself.
    pub body: &'static str,
    /// Of its seal.
    pub seal: &'static str,
}

/// A cached file and its seal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sealed {
    body: PathBuf,
    seal: PathBuf,
}

impl Sealed {
    /// The file named `key` in `dir`.
    pub fn new(dir: &Path, key: &str, endings: Endings) -> Self {
        Self {
            body: dir.join(format!("{key}.{}", endings.body)),
            seal: dir.join(format!("{key}.{}", endings.seal)),
        }
    }

    /// Where the file itself lies.
    pub fn body(&self) -> &Path {
        &self.body
    }

    /// The open file and what its seal says, if it has one.
    pub(super) fn open(&self) -> Option<(File, Vec<u8>)> {
        let seal = fs::read(&self.seal).ok()?;
        Some((File::open(&self.body).ok()?, seal))
    }

    /// The name that the two files share.
    fn key(&self) -> &[u8] {
        let stem = self.body.file_stem().unwrap_or_default();
        stem.as_encoded_bytes()
    }

    /// The beginning of the digest that the seal holds. It is of the name as well, so that one entry's
    /// files are no other's.
    pub fn digest(&self) -> Sha256 {
        Sha256::new_with_prefix(self.key())
    }

    /// Puts two finished files in the place of what is there.
    ///
    /// # Errors
    ///
    /// If one of the renames fails; the file has no seal then.
    pub fn put(&self, body: NamedTempFile, seal: NamedTempFile) -> io::Result<()> {
        // An old seal beside a new file would only look like damage, but be thorough.
        remove(&self.seal)?;
        body.persist(&self.body)?;
        seal.persist(&self.seal)?;
        Ok(())
    }

    /// Deletes both files.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.seal)?;
        remove(&self.body)
    }
}

/// Writes a file that has no name yet; it goes when it is dropped without one.
///
/// Nothing waits for the disk, which would be most of the time of a cold start: the seal's digest
/// tells if the machine went down before all of it was there.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_unnamed(mut content: impl Read, scratch: &Path) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(scratch)?;
    // To the file itself, so that from one file to another the kernel copies.
    io::copy(&mut content, file.as_file_mut())?;
    Ok(file)
}

/// What lies sealed in `dir`: each file, the bytes it takes with its seal, and when it was used last.
/// Deletes what a crash left half-done.
///
/// # Errors
///
/// If the directory cannot be read.
pub fn scan(dir: &Path, endings: Endings) -> io::Result<Vec<(Sealed, u64, SystemTime)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let Some(key) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let file = Sealed::new(dir, key, endings);
        let (body, seal) = (fs::metadata(&file.body), fs::metadata(&file.seal));
        match (body, seal) {
            (Ok(body), Ok(seal)) if ending == Some(endings.body) => found.push((
                file,
                on_disk(body.len()) + on_disk(seal.len()),
                body.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            )),
            (Ok(half), Err(_)) | (Err(_), Ok(half)) if is_old(&half) => {
                if let Err(error) = file.remove() {
                    tracing::warn!(%error, "something in the cache is not of the cache, and stays");
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn is_old(metadata: &fs::Metadata) -> bool {
    let age = |time: SystemTime| time.elapsed().unwrap_or_default();
    metadata
        .modified()
        .map(age)
        .is_ok_and(|age| age > ORPHAN_AGE)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
