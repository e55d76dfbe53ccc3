//! What a request leaves behind: nothing that the next one could see, unless the artifact says
//! `isolation = "model"`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;

use modelcell_tests::artifact::{artifact, guest, misbehave};
use modelcell_tests::component::{component, wat, wat_text};
use modelcell_tests::{Server, Setup};

const NOTHING: &str = "static= heap= thread= environment=";

/// A server of the guest that does what it is told, with one cell, so that each request would meet
/// what the last one left.
fn told(files: &[(&str, &[u8])]) -> Server {
    Setup::new()
        .artifact("m.tar.gz", artifact(&guest("misbehave"), files))
        .flags(&["--cells-per-model", "1", "--cell-memory", "64MiB"])
        .start()
}

#[test]
fn nothing_that_a_hook_remembers_is_there_for_the_next_request() {
    let server = told(&[]);
    for hook in ["input", "predict", "output"] {
        for secret in ["of Alice", "of Bob"] {
            server
                .invoke("m.tar.gz", &format!("{hook}:remember secret {secret}"))
                .ok();
            for looking in ["input", "predict", "output"] {
                let found = server.invoke("m.tar.gz", &format!("{looking}:recall")).ok();
                assert_eq!(found, NOTHING, "{hook} remembered");
            }
        }
    }
    for _ in 0..5 {
        assert_eq!(server.invoke("m.tar.gz", "predict:count").ok(), "1");
    }
}

/// A global, a memory and a table, as WebAssembly itself has them. A snapshot cannot be taken of a table
/// that changes, so by default the cells of this component would be reused.
#[test]
fn globals_memories_and_tables_begin_anew() {
    let server = Setup::new()
        .artifact("m.tar.gz", wat("state"))
        .flags(&["--isolation", "request"])
        .start();
    for _ in 0..5 {
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "111");
    }
}

#[test]
fn what_model_fn_remembers_is_there_for_every_request() {
    let server = told(&[("behaviour", b"remember it all")]);
    let recall = || server.invoke("m.tar.gz", "predict:recall").ok();
    let all = "static=it all heap=it all thread=it all environment=it all";
    for _ in 0..3 {
        assert_eq!(recall(), all);
        server
            .invoke("m.tar.gz", "predict:remember something else")
            .ok();
        assert_eq!(recall(), all);
    }
}

/// What one request took is not missing in the next: memory, open files.
#[test]
fn nothing_that_a_request_takes_is_missing_in_the_next() {
    let server = told(&[]);
    for _ in 0..4 {
        assert_eq!(server.invoke("m.tar.gz", "predict:hold 40").ok(), "held");
        let opened = server.invoke("m.tar.gz", "predict:open-for-good 50").ok();
        assert_eq!(opened, "opened 50");
    }
}

/// A request that is ended half-way leaves no more behind than one that is answered.
#[test]
fn nothing_is_left_of_a_request_that_was_ended() {
    let server = told(&[("modelcell.toml", b"request-timeout = '1s'")]);
    for (end, status) in [
        ("panic x", 500),
        ("exit 0", 500),
        ("loop", 504),
        ("failed x", 500),
    ] {
        server.invoke("m.tar.gz", "input:remember secret").ok();
        assert_eq!(
            server.invoke("m.tar.gz", &format!("predict:{end}")).status,
            status
        );
        assert_eq!(
            server.invoke("m.tar.gz", "predict:recall").ok(),
            NOTHING,
            "{end}"
        );
    }
}

/// Who asks for it gets one state for all requests of a cell: for models that keep a cache.
#[test]
fn with_isolation_by_model_the_next_request_sees_it() {
    let settings: (&str, &[u8]) = ("modelcell.toml", b"isolation = 'model'");
    let server = told(&[settings]);
    server.invoke("m.tar.gz", "predict:remember x").ok();
    let found = server.invoke("m.tar.gz", "predict:recall").ok();
    assert_eq!(found, "static=x heap=x thread=x environment=x");
    let counts = || server.invoke("m.tar.gz", "predict:count").ok();
    assert_eq!([counts(), counts(), counts()], ["1", "2", "3"]);

    let state = artifact(&component(&wat_text("state")), &[settings]);
    server.add("state.tar.gz", state);
    let states = || server.invoke("state.tar.gz", "").ok();
    assert_eq!([states(), states(), states()], ["111", "222", "333"]);
}

/// Each model has its own state, whatever its isolation: the same code under two names.
#[test]
fn no_model_sees_what_another_one_remembers() {
    let server = Setup::new()
        .artifact("a.tar.gz", misbehave())
        .artifact("b.tar.gz", misbehave())
        .start();
    server.invoke("a.tar.gz", "predict:remember secret").ok();
    for _ in 0..3 {
        assert_eq!(server.invoke("b.tar.gz", "predict:recall").ok(), NOTHING);
    }
}

/// Memory that was another cell's a moment ago, of another model or of the same.
#[test]
fn nothing_of_others_is_in_new_memory() {
    let server = Setup::new()
        .artifact("a.tar.gz", wat("residue"))
        .artifact("b.tar.gz", wat("residue"))
        .flags(&["--cells-per-model", "1"])
        .start();
    for _ in 0..10 {
        // It fills its memory and ends, so its cell goes.
        let reply = server.invoke("a.tar.gz", "w");
        reply.error(500, "ModelError", &["output_fn"]);
        assert_eq!(server.invoke("b.tar.gz", "").ok(), "ok");
        assert_eq!(server.invoke("a.tar.gz", "").ok(), "ok");
    }
}

/// Cells that begin with the same state must not draw the same random numbers.
#[test]
fn no_two_requests_draw_the_same_random_numbers() {
    let server = told(&[]);
    let drawn: HashSet<_> = (0..20)
        .map(|_| server.invoke("m.tar.gz", "predict:hash").ok())
        .collect();
    assert_eq!(drawn.len(), 20, "{drawn:?}");
}
