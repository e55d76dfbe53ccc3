//! Artifacts as files: the forms that are read, and hostile or damaged ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;

use modelcell_tests::artifact::{EntryType, Tar, artifact, guest, gzip, misbehave, pax_record};
use modelcell_tests::{Server, Setup};

fn server(flags: &[&str]) -> Server {
    Setup::new()
        .artifact("good.tar.gz", misbehave())
        .flags(flags)
        .start()
}

/// A sound archive to add something bad to.
fn sound() -> Tar {
    Tar::new().file("model.wasm", &guest("misbehave"))
}

/// The artifact must be refused as the fault of whoever made it, twice, and harm nothing.
#[track_caller]
fn refused(server: &Server, bytes: &[u8], parts: &[&str]) {
    server.add("bad.tar.gz", bytes);
    for _ in 0..2 {
        let reply = server.invoke("bad.tar.gz", "");
        reply.error(400, "InvalidModelException", parts);
    }
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
}

/// What model-visible files an artifact has.
#[track_caller]
fn listed(server: &Server, name: &str, bytes: &[u8], dir: &str) -> String {
    server.add(name, bytes);
    let action = format!("predict:list /opt/ml/model{dir}");
    server.invoke(name, &action).ok()
}

#[test]
fn every_form_is_read_whatever_its_name() {
    let server = server(&[]);
    let wasm = guest("misbehave");
    let tar = || sound().file("data", b"1");
    assert_eq!(
        listed(&server, "a.tar.gz", &tar().gz(), ""),
        "data model.wasm"
    );
    assert_eq!(listed(&server, "b.tgz", &tar().gz(), ""), "data model.wasm");
    assert_eq!(
        listed(&server, "c.tar", &tar().tar(), ""),
        "data model.wasm"
    );
    assert_eq!(listed(&server, "d.wasm", &wasm, ""), "model.wasm");
    assert_eq!(
        listed(&server, "e.tar.gz", &tar().tar(), ""),
        "data model.wasm"
    );
    assert_eq!(listed(&server, "f.tar.gz", &wasm, ""), "model.wasm");
    // gzip allows several members one after the other.
    let bytes = tar().tar();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let members = [gzip(first), gzip(second)].concat();
    assert_eq!(listed(&server, "g.tar.gz", &members, ""), "data model.wasm");
}

#[test]
fn the_paths_that_tar_itself_writes_are_understood() {
    let server = server(&[]);
    let wasm = guest("misbehave");
    let dots = Tar::new()
        .dir("./")
        .file("./model.wasm", &wasm)
        .file("./sub/a", b"1");
    let dots = dots.gz();
    assert_eq!(listed(&server, "dots.tar.gz", &dots, ""), "model.wasm sub");
    assert_eq!(listed(&server, "dots.tar.gz", &dots, "/sub"), "a");

    let long = format!("{}/file", "d".repeat(150));
    let gnu = sound().gnu_long_name(long.as_bytes()).file("cut", b"1");
    assert_eq!(
        listed(
            &server,
            "gnu.tar.gz",
            &gnu.gz(),
            &format!("/{}", &long[..150])
        ),
        "file"
    );
    let pax = sound().pax("path", long.as_bytes()).file("cut", b"1");
    assert_eq!(
        listed(
            &server,
            "pax.tar.gz",
            &pax.gz(),
            &format!("/{}", &long[..150])
        ),
        "file"
    );
    let unknown = sound().pax("mtime", b"1.5").file("data", b"1");
    assert_eq!(
        listed(&server, "mtime.tar.gz", &unknown.gz(), ""),
        "data model.wasm"
    );
}

#[test]
fn the_last_of_several_files_of_one_name_counts() {
    let server = server(&[]);
    let twice = sound()
        .file("data", b"first and longer")
        .file("data", b"last");
    server.add("m.tar.gz", twice.gz());
    let answer = server.invoke("m.tar.gz", "predict:read /opt/ml/model/data");
    assert_eq!(answer.ok(), "last");
}

#[test]
fn what_is_no_archive_is_refused() {
    let server = server(&[]);
    refused(&server, b"", &["empty"]);
    refused(&server, b"x", &["cannot be read"]);
    refused(&server, &[0; 10_000], &["cannot be read"]);
    refused(
        &server,
        "no archive at all. ".repeat(1000).as_bytes(),
        &["cannot be read"],
    );
    refused(
        &server,
        b"PK\x03\x04 a zip file",
        &["cannot be read", "tar.gz"],
    );
}

