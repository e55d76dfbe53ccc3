//! What the host offers to guests (output, files, timers) and what it does not, taken too far.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;

use modelcell_tests::artifact::{EntryType, Tar, artifact, guest, misbehave};
use modelcell_tests::bystander::{unharmed, with_good};
use modelcell_tests::component::{wat, wat_text};
use modelcell_tests::kernel::{forget_peak, peak};
use modelcell_tests::manage::{invoke, load, unpacked};
use modelcell_tests::{Server, eventually};
use rustix::fs::{CWD, Mode, mkfifoat};

use super::{BAD, ENDED, INVALID, attacks, cannot_be_loaded, text_artifact};

/// Asks the guest for each of these things, none of which it can have; it copes with that.
#[track_caller]
fn refused(server: &Server, actions: &[&str]) {
    for action in actions {
        let answer = server.invoke(BAD, &format!("predict:{action}")).ok();
        assert!(answer.starts_with("error: "), "{action}: {answer}");
    }
}

#[test]
fn files_of_others() {
    let files: [(&str, &[u8]); 1] = [("data", b"1")];
    let bad = artifact(&guest("misbehave"), &files);
    let server = with_good(&[(BAD, bad)]).start();
    server.invoke(BAD, "").ok();
    let repository = server.repository().display().to_string();
    unharmed(&server, || {
        refused(
            &server,
            &[
                "read /etc/passwd",
                "read /opt/ml/model/../../../etc/passwd",
                "read /opt/ml/model//../data",
                "read /opt/ml/model/./../../../proc/self/environ",
                "read ../../../../etc/passwd",
                "read /proc/self/mem",
                "list /",
                "list /opt/ml/model/..",
                "list /proc/self/fd",
                &format!("list {repository}"),
                "write /opt/ml/model/data",
                "write /opt/ml/model/model.wasm",
                "write /opt/ml/model/modelcell.toml",
                "write /tmp/x",
                "make-dir /opt/ml/model/dir",
                "remove /opt/ml/model/model.wasm",
                "rename /opt/ml/model/data",
            ],
        );
        let ask = |action: &str| server.invoke(BAD, &format!("predict:{action}")).ok();
        assert_eq!(ask("list /opt/ml/model"), "data model.wasm");
        assert_eq!(ask("read /opt/ml/model/data"), "1");
    });
}

/// An archive may not have links at all; a directory that was unpacked by others may, and they lead
/// nowhere.
#[test]
fn links_out_of_the_artifact() {
    let server = with_good(&[]);
    let root = tempfile::tempdir().unwrap();
    let flag = root.path().display().to_string();
    let server = server.flags(&["--model-root", &flag]).start();
    let dir = unpacked(root.path(), "m", &[]);
    fs::write(root.path().join("outside"), "outside").unwrap();
    for (name, target) in [
        ("absolute", "/etc/passwd"),
        ("relative", "../outside"),
        ("up", ".."),
        ("chain", "up/outside"),
        ("itself", "itself"),
        ("proc", "/proc/self/environ"),
        ("device", "/dev/zero"),
    ] {
        symlink(target, dir.join(name)).unwrap();
    }
    load(&server, "m", dir.to_str().unwrap()).ok();
    unharmed(&server, || {
        for file in [
            "absolute",
            "relative",
            "up/outside",
            "chain",
            "itself",
            "proc",
            "device",
        ] {
            let answer = invoke(&server, "m", &format!("predict:read /opt/ml/model/{file}")).ok();
            assert!(answer.starts_with("error: "), "{file}: {answer}");
        }
        for (kind, target) in [
            (EntryType::Symlink, "/etc/passwd"),
            (EntryType::Symlink, "../../outside"),
            (EntryType::Link, "/etc/passwd"),
        ] {
            let tar = Tar::new().file("model.wasm", &guest("misbehave"));
            server.add(BAD, tar.entry(kind, b"data", target, b"").gz());
            cannot_be_loaded(&server, BAD, INVALID, &["data"]);
        }
    });
}

#[test]
fn floods_of_output() {
    let server = with_good(&[(BAD, misbehave().to_vec())]).start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        let flood = "predict:flood 1000000";
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert_eq!(server.invoke(BAD, flood).ok(), "printed"));
            }
        });
        server.log().wait_for(&["WARN", BAD, "dropped"]);
        // 64 KiB for each request.
        assert!(server.log().lines_with(&["flood"]).len() < 2000);
    });
}

