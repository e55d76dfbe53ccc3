//! Each of the four hooks, doing what a hook must not: looping, trapping, recursing, exiting, eating
//! all memory.

use std::thread;

use modelcell_tests::artifact::{artifact, guest, misbehave_at_load};
use modelcell_tests::bystander::{unharmed, with_good};
use modelcell_tests::component::wat_text;

use super::{BAD, ENDED, MEMORY, TIMEOUT, cannot_be_loaded, compile_the_good_model, hasty};

const HOOKS: [(&str, &str); 3] = [
    ("input", "input_fn"),
    ("predict", "predict_fn"),
    ("output", "output_fn"),
];

/// The guest that does what it is told, with less than the operator allows.
fn modest(settings: &str) -> Vec<u8> {
    artifact(
        &guest("misbehave"),
        &[("modelcell.toml", settings.as_bytes())],
    )
}

#[test]
fn every_hook_traps_recurses_exits_and_eats_memory() {
    let ways = [
        ("trap", ENDED, "was ended"),
        ("panic no reason", ENDED, "panicked"),
        ("recurse", ENDED, "was ended"),
        ("exit 0", ENDED, "exit(0)"),
        ("eat-memory", MEMORY, "32.0 MiB"),
    ];
    let server = with_good(&[(BAD, modest("cell-memory = '32MiB'"))]).start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        for (hook, name) in HOOKS {
            for (way, (status, kind), part) in ways {
                let reply = server.invoke(BAD, &format!("{hook}:{way}"));
                reply.error(status, kind, &[name, part]);
                assert_eq!(server.invoke(BAD, "").ok(), "ok");
            }
        }
    });
}

/// All hooks at once, and more requests than there are cells.
#[test]
fn every_hook_loops() {
    let bad = modest("request-timeout = '2s'");
    let flags = ["--cells-per-model", "4"];
    let server = with_good(&[(BAD, bad)]).flags(&flags).start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        thread::scope(|scope| {
            for (hook, name) in HOOKS {
                let server = &server;
                scope.spawn(move || {
                    let reply = server.invoke(BAD, &format!("{hook}:loop"));
                    reply.error(504, "ModelTimeoutException", &[name, "2s"]);
                });
            }
        });
        assert_eq!(server.invoke(BAD, "").ok(), "ok");
    });
}

/// One instruction that runs for a tenth of a second cannot be ended half-way, but the next one can.
#[test]
fn fills_of_all_memory_end_at_the_time_limit() {
    let server = with_good(&[(BAD, hasty(&wat_text("fill")))]).start();
    unharmed(&server, || {
        for _ in 0..2 {
            let reply = server.invoke(BAD, "");
            reply.error(504, "ModelTimeoutException", &["predict_fn", "2s"]);
        }
    });
}

#[test]
fn model_fn_does_all_of_it() {
    let ways = [
        ("trap", ENDED, "was ended"),
        ("recurse", ENDED, "was ended"),
        ("exit 0", ENDED, "exit(0)"),
        ("eat-memory", MEMORY, "64.0 MiB"),
    ];
    let names = ways.map(|(way, ..)| format!("{}.tar.gz", way.replace(' ', "-")));
    let models: Vec<_> = ways
        .iter()
        .zip(&names)
        .map(|((way, ..), name)| (&**name, misbehave_at_load(way)))
        .collect();
    let flags = ["--cell-memory", "64MiB"];
    let server = with_good(&models).flags(&flags).start();
    unharmed(&server, || {
        for (name, (_, kind, part)) in names.iter().zip(ways) {
            cannot_be_loaded(&server, name, kind, &["model_fn", part]);
        }
    });
}

#[test]
fn model_fn_loops() {
    compile_the_good_model();
    // Its component, too.
    let sound = with_good(&[(BAD, modest(""))]).start();
    sound.invoke(BAD, "").ok();
    let server = with_good(&[(BAD, misbehave_at_load("loop"))]);
    let server = server.flags(&["--load-timeout", "4s"]).start();
    unharmed(&server, || {
        cannot_be_loaded(&server, BAD, TIMEOUT, &["model_fn", "--load-timeout"]);
    });
}

/// Two million boxes of a byte are no attack, and more than the cell may hold are its own problem.
#[test]
fn allocations_by_the_million() {
    let bad = modest("cell-memory = '128MiB'");
    let server = with_good(&[(BAD, bad)]).start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        assert_eq!(server.invoke(BAD, "predict:tiny 2000000").ok(), "2000000");
        let reply = server.invoke(BAD, "predict:tiny 20000000");
        reply.error(507, "OutOfMemoryError", &["predict_fn", "128.0 MiB"]);
        assert_eq!(server.invoke(BAD, "").ok(), "ok");
    });
}
