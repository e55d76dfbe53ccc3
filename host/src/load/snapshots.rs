//! Snapshots on disk, so that a model that comes back after an eviction or a restart skips `model_fn`.
//!
//! An entry is a sealed file ([`Sealed`]) named by a hash of all that `model_fn` depends on:
//! `KEY.image`, and `KEY.sha256`, its digest. The file is a header (its length in eight bytes, then JSON)
//! and the image's extents, one behind the other. Nothing of an entry is used before the digest was
//! compared: what would be served is the model itself.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::compile::{CodeKey, hex};
use crate::budget::{Account, NoRoom};
use crate::sandbox::{Extent, Globals, Image, PAGE, Snapshot};
use crate::workspace::disk::{Disk, on_disk};
use crate::workspace::sealed::{Endings, Sealed, write_unnamed};

/// The endings of a snapshot and its digest.
pub const ENDINGS: Endings = Endings {
    body: "image",
    seal: "sha256",
};

/// Changes with the files' layout, and with what `model_fn` sees of the host.
const FORMAT: &[u8] = b"modelcell snapshot 3\n";

/// The longest header, in bytes: an extent takes about forty, a global about thirty.
const HEADER_LIMIT: u64 = 1 << 20;

/// What tells one snapshot from another: a hash of all that `model_fn` depends on.
#[derive(Debug, Clone)]
pub struct SnapshotKey(String);

impl SnapshotKey {
    /// The key of a model with this component and this artifact, in a cell of so much memory with these
    /// variables.
    pub fn of(
        component: &CodeKey,
        artifact: &[u8; 32],
        memory_limit: usize,
        environment: &[(String, String)],
    ) -> Self {
        let mut key = Sha256::new_with_prefix(FORMAT);
        key.update(component.as_str());
        key.update(artifact);
        key.update(memory_limit.to_le_bytes());
        for (name, value) in environment {
            for text in [name, value] {
                key.update(text.len().to_le_bytes());
                key.update(text);
            }
        }
        Self(hex(&key.finalize()))
    }
}

/// The cache of snapshots.
pub struct SnapshotCache {
    dir: PathBuf,
    /// Where files are written before they get their name; on the same file system as `dir`.
    scratch: PathBuf,
    disk: Arc<Disk>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    globals: Globals,
    /// Bytes of the memory.
    bytes: usize,
    /// The parts of it that are not all zeros.
    extents: Vec<Extent>,
    /// The first line that `model_fn` printed.
    description: Option<String>,
}

/// A snapshot that was found, but not read.
pub struct CachedSnapshot {
    file: File,
    digest: Sha256,
    expected: Vec<u8>,
    header: Header,
}

impl SnapshotCache {
    /// The cache in `dir`, which must belong to the host's user alone. `scratch` is a directory on the
    /// same file system that somebody cleans up after a crash.
    pub fn new(dir: PathBuf, scratch: PathBuf, disk: Arc<Disk>) -> Self {
        Self { dir, scratch, disk }
    }

    /// The snapshot with this key if it is in the cache.
    pub fn find(&self, key: &SnapshotKey) -> Option<CachedSnapshot> {
        let entry = self.entry(key);
        let (mut file, expected) = self.disk.find(&entry)?;
        let mut digest = entry.digest();
        match read_header(&mut file, &mut digest) {
            Ok(header) => Some(CachedSnapshot {
                file,
                digest,
                expected,
                header,
            }),
            Err(_) => {
                damaged();
                None
            }
        }
    }

    /// Keeps a snapshot.
    ///
    /// # Errors
    ///
    /// If there is no room for it on the disk, or it cannot be written.
    pub fn store(
        &self,
        key: &SnapshotKey,
        image: &Image,
        globals: &Globals,
        description: Option<&str>,
    ) -> io::Result<()> {
        let entry = self.entry(key);
        let header = Header {
            globals: globals.clone(),
            bytes: image.memory_bytes(),
            extents: image.extents().to_vec(),
            description: description.map(str::to_owned),
        };
        let json = serde_json::to_vec(&header)?;
        let bytes = 8 + json.len() + image.held();
        let room = self.disk.reserve(on_disk(bytes as u64) + on_disk(64));
        let room = room.map_err(io::Error::other)?;

        let file = NamedTempFile::new_in(&self.scratch)?;
        let mut out = Digesting {
            digest: entry.digest(),
            inner: BufWriter::new(file),
        };
        out.write_all(&(json.len() as u64).to_le_bytes())?;
        out.write_all(&json)?;
        out.write_all(image.contents())?;
        let seal = write_unnamed(hex(&out.digest.finalize()).as_bytes(), &self.scratch)?;
        let body = out.inner.into_inner().map_err(|e| e.into_error())?;
        room.keep(&entry, || entry.put(body, seal))
    }

    fn entry(&self, SnapshotKey(key): &SnapshotKey) -> Sealed {
        Sealed::new(&self.dir, key, ENDINGS)
    }
}

impl CachedSnapshot {
    /// The globals that the code must have been compiled with.
    pub fn globals(&self) -> &Globals {
        &self.header.globals
    }

    /// How `model_fn` described the model.
    pub fn description(&self) -> Option<&str> {
        self.header.description.as_deref()
    }

