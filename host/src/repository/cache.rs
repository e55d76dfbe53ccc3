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
const FORMAT: u32 = 1;

/// Bytes that are set aside for a seal.
const SEAL_SIZE: u64 = 4096;

/// What a seal says of the file beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    format: u32,
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
        match check(&mut file, &seal) {
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
        file.as_file().sync_data()?;
        let opened = File::open(file.path())?;
        let seal = serde_json::to_vec(&Seal {
            format: FORMAT,
            etag: etag.to_owned(),
            size: written,
            sha256: hex(&sha256.finalize()),
        })?;
        let seal = write_unnamed(&seal, &self.scratch)?;
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

/// Whether `file`, which is left at its beginning, is the one that was sealed; its ETag.
fn check(file: &mut File, seal: &[u8]) -> io::Result<String> {
    let seal: Seal = serde_json::from_slice(seal)?;
    let mut hash = Sha256::new();
    // No more than should be there, however large the file is.
    let read = io::copy(&mut (&*file).take(seal.size.saturating_add(1)), &mut hash)?;
    if seal.format != FORMAT || read != seal.size || hex(&hash.finalize()) != seal.sha256 {
        return Err(io::Error::other("it is not what was fetched"));
    }
    file.rewind()?;
    Ok(seal.etag)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::workspace::Workspace;

    const BUDGET: u64 = 1 << 20;

    fn open(dir: &Path) -> Workspace {
        Workspace::open(dir, Some(BUDGET)).unwrap()
    }

    fn key(name: &str) -> CacheKey {
        CacheKey::new("s3://bucket/", name)
    }

    fn put(cache: &ArtifactCache, name: &str, etag: &str, bytes: &[u8]) {
        let mut incoming = cache.begin(bytes.len() as u64).unwrap();
        incoming.write(bytes).unwrap();
        cache.keep(&key(name), etag, incoming).unwrap();
    }

    fn get(cache: &ArtifactCache, name: &str) -> Option<(String, Vec<u8>)> {
        let mut found = cache.find(&key(name))?;
        let mut bytes = Vec::new();
        found.file.read_to_end(&mut bytes).unwrap();
        Some((found.etag, bytes))
    }

    /// The two files of the only entry.
    fn files(dir: &Path) -> (PathBuf, PathBuf) {
        let file = |ending: &str| {
            let mut paths = fs::read_dir(dir.join("artifacts")).unwrap();
            paths.find_map(|entry| {
                let path = entry.unwrap().path();
                (path.extension().unwrap() == ending).then_some(path)
            })
        };
        (file(ENDINGS.body).unwrap(), file(ENDINGS.seal).unwrap())
    }

    #[test]
    fn an_entry_outlives_the_host_and_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let host = open(dir.path());
        put(host.artifacts(), "m.tar.gz", "1", b"one");
        let old = host.artifacts().find(&key("m.tar.gz")).unwrap();
        put(host.artifacts(), "m.tar.gz", "2", b"second");
        let found = Some(("2".to_owned(), b"second".to_vec()));
        assert_eq!(get(host.artifacts(), "m.tar.gz"), found);
        assert_eq!(io::read_to_string(old.file).unwrap(), "one");
        let used = host.disk().used();
        drop(host);

        let host = open(dir.path());
        assert_eq!(get(host.artifacts(), "m.tar.gz"), found);
        assert_eq!(host.disk().used(), used);
        assert!(get(host.artifacts(), "other.tar.gz").is_none());
        host.artifacts().discard(&key("m.tar.gz"));
        assert!(get(host.artifacts(), "m.tar.gz").is_none());
        assert_eq!(host.disk().used(), 0);
    }

    #[test]
    fn a_damaged_entry_is_none_and_goes() {
        type Harm = fn(&Path, &Path);
        let harms: [Harm; 6] = [
            |body, _| fs::write(body, "on").unwrap(),
            |body, _| fs::write(body, "one more").unwrap(),
            |body, _| fs::write(body, "eno").unwrap(),
            |_, seal| fs::write(seal, "{\"format\":1").unwrap(),
            |_, seal| fs::write(seal, "").unwrap(),
            |body, _| fs::remove_file(body).unwrap(),
        ];
        for harm in harms {
            let dir = tempfile::tempdir().unwrap();
            let host = open(dir.path());
            put(host.artifacts(), "m.tar.gz", "1", b"one");
            let (body, seal) = files(dir.path());
            harm(&body, &seal);
            assert!(get(host.artifacts(), "m.tar.gz").is_none());
            assert_eq!(host.disk().used(), 0);
            put(host.artifacts(), "m.tar.gz", "1", b"one");
            assert!(get(host.artifacts(), "m.tar.gz").is_some());
        }
    }

    #[test]
    fn what_a_crash_left_is_no_entry_and_goes_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let host = open(dir.path());
        put(host.artifacts(), "m.tar.gz", "1", b"one");
        let (body, seal) = files(dir.path());
        fs::remove_file(seal).unwrap();
        assert!(get(host.artifacts(), "m.tar.gz").is_none());
        drop(host);

        drop(open(dir.path()));
        assert!(body.exists(), "another host may be about to seal it");
        let file = fs::OpenOptions::new().write(true).open(&body).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        drop(open(dir.path()));
        assert!(!body.exists());
    }

    #[test]
    fn a_download_that_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let host = open(dir.path());
        let mut incoming = host.artifacts().begin(100).unwrap();
        incoming.write(b"one").unwrap();
        assert!(host.disk().used() > 0);
        drop(incoming);
        assert_eq!(host.disk().used(), 0);
        let Err(CacheError::Full(full)) = host.artifacts().begin(2 * BUDGET) else {
            panic!("more than the budget");
        };
        let text = full.to_string();
        assert!(
            text.contains("2.0 MiB") && text.contains("1.0 MiB"),
            "{text}"
        );
    }

    #[test]
    fn the_entries_used_longest_ago_make_room_even_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let third = vec![0; BUDGET as usize / 3 - 10_000];
        let host = open(dir.path());
        for name in ["a", "b", "c"] {
            put(host.artifacts(), name, "1", &third);
            // Times of files may be as coarse as the kernel's clock ticks.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(get(host.artifacts(), "a").is_some());
        drop(host);

        let host = open(dir.path());
        put(host.artifacts(), "d", "1", &third);
        let left = ["a", "b", "c", "d"].map(|name| get(host.artifacts(), name).is_some());
        assert_eq!(left, [true, false, true, true]);
        assert!(host.disk().used() <= BUDGET);
    }
}
