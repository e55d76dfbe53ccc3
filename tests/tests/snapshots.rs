//! Snapshots: what they keep, when there is none, and how they outlive the model and the host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use modelcell_tests::artifact::{artifact, guest, misbehave_at_load};
use modelcell_tests::manage::{metric, until_frozen};
use modelcell_tests::{Server, Setup, eventually, files_in};

/// A server with one model, whose `model_fn` prints a line.
fn printing(cache: &Path) -> Server {
    Setup::new()
        .artifact("m.tar.gz", misbehave_at_load("print model_fn was here"))
        .cache(cache)
        .start()
}

fn until_kept(cache: &Path) {
    eventually("the snapshot is in the cache", || {
        files_in(&cache.join("snapshots"), ".sha256").len() == 1
    });
}

#[test]
fn a_model_that_comes_back_skips_model_fn() {
    let cache = tempfile::tempdir().unwrap();
    let server = printing(cache.path());
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    server.log().wait_for(&["model_fn was here"]);
    until_frozen(&server, "m.tar.gz");
    until_kept(cache.path());
    drop(server);

    let server = printing(cache.path());
    for _ in 0..2 {
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
        let model = server.get("/models/m.tar.gz").json();
        assert_eq!(
            (&model["snapshot"], &model["cells"]),
            (&true.into(), &1.into())
        );
        server.delete("/models/m.tar.gz").ok();
    }
    assert!(server.log().lines_with(&["model_fn was here"]).is_empty());
}

#[test]
fn a_damaged_snapshot_is_made_anew() {
    let cache = tempfile::tempdir().unwrap();
    let server = printing(cache.path());
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    until_frozen(&server, "m.tar.gz");
    until_kept(cache.path());
    drop(server);
    let image = files_in(&cache.path().join("snapshots"), ".image").remove(0);
    let sound = fs::read(&image).unwrap();
    for position in [0, 40, sound.len() / 2, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        fs::write(&image, damaged).unwrap();
        let server = printing(cache.path());
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok", "byte {position}");
        server.log().wait_for(&["model_fn was here"]);
    }
}

/// Another artifact with the same component shares code, but never state.
#[test]
fn models_of_one_component_do_not_share_snapshots() {
    let server = Setup::new()
        .artifact("a.tar.gz", misbehave_at_load("put a"))
        .artifact("b.tar.gz", misbehave_at_load("put b"))
        .start();
    for _ in 0..3 {
        for name in ["a", "b"] {
            let model = format!("{name}.tar.gz");
            let look_up = |what: &str| {
                server
                    .invoke(&model, &format!("predict:look-up {what}"))
                    .ok()
            };
            let expected = |what: &str| if what == name { "Some(1)" } else { "None" };
            for what in ["a", "b"] {
                assert_eq!(look_up(what), expected(what));
            }
        }
    }
    for name in ["a.tar.gz", "b.tar.gz"] {
        until_frozen(&server, name);
        assert_eq!(
            server.get(&format!("/models/{name}")).json()["codeSharedBy"],
            2
        );
    }
}

/// A file that `model_fn` left open exists in its own instance alone.
#[test]
fn a_model_that_cannot_be_frozen_is_reused_and_says_why() {
    let server = Setup::new()
        .artifact(
            "m.tar.gz",
            misbehave_at_load("keep-open /opt/ml/model/behaviour"),
        )
        .start();
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    let model = server.get("/models/m.tar.gz").json();
    assert_eq!(
        (&model["isolation"], &model["snapshot"]),
        (&"model".into(), &false.into())
    );
    let reason = model["isolationReason"].as_str().unwrap();
    assert!(reason.contains("files, streams or timers open"), "{reason}");
    server
        .log()
        .wait_for(&["cannot be frozen", "m.tar.gz", "open"]);
}

/// The operator wants a cell for each request in any case: `model_fn` runs for each.
#[test]
fn strict_isolation_holds_without_a_snapshot_too() {
    let component = guest("misbehave");
    let files: [(&str, &[u8]); 2] = [
        (
            "behaviour",
            b"keep-open /opt/ml/model/behaviour\nprint model_fn",
        ),
        ("modelcell.toml", b"isolation = 'model'"),
    ];
    let server = Setup::new()
        .artifact("m.tar.gz", artifact(&component, &files))
        .flags(&["--isolation", "request"])
        .start();
    for _ in 0..3 {
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    }
    let model = server.get("/models/m.tar.gz").json();
    assert_eq!(model["isolation"], "request");
    assert!(model["isolationReason"].is_string());
    eventually("model_fn ran for each request", || {
        server.log().lines_with(&["line=\"model_fn\""]).len() >= 3
    });
    assert_eq!(
        metric(&server, "modelcell_cell_leases_total{outcome=\"made\"}"),
        2.0
    );
}