/// To open a pipe that nobody writes to would take one of the host's threads for ever. No archive may
/// hold one, but whoever unpacks artifacts for the host may have made it.
#[test]
fn pipes_in_the_artifact() {
    let root = tempfile::tempdir().unwrap();
    let flag = root.path().display().to_string();
    let server = with_good(&[]).flags(&["--model-root", &flag]).start();
    let dir = unpacked(root.path(), "m", &[]);
    mkfifoat(CWD, dir.join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    unharmed(&server, || {
        let reply = load(&server, "m", dir.to_str().unwrap());
        reply.error(400, "InvalidModelException", &["pipe", "regular file"]);
    });
}

/// The host reads a folder whole when a guest begins to list it.
#[test]
fn listings_held_for_ever() {
    let mut tar = Tar::new().file("model.wasm", &guest("misbehave"));
    for file in 0..5000 {
        tar = tar.file(&format!("d/{file:04}{}", "x".repeat(90)), b"");
    }
    let server = with_good(&[(BAD, tar.gz())]).start();
    server.invoke(BAD, "").ok();
    forget_peak(server.pid());
    let before = peak(server.pid());
    unharmed(&server, || {
        for _ in 0..2 {
            let reply = server.invoke(BAD, "predict:list-for-good 1000");
            reply.error(500, "ModelError", &["predict_fn", "64 files"]);
        }
    });
    let more = peak(server.pid()) - before;
    assert!(more < 64 << 20, "{} MiB for listings", more >> 20);
}

/// What is too large is not read from the cell at all.
#[test]
fn answers_beyond_the_largest() {
    let server = with_good(&[(BAD, misbehave().to_vec())]);
    let server = server.flags(&["--max-response", "16MiB"]).start();
    server.invoke(BAD, "").ok();
    forget_peak(server.pid());
    let before = peak(server.pid());
    unharmed(&server, || {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let reply = server.invoke(BAD, "predict:large 50000000");
                    reply.error(
                        500,
                        "ModelError",
                        &["output_fn", "16.0 MiB", "--max-response"],
                    );
                });
            }
        });
        let large = server.invoke(BAD, "predict:large 16000000").ok();
        assert_eq!(large.len(), 16_000_000);
    });
    // Two cells hold 50 MB each, which the guest builds in two copies.
    let more = peak(server.pid()) - before;
    assert!(more < 240 << 20, "{} MiB for two answers", more >> 20);
}

/// Others print while a guest loops with its output locked, half a line written.
#[test]
fn output_held_for_ever() {
    let settings: [(&str, &[u8]); 1] = [("modelcell.toml", b"request-timeout = '2s'")];
    let bad = artifact(&guest("misbehave"), &settings);
    let server = with_good(&[(BAD, bad)]).start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        thread::scope(|scope| {
            let held = scope.spawn(|| server.invoke(BAD, "predict:hold-output to the end"));
            eventually("it holds its output", || {
                server.get(&format!("/models/{BAD}")).json()["idleCells"] == 0
            });
            server.invoke(BAD, "predict:print from another cell").ok();
            server.log().wait_for(&[BAD, "from another cell"]);
            let reply = held.join().unwrap();
            reply.error(504, "ModelTimeoutException", &["predict_fn", "2s"]);
        });
        // What it wrote until then is not lost.
        server.log().wait_for(&[BAD, "half a line to the end"]);
        assert_eq!(server.invoke(BAD, "").ok(), "ok");
    });
}

/// `write-zeroes` has the host itself make the bytes.
#[test]
fn zeroes_without_end() {
    for bytes in [1_u64 << 33, 1 << 46, u64::MAX] {
        let text = wat_text("zeroes").replace("BYTES", &bytes.cast_signed().to_string());
        let server = with_good(&[(BAD, text_artifact(&text))]).start();
        unharmed(&server, || {
            server
                .invoke(BAD, "")
                .error(500, "ModelError", &["predict_fn"]);
        });
    }
}

#[test]
fn the_table_of_what_a_guest_holds() {
    let (status, kind) = ENDED;
    let parts = ["predict_fn", "64 files"];
    let body = "predict:open-for-good 100000";
    attacks(misbehave().to_vec(), &[("files", body, ENDED, &parts)]);
    let server = with_good(&[("timers.tar.gz", wat("timers"))]).start();
    unharmed(&server, || {
        for _ in 0..3 {
            let reply = server.invoke("timers.tar.gz", "");
            reply.error(status, kind, &parts);
        }
    });
}

#[test]
fn sockets_and_environment() {
    let sockets = artifact(&guest("sockets"), &[]);
    let server = with_good(&[("sockets.tar.gz", sockets), (BAD, misbehave().to_vec())])
        .env("AWS_SECRET_ACCESS_KEY", "very secret")
        .start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        for call in [
            format!("connect {}", server.address()),
            "connect 169.254.169.254:80".to_owned(),
            "bind 0.0.0.0:0".to_owned(),
            "resolve example.com".to_owned(),
        ] {
            let reply = server.invoke("sockets.tar.gz", &call);
            let parts = ["predict_fn", "wasi:sockets", "no cell offers"];
            reply.error(500, "ModelError", &parts);
        }
        for (action, nothing) in [("env", "[]"), ("args", "[]"), ("stdin", "\"\"")] {
            assert_eq!(
                server.invoke(BAD, &format!("predict:{action}")).ok(),
                nothing
            );
        }
    });
}
