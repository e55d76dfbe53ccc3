//! Unpacking: an artifact's bytes to files, which stay in their directory and within the limits.
//!
//! The first byte of an input says how the rest is made an artifact: as it is or compressed, with the
//! checksums of its headers or with right ones, without which few mutations get far.

#![no_main]

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use modelcell::load::unpack::{UnpackError, UnpackLimits, unpack};
use modelcell::workspace::disk::{Disk, on_disk};
use modelcell_fuzz::{Capped, check_line};

#[global_allocator]
static ALLOCATOR: Capped<{ 16 << 20 }> = Capped;

const LIMITS: UnpackLimits = UnpackLimits {
    total_bytes: 64 << 10,
    entries: 12,
    path_bytes: 200,
};

const MENDED: u8 = 1;
const GZIP: u8 = 2;

/// The limit that `unpack` sets itself.
const DEPTH_LIMIT: usize = 32;

fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let mut artifact = rest.to_vec();
    if how & MENDED != 0 {
        mend(&mut artifact);
    }
    if how & GZIP != 0 {
        artifact = gzip(&artifact);
    }
    check(&artifact);
});

fn check(artifact: &[u8]) {
    let above = tempfile::tempdir().unwrap();
    let (into, beside) = (above.path().join("into"), above.path().join("beside"));
    fs::create_dir(&into).unwrap();
    fs::write(&beside, "as it was").unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(artifact).unwrap();
    file.rewind().unwrap();
    let disk = Disk::open(Path::new("/"), Some(8 << 20), Vec::new()).unwrap();
    let mut room = disk.reserve(0).unwrap();

    let result = unpack(file, &into, &LIMITS, &mut room);

    assert_eq!(fs::read_dir(above.path()).unwrap().count(), 2);
    assert_eq!(fs::read(&beside).unwrap(), b"as it was");
    let mut found = BTreeMap::new();
    walk(&into, &mut found);
    let mut bytes = 0;
    let mut taken = 0;
    for (path, metadata) in &found {
        let relative = path.strip_prefix(&into).unwrap();
        assert!(metadata.is_file() || metadata.is_dir(), "{relative:?}");
        assert!(metadata.permissions().mode() & 0o7077 == 0, "{relative:?}");
        assert!(
            relative.as_os_str().len() <= LIMITS.path_bytes,
            "{relative:?}"
        );
        assert!(relative.components().count() <= DEPTH_LIMIT, "{relative:?}");
        let len = if metadata.is_file() {
            metadata.len()
        } else {
            1
        };
        bytes += if metadata.is_file() { len } else { 0 };
        taken += on_disk(len);
    }
    assert!(bytes <= LIMITS.total_bytes, "{bytes} bytes");
    assert!(taken <= disk.used(), "{taken} of {}", disk.used());
    match result {
        Ok(()) => assert!(found.len() <= LIMITS.entries, "{} entries", found.len()),
        Err(error) => {
            // The one too many is there when it is counted.
            assert!(found.len() <= LIMITS.entries + 1, "{} entries", found.len());
            check_line(&error.to_string());
            // Nothing that an artifact holds is the fault of the host's disk, or too much for it.
            assert!(
                !matches!(error, UnpackError::Storage(_) | UnpackError::NoRoom(_)),
                "{error}"
            );
        }
    }
    drop(room);
    assert_eq!(disk.used(), 0);
}

fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, Metadata>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            walk(&path, found);
        }
        found.insert(path, metadata);
    }
}

/// Gives the headers of a tar the checksums that they should have.
fn mend(tar: &mut [u8]) {
    let mut position = 0;
    while let Some(block) = tar.get_mut(position..position + 512) {
        if block.iter().all(|byte| *byte == 0) {
            return;
        }
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let size = header.entry_size().unwrap_or(0).min(tar.len() as u64) as usize;
        position += 512 + size.next_multiple_of(512);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
