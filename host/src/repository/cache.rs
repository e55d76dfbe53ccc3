//! The artifacts that were fetched, on disk: one file for each artifact of each repository, the
//! newest that was fetched. It outlives the process, and several hosts may share it.
//!
//! An entry is a sealed file ([`Sealed`]) named by a hash of the repository and the artifact's key.
//! Its seal says which version the file is and what its bytes hash to, and both are checked before
//! it is handed out.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::load::compile::hex;
use crate::workspace::disk::{Disk, DiskFull, Reservation, on_disk};
use crate::workspace::sealed::{Endings, Sealed, write_unnamed};

/// The endings of an artifact and its seal.
pub const ENDINGS: Endings = Endings {
    body: "artifact",
    seal: "json",
};

/// Changes with the layout of names and seals; entries of other formats count as none.
const FORMAT: u32 = 2;

/// Bytes that are set aside for a seal.
const SEAL_SIZE: u64 = 4096;

/// What a seal says of the file beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    format: u32,
    key: String,
    etag: String,
    size: u64,
    sha256: String,
}

/// Which entry an artifact has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey(String);

impl CacheKey {
    /// The entry of the object `key` in `repository`, a text that no other repository has.
    pub fn new(repository: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_le_bytes());
        for part in [repository, key] {
            // Lengths, so that no two pairs of parts run together to the same bytes.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize()))
    }
}

/// A file that was found in the cache, undamaged.
pub struct Cached {
    /// Open at its beginning.
    pub file: File,
    /// Which version it is.
    pub etag: String,
}

/// The cache of fetched artifacts.
#[derive(Debug)]
pub struct ArtifactCache {
    dir: PathBuf,
    /// Where downloads go before they get their name; on the same file system as `dir`.
    scratch: PathBuf,
    disk: Arc<Disk>,
}

impl ArtifactCache {
    /// The cache in `dir`. `scratch` is a directory on the same file system that somebody cleans up
    /// after a crash.
    pub fn new(dir: PathBuf, scratch: PathBuf, disk: Arc<Disk>) -> Self {
        Self { dir, scratch, disk }
    }

    /// The entry if it is there and undamaged; a damaged one is deleted. Reads the whole file.
    pub fn find(&self, key: &CacheKey) -> Option<Cached> {
        let entry = self.entry(key);
        let (mut file, seal) = self.disk.find(&entry)?;
        match check(key, &mut file, &seal) {
            Ok(etag) => Some(Cached { file, etag }),
            Err(error) => {
                tracing::warn!(%error, "an artifact in the cache is damaged; it is fetched again");
                self.disk.discard(&entry);
                None
            }
        }
    }

    /// Deletes an entry, of an artifact that is no more.
    pub fn discard(&self, key: &CacheKey) {
        self.disk.discard(&self.entry(key));
    }

    /// An empty file for `size` bytes, which may become an entry. Whatever becomes of it, it goes
    /// when the value is dropped.
    ///
    /// # Errors
    ///
    /// If the disk budget or the disk has no room for it.
    pub fn begin(&self, size: u64) -> Result<Incoming, CacheError> {
        let room = self.disk.reserve(on_disk(size).saturating_add(SEAL_SIZE))?;
        Ok(Incoming {
            file: NamedTempFile::new_in(&self.scratch)?,
            written: 0,
            sha256: Sha256::new(),
            room,
        })
    }

    /// Makes what has come the entry `key`, of version `etag`. Returns the file, open at its
    /// beginning.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep(&self, key: &CacheKey, etag: &str, incoming: Incoming) -> io::Result<File> {
        let Incoming {
            file,
            written,
            sha256,
            room,
        } = incoming;
        let opened = File::open(file.path())?;
        let seal = serde_json::to_vec(&Seal {
            format: FORMAT,
            key: key.0.clone(),
            etag: etag.to_owned(),
            size: written,
            sha256: hex(&sha256.finalize()),
        })?;
        let seal = write_unnamed(seal.as_slice(), &self.scratch)?;
        let entry = self.entry(key);
        room.keep(&entry, || entry.put(file, seal))?;
        Ok(opened)
    }

    fn entry(&self, CacheKey(key): &CacheKey) -> Sealed {
        Sealed::new(&self.dir, key, ENDINGS)
    }
}

/// Why the cache takes no file.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No room for it.
    #[error(transparent)]
    Full(#[from] DiskFull),
    /// The disk is broken.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for CacheError {
    fn from(error: io::Error) -> Self {
        match DiskFull::from_io(&error) {
            Some(full) => Self::Full(full),
            None => Self::Io(error),
        }
    }
}

/// A file that is being downloaded. Dropping it deletes it.
pub struct Incoming {
    file: NamedTempFile,
    written: u64,
    sha256: Sha256,
    // After the file, so that its bytes are given back when they are free.
    room: Reservation,
}

impl Incoming {
    /// Bytes that have come.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds what has come.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_file_mut().write_all(bytes)?;
        self.sha256.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what has come: it comes once more.
    ///
    /// # Errors
    ///
    /// If the file cannot be cut.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.file.as_file_mut().rewind()?;
        self.file.as_file().set_len(0)?;
        self.sha256 = Sha256::new();
        self.written = 0;
        Ok(())
    }
}

/// Whether `file`, which is left at its beginning, is the one that was sealed as `key`; its ETag.
fn check(CacheKey(key): &CacheKey, file: &mut File, seal: &[u8]) -> io::Result<String> {
    let seal: Seal = serde_json::from_slice(seal)?;
    let mut hash = Sha256::new();
    // No more than should be there, however large the file is.
    let read = io::copy(&mut (&*file).take(seal.size.saturating_add(1)), &mut hash)?;
    let ours = seal.format == FORMAT && seal.key == *key;
    if !ours || read != seal.size || hex(&hash.finalize()) != seal.sha256 {
        return Err(io::Error::other("it is not what was fetched"));
    }
    file.rewind()?;
    Ok(seal.etag)
}

#[cfg(test)]
mod tests;