    /// Reads the memory, and charges it to `account`. None if the file is damaged.
    ///
    /// # Errors
    ///
    /// If the memory budget has no room for it.
    pub fn restore(self, account: &Arc<Account>) -> Result<Option<Snapshot>, NoRoom> {
        let Self {
            mut file,
            mut digest,
            expected,
            header,
        } = self;
        let held: usize = header.extents.iter().map(ExactSizeIterator::len).sum();
        let charge = account.charge(held as u64)?;
        let image = Image::build(header.bytes, header.extents, |memory| {
            let mut part = [0; 16 * PAGE];
            let mut offset = 0;
            while offset < held {
                let length = part.len().min(held - offset);
                let part = part.get_mut(..length).unwrap_or_default();
                file.read_exact(part)?;
                digest.update(&part);
                memory.write_all_at(part, offset as u64)?;
                offset += length;
            }
            let whole = file.read(&mut part)? == 0;
            let same = hex(&digest.finalize()).as_bytes() == expected;
            match whole && same {
                true => Ok(()),
                false => Err(io::ErrorKind::InvalidData.into()),
            }
        });
        let image = match image {
            Ok(image) => image,
            Err(error) if is_damage(&error) => {
                damaged();
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot in the cache cannot be read; model_fn runs again");
                return Ok(None);
            }
        };
        Ok(Some(Snapshot {
            image: Arc::new(image),
            charge,
            globals: header.globals,
        }))
    }
}

fn is_damage(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
    kinds.contains(&error.kind())
}

fn damaged() {
    tracing::warn!("a snapshot in the cache is damaged; model_fn runs again");
}

fn read_header(file: &mut File, digest: &mut Sha256) -> io::Result<Header> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    digest.update(length);
    let length = u64::from_le_bytes(length);
    if length > HEADER_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = Vec::new();
    file.take(length).read_to_end(&mut json)?;
    digest.update(&json);
    let header: Header = serde_json::from_slice(&json)?;
    // It is read before the digest is known to fit, so nothing of it is believed: neither where the extents
    // are, nor how long, for which other models might have to make room.
    let held = Image::held_by(header.bytes, &header.extents).ok_or(io::ErrorKind::InvalidData)?;
    match file.metadata()?.len() == (8 + length).saturating_add(held as u64) {
        true => Ok(header),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Writes, and digests what is written.
struct Digesting<W> {
    digest: Sha256,
    inner: W,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::budget::Budget;
    use crate::sandbox::GlobalValue;

    #[test]
    fn a_snapshot_comes_back_and_a_damaged_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), Some(1 << 30), Vec::new()).unwrap();
        let cache = SnapshotCache::new(dir.path().to_owned(), dir.path().to_owned(), disk);
        let component = CodeKey::of(&wasmtime::Engine::default(), &b"component"[..]).unwrap();
        let key = SnapshotKey::of(&component, &[7; 32], 1 << 20, &[]);
        let account = Account::new(&Budget::new(1 << 30));
        assert!(cache.find(&key).is_none());

        let mut memory = vec![0; 32 * PAGE];
        memory[PAGE..3 * PAGE].fill(1);
        memory[32 * PAGE - 1] = 2;
        let image = Image::new(&memory, vec![PAGE..3 * PAGE, 31 * PAGE..32 * PAGE]).unwrap();
        let globals = Globals::from([("global0".to_owned(), GlobalValue::I32(-5))]);
        cache
            .store(&key, &image, &globals, Some("a model"))
            .unwrap();

        let found = cache.find(&key).unwrap();
        assert_eq!(*found.globals(), globals);
        assert_eq!(found.description(), Some("a model"));
        let snapshot = found.restore(&account).unwrap().unwrap();
        assert_eq!(snapshot.image.memory_bytes(), memory.len());
        assert_eq!(snapshot.image.extents(), image.extents());
        assert!(snapshot.image.contents() == image.contents());
        assert_eq!(snapshot.charge.bytes(), 3 * PAGE as u64);
        drop(snapshot);

        let path = cache.entry(&key).body().to_owned();
        let good = fs::read(&path).unwrap();
        for position in [0, 9, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, bad).unwrap();
            let found = cache.find(&key);
            let restored = found.and_then(|found| found.restore(&account).unwrap());
            assert!(restored.is_none(), "byte {position}");
        }
        for length in [0, 8, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            let found = cache.find(&key);
            assert!(found.is_none_or(|found| found.restore(&account).unwrap().is_none()));
        }
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn pages_that_a_damaged_snapshot_claims_to_have_need_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), Some(1 << 30), Vec::new()).unwrap();
        let cache = SnapshotCache::new(dir.path().to_owned(), dir.path().to_owned(), disk);
        let component = CodeKey::of(&wasmtime::Engine::default(), &b"component"[..]).unwrap();
        let key = SnapshotKey::of(&component, &[7; 32], 1 << 20, &[]);
        let image = Image::new(&[1; 2 * PAGE], vec![0..PAGE, PAGE..2 * PAGE]).unwrap();
        cache.store(&key, &image, &Globals::new(), None).unwrap();
        let half = usize::MAX / 2 + 1;
        for extents in [vec![0..1 << 30; 4], vec![0..half; 2], vec![0..half; 3]] {
            let header = Header {
                globals: Globals::new(),
                bytes: usize::MAX,
                extents,
                description: None,
            };
            let json = serde_json::to_vec(&header).unwrap();
            let claim = [&(json.len() as u64).to_le_bytes()[..], &json].concat();
            fs::write(cache.entry(&key).body(), claim).unwrap();
            assert!(cache.find(&key).is_none());
        }
    }
}
