//! Snapshots on disk: what is damaged is never used, and asks for no more memory than there is.
//!
//! The first byte of an input says whether the rest is a file whose digest fits, as a host with a
//! mistake might have written it, or patches of a good one, whose digest does not.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use modelcell::budget::{Account, Budget};
use modelcell::load::compile::{CodeKey, hex};
use modelcell::load::snapshots::{SnapshotCache, SnapshotKey};
use modelcell::sandbox::{GlobalValue, Globals, Image, PAGE, Snapshot};
use modelcell::workspace::disk::Disk;
use modelcell_fuzz::Capped;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: Capped<{ 16 << 20 }> = Capped;

/// A cache with one good snapshot.
struct Place {
    _dir: TempDir,
    cache: SnapshotCache,
    key: SnapshotKey,
    body: PathBuf,
    seal: PathBuf,
    good: Vec<u8>,
    good_seal: Vec<u8>,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path(), Some(1 << 30), Vec::new()).unwrap();
    let cache = SnapshotCache::new(dir.path().to_owned(), dir.path().to_owned(), disk);
    let component = CodeKey::of(&wasmtime::Engine::default(), &b"component"[..]).unwrap();
    let key = SnapshotKey::of(&component, &[7; 32], 1 << 20, &[]);
    let mut memory = vec![0; 16 * PAGE];
    memory[PAGE..3 * PAGE].fill(1);
    memory[16 * PAGE - 1] = 2;
    let globals = Globals::from([
        ("global0".to_owned(), GlobalValue::I32(-5)),
        ("global1".to_owned(), GlobalValue::F64(u64::MAX)),
    ]);
    let image = Image::new(&memory, vec![PAGE..3 * PAGE, 15 * PAGE..16 * PAGE]).unwrap();
    cache
        .store(&key, &image, &globals, Some("a model"))
        .unwrap();
    let [body, seal] = ["image", "sha256"].map(|ending| find(dir.path(), ending));
    Place {
        cache,
        key,
        good: fs::read(&body).unwrap(),
        good_seal: fs::read(&seal).unwrap(),
        body,
        seal,
        _dir: dir,
    }
});

fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let place = &*PLACE;
    if how & 1 == 0 {
        let damaged = patched(&place.good, rest);
        let same = damaged == place.good;
        let snapshot = place.restore(&damaged, &place.good_seal);
        assert_eq!(snapshot.is_some(), same);
    } else if let Some(snapshot) = place.restore(rest, &place.seal_of(rest)) {
        check_again(place, &snapshot);
    }
});

impl Place {
    fn restore(&self, body: &[u8], seal: &[u8]) -> Option<Snapshot> {
        fs::write(&self.body, body).unwrap();
        fs::write(&self.seal, seal).unwrap();
        let account = account();
        let found = self.cache.find(&self.key)?;
        // Whatever a file claims, it takes no more room than it has bytes.
        let restored = found
            .restore(&account)
            .unwrap_or_else(|error| panic!("{error}"));
        let held = restored
            .as_ref()
            .map_or(0, |snapshot| snapshot.charge.bytes());
        assert_eq!(account.held(), held);
        assert!(held <= body.len() as u64);
        restored
    }

    fn seal_of(&self, body: &[u8]) -> Vec<u8> {
        let key = self.body.file_stem().unwrap().as_encoded_bytes();
        let digest = Sha256::new_with_prefix(key).chain_update(body).finalize();
        hex(&digest).into_bytes()
    }
}

/// A snapshot that is kept again is the same.
fn check_again(place: &Place, snapshot: &Snapshot) {
    let Snapshot { image, globals, .. } = snapshot;
    place.cache.store(&place.key, image, globals, None).unwrap();
    let again = place.cache.find(&place.key).unwrap();
    assert_eq!(again.globals(), globals);
    let again = again.restore(&account()).unwrap().unwrap();
    assert_eq!(again.image.memory_bytes(), image.memory_bytes());
    assert_eq!(again.image.extents(), image.extents());
    assert!(again.image.contents() == image.contents());
}

fn account() -> Arc<Account> {
    Account::new(&Budget::new(1 << 20))
}

/// Three bytes a patch: where, from the beginning or the end, and what. What is left over cuts the
/// file or makes it longer.
fn patched(good: &[u8], patches: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let patches = patches.chunks_exact(3);
    if let [length] = patches.remainder() {
        bytes.truncate(good.len().saturating_sub(usize::from(*length)));
    } else {
        bytes.extend_from_slice(patches.remainder());
    }
    for patch in patches {
        let position = usize::from(patch[0]) | usize::from(patch[1]) << 8;
        let position = match position >> 15 {
            0 => position,
            _ => bytes.len().saturating_sub(position & 0x7fff),
        };
        if let Some(byte) = bytes.get_mut(position) {
            *byte = patch[2];
        }
    }
    bytes
}

fn find(dir: &Path, ending: &str) -> PathBuf {
    let files = fs::read_dir(dir).unwrap();
    let mut paths = files.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|e| e == ending))
        .unwrap()
}
