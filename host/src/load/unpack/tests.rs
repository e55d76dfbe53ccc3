use std::fs;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;
use crate::workspace::disk::Disk;

const LIMITS: UnpackLimits = UnpackLimits {
    total_bytes: 100_000,
    entries: 5,
    path_bytes: 200,
};

/// A tar entry with any name: the library refuses to write most of the bad ones.
fn entry(kind: EntryType, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o777);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, name, b"content")
}

fn ended(mut tar: Vec<u8>) -> Vec<u8> {
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn unpack_bytes(bytes: &[u8]) -> (tempfile::TempDir, Result<(), UnpackError>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut room = disk(1 << 20).reserve(0).unwrap();
    let result = unpack(file, dir.path(), &LIMITS, &mut room);
    (dir, result)
}

fn disk(budget: u64) -> Arc<Disk> {
    Disk::open(Path::new("/"), Some(budget), Vec::new()).unwrap()
}

fn error_of(bytes: &[u8]) -> UnpackError {
    unpack_bytes(bytes).1.unwrap_err()
}

#[test]
fn tar_gz_tar_and_bare_components_unpack() {
    let tar = ended([file(b"./model.wasm"), file(b"a/b.txt")].concat());
    for bytes in [gzip(&tar), tar] {
        let (dir, result) = unpack_bytes(&bytes);
        result.unwrap();
        assert_eq!(fs::read(dir.path().join("a/b.txt")).unwrap(), b"content");
    }
    let (dir, result) = unpack_bytes(b"\0asm\x0d\0\x01\0");
    result.unwrap();
    assert!(dir.path().join(COMPONENT_FILE).is_file());
}

#[test]
fn long_names_of_both_kinds_unpack() {
    let long = format!("{}/file", "d".repeat(150));
    let mut gnu = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    gnu.append_data(&mut header, &long, &b"x"[..]).unwrap();
    let record = format!("{} path={long}\n", long.len() + 10);
    let pax = [
        entry(EntryType::XHeader, b"pax", record.as_bytes()),
        file(b"short"),
    ];
    for tar in [gnu.into_inner().unwrap(), ended(pax.concat())] {
        let (dir, result) = unpack_bytes(&tar);
        result.unwrap();
        assert!(dir.path().join(&long).is_file());
    }
}

#[test]
fn what_could_leave_the_directory_is_forbidden() {
    let pax = b"16 path=../../x\n";
    for (what, tar) in [
        ("..", file(b"../x")),
        ("..", file(b"a/../../x")),
        (
            "..",
            [entry(EntryType::XHeader, b"p", pax), file(b"x")].concat(),
        ),
        (
            "..",
            [entry(EntryType::GNULongName, b"l", b"../x\0"), file(b"x")].concat(),
        ),
        ("absolute", file(b"/etc/x")),
        ("link", entry(EntryType::Symlink, b"x", b"")),
        ("link", entry(EntryType::Link, b"x", b"")),
        ("device", entry(EntryType::Fifo, b"x", b"")),
        ("device", entry(EntryType::Char, b"x", b"")),
        ("unusual", entry(EntryType::GNUSparse, b"x", b"")),
        ("UTF-8", file(b"\xff")),
        ("without a name", file(b"./")),
    ] {
        let error = error_of(&ended(tar));
        assert!(matches!(error, UnpackError::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
}

#[test]
fn limits_hold_wherever_the_bytes_are() {
    let big = vec![0; 200_000];
    let bomb = entry(EntryType::Regular, b"x", &big);
    assert!(matches!(error_of(&gzip(&bomb)), UnpackError::TooLarge(_)));
    let trailing = [ended(file(b"x")), big.clone()].concat();
    assert!(matches!(
        error_of(&gzip(&trailing)),
        UnpackError::TooLarge(_)
    ));

    let long = entry(EntryType::GNULongName, b"l", &big);
    assert!(matches!(error_of(&long), UnpackError::PathTooLong(_)));
    let long = entry(EntryType::XHeader, b"x", &big);
    assert!(matches!(error_of(&long), UnpackError::HeaderTooLarge(_)));

    let many: Vec<u8> = (0..20)
        .flat_map(|n| file(format!("{n}").as_bytes()))
        .collect();
    assert!(matches!(error_of(&ended(many)), UnpackError::TooMany(5)));
}

#[test]
fn folders_that_a_path_implies_count() {
    let implied = ended(file(b"a/b/c/d/e/f"));
    assert!(matches!(error_of(&implied), UnpackError::TooMany(5)));
    let twice = ended([file(b"a/b/c/x"), file(b"a/b/c/y")].concat());
    unpack_bytes(&twice).1.unwrap();
    let deep = ended(file(b"a/".repeat(40).as_slice()));
    assert!(matches!(error_of(&deep), UnpackError::PathTooDeep));
}

#[test]
fn damage_is_told_from_storage() {
    let whole = gzip(&ended(file(b"model.wasm")));
    let mut flipped = whole.clone();
    let checksum = whole.len() - 6;
    flipped[checksum] ^= 1;
    for bytes in [
        &b""[..],
        b"PK\x03\x04 a zip file",
        &whole[..whole.len() / 2],
        &flipped,
        &gzip(b"not a tar"),
        &gzip(b""),
        &gzip(&file(b"x")[..600]),
    ] {
        let error = error_of(bytes);
        assert!(matches!(error, UnpackError::Damaged(_)), "{error}");
    }
}

#[test]
fn what_an_error_quotes_is_printable() {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..4].copy_from_slice(b"a\nb\x1b");
    header.as_old_mut().size[..4].copy_from_slice(b"000\x01");
    header.set_cksum();
    let error = error_of(&ended(header.as_bytes().to_vec())).to_string();
    assert!(
        error.contains("a\\nb") && error.contains("not a number"),
        "{error}"
    );
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_storage() {
    let mut artifact = tempfile::tempfile().unwrap();
    artifact.write_all(&ended(file(b"x"))).unwrap();
    artifact.seek(SeekFrom::Start(0)).unwrap();
    let mut room = disk(1 << 20).reserve(0).unwrap();
    let result = unpack(artifact, Path::new("/proc/no/such"), &LIMITS, &mut room);
    assert!(matches!(result, Err(UnpackError::Storage(_))));
}

#[test]
fn what_is_unpacked_is_under_the_disk_budget() {
    let artifact = ended([file(b"a/b"), file(b"a/c"), file(b"model.wasm")].concat());
    let unpacked = |budget| {
        let disk = disk(budget);
        let mut room = disk.reserve(0).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&artifact).unwrap();
        file.rewind().unwrap();
        let dir = tempfile::tempdir().unwrap();
        unpack(file, dir.path(), &LIMITS, &mut room).map(|()| disk.used())
    };
    // Three files and a folder, a block each.
    assert_eq!(unpacked(1 << 30).unwrap(), 4 * 4096);
    assert_eq!(unpacked(4 * 4096).unwrap(), 4 * 4096);
    let error = unpacked(4 * 4096 - 1).unwrap_err();
    assert!(matches!(error, UnpackError::NoRoom(_)), "{error}");
    assert!(
        error.to_string().contains("needs at least 16.0 KiB"),
        "{error}"
    );
}