#[test]
fn damaged_gzip_is_refused() {
    let server = server(&[]);
    let sound = misbehave();
    refused(&server, &sound[..10], &["cannot be read"]);
    for length in [100, sound.len() / 2, sound.len() - 9, sound.len() - 1] {
        refused(&server, &sound[..length], &["cannot be read"]);
    }
    // The checksum is the last but four bytes.
    let mut flipped = sound.to_vec();
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    refused(&server, &flipped, &["cannot be read"]);
    refused(&server, &gzip(b"not a tar"), &["cannot be read"]);
    refused(&server, &gzip(b""), &["cannot be read"]);
    refused(&server, &gzip(&gzip(b"twice")), &["cannot be read"]);
    refused(
        &server,
        &[sound, b"garbage after the end"].concat(),
        &["cannot be read"],
    );
}

#[test]
fn damaged_tar_is_refused() {
    let server = server(&[]);
    let bytes = sound().tar();
    refused(&server, &gzip(&bytes[..1000]), &["cannot be read"]);
    refused(&server, &bytes[..1000], &["cannot be read"]);
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    refused(&server, &gzip(&flipped), &["cannot be read"]);
}

#[test]
fn paths_that_leave_the_directory_are_refused() {
    let server = server(&[]);
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("x").display().to_string();
    for path in ["../x", "a/../../x", "a/../x", "..", "a/.."] {
        let bad = sound().file(path, b"evil");
        refused(&server, &bad.gz(), &["..", path]);
        let bad = sound()
            .pax("path", path.as_bytes())
            .file("harmless", b"evil");
        refused(&server, &bad.gz(), &["..", path]);
        let bad = sound()
            .gnu_long_name(path.as_bytes())
            .file("harmless", b"evil");
        refused(&server, &bad.gz(), &["..", path]);
    }
    for path in ["/x", "//x"] {
        refused(
            &server,
            &sound().file(path, b"evil").gz(),
            &["absolute", path],
        );
    }
    server.add("bad.tar.gz", sound().file(&absolute, b"evil").gz());
    assert_eq!(server.invoke("bad.tar.gz", "").status, 400);
    refused(&server, &sound().dir("../x").gz(), &[".."]);
    refused(&server, &sound().dir("/x").gz(), &["absolute"]);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn links_and_devices_are_refused() {
    let server = server(&[]);
    for (kind, link, what) in [
        (EntryType::Symlink, "/etc", "a link"),
        (EntryType::Symlink, "model.wasm", "a link"),
        (EntryType::Link, "model.wasm", "a link"),
        (EntryType::Link, "/etc/passwd", "a link"),
        (EntryType::Fifo, "", "a device"),
        (EntryType::Char, "", "a device"),
        (EntryType::Block, "", "a device"),
        (EntryType::GNUSparse, "", "unusual"),
        (EntryType::new(b'Z'), "", "unusual"),
    ] {
        let bad = sound().entry(kind, b"odd", link, b"");
        refused(&server, &bad.gz(), &[what, "odd"]);
    }
    // The way in which archives have been broken out of: through a link that an earlier entry made.
    let through = Tar::new()
        .entry(EntryType::Symlink, b"door", "/tmp", b"")
        .file("door/x", b"evil");
    refused(&server, &through.gz(), &["a link", "door"]);
}

#[test]
fn zip_bombs_are_refused() {
    let server = server(&["--max-unpacked", "4MiB"]);
    let parts = &["4.0 MiB", "--max-unpacked"];
    let zeros = vec![0; 5 << 20];
    refused(&server, &sound().file("zeros", &zeros).gz(), parts);
    refused(&server, &sound().file("zeros", &zeros).tar(), parts);
    // Nothing but zeros after the end, which must be read for the checksum.
    let mut after = sound().tar();
    after.extend_from_slice(&zeros);
    refused(&server, &gzip(&after), parts);
    let component = [&guest("misbehave")[..], &zeros].concat();
    refused(&server, &component, parts);
    // A header may claim any size.
    let claim = sound().claiming(EntryType::Regular, b"huge", "", 7 << 30, b"");
    refused(&server, &claim.gz(), &[]);
    // What an extended header claims is not read into memory either.
    let claim = sound().claiming(EntryType::XHeader, b"huge", "", 7 << 30, b"");
    refused(&server, &claim.gz(), &[]);
    let long_name = sound().gnu_long_name(&vec![b'a'; 3 << 20]).file("x", b"");
    refused(&server, &long_name.gz(), &["path of more than"]);
    let long_pax = sound().pax("comment", &vec![b'a'; 3 << 20]).file("x", b"");
    refused(&server, &long_pax.gz(), &["extended header of more than"]);
}

#[test]
fn too_many_files_are_refused() {
    let server = server(&["--max-files", "10"]);
    let with = |count: usize| {
        let files = (1..count).fold(sound(), |tar, n| tar.file(&format!("f{n}"), b""));
        files.gz()
    };
    assert_eq!(
        listed(&server, "ten.tar.gz", &with(10), "")
            .split(' ')
            .count(),
        10
    );
    refused(&server, &with(11), &["more than 10 files", "--max-files"]);
    let dirs = (0..11).fold(sound(), |tar, n| tar.dir(&format!("d{n}")));
    refused(&server, &dirs.gz(), &["more than 10 files"]);
    // Headers that never get to their entry.
    let headers = (0..30).fold(sound(), |tar, _| tar.pax("comment", b"x"));
    refused(&server, &headers.gz(), &["more than 10 files"]);
}

#[test]
fn names_that_no_file_system_takes_are_the_artifacts_fault() {
    let server = server(&[]);
    let long = "n".repeat(300);
    let deep = "d/".repeat(300);
    refused(
        &server,
        &sound().gnu_long_name(long.as_bytes()).file("x", b"").gz(),
        &[],
    );
    refused(
        &server,
        &sound().pax("path", deep.as_bytes()).file("x", b"").gz(),
        &["512"],
    );
    refused(
        &server,
        &sound().pax("path", b"a\0b").file("x", b"").gz(),
        &[],
    );
    refused(
        &server,
        &sound().pax("path", b"a\xffb").file("x", b"").gz(),
        &["UTF-8"],
    );
    refused(&server, &sound().file("", b"1").gz(), &["without a name"]);
    refused(&server, &sound().file(".", b"1").gz(), &["without a name"]);
}

#[test]
fn files_in_each_others_place_are_the_artifacts_fault() {
    let server = server(&[]);
    refused(
        &server,
        &sound().file("a", b"").file("a/b", b"").gz(),
        &["a"],
    );
    refused(&server, &sound().dir("a").file("a", b"").gz(), &["a"]);
    refused(&server, &sound().file("a", b"").dir("a").gz(), &["a"]);
    refused(&server, &Tar::new().dir("model.wasm").gz(), &["model.wasm"]);
}

#[test]
fn paths_are_shown_without_control_characters() {
    let server = server(&[]);
    let bad = sound().gnu_long_name(b"../\x1b[31m\nforged").file("x", b"");
    server.add("bad.tar.gz", bad.gz());
    let message = server
        .invoke("bad.tar.gz", "")
        .error(400, "InvalidModelException", &["forged"]);
    assert!(!message.contains(char::is_control), "{message:?}");
    let lines = server.log().lines();
    assert!(
        lines
            .iter()
            .all(|line| !line.contains('\u{1b}') && !line.starts_with("forged"))
    );
}

#[test]
fn an_artifact_without_a_component_says_where_it_should_be() {
    let server = server(&[]);
    let data = Tar::new().file("data", b"1");
    refused(&server, &data.gz(), &["no model.wasm at its top"]);
    let wasm = guest("misbehave");
    let deeper = Tar::new().file("iris/model.wasm", &wasm);
    refused(
        &server,
        &deeper.gz(),
        &["iris/model.wasm", "tar -C iris -czf"],
    );
    refused(
        &server,
        &Tar::new().dir("empty").gz(),
        &["no model.wasm at its top"],
    );
}

#[test]
fn pax_headers_are_not_confused() {
    let server = server(&[]);
    // Two records, the second one hostile.
    let records = [pax_record("comment", b"x"), pax_record("path", b"../x")].concat();
    let bad = sound()
        .entry(EntryType::XHeader, b"pax", "", &records)
        .file("x", b"");
    refused(&server, &bad.gz(), &[".."]);
    let malformed = sound()
        .entry(EntryType::XHeader, b"pax", "", b"999 path=x\n")
        .file("x", b"");
    refused(&server, &malformed.gz(), &["cannot be read"]);
    // A global header names no file.
    let global = sound()
        .entry(
            EntryType::XGlobalHeader,
            b"pax",
            "",
            &pax_record("path", b"../x"),
        )
        .file("data", b"1");
    assert_eq!(
        listed(&server, "m.tar.gz", &global.gz(), ""),
        "data model.wasm"
    );
}

#[test]
fn a_model_with_many_and_large_files_loads() {
    let files: Vec<String> = (0..500).map(|n| format!("dir{}/file{n}", n % 7)).collect();
    let large = vec![7; 20 << 20];
    let mut files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|name| (name.as_str(), &b"x"[..]))
        .collect();
    files.push(("large.bin", &large));
    let server = Setup::new()
        .artifact("m.tar.gz", artifact(&guest("misbehave"), &files))
        .start();
    let answer = server.invoke("m.tar.gz", "predict:list /opt/ml/model").ok();
    assert_eq!(
        answer,
        "dir0 dir1 dir2 dir3 dir4 dir5 dir6 large.bin model.wasm"
    );
}
