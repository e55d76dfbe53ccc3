//! Components that break the rules of the contract itself: handles, lists, texts, allocators, and
//! code that runs before and after the hooks.

use modelcell_tests::bystander::{unharmed, with_good};
use modelcell_tests::component::{wat, wat_text};

use super::{
    ENDED, TIMEOUT, attacks, cannot_be_loaded, compile_the_good_model, hasty, text_artifact,
};

#[test]
fn handles_that_are_not_the_guests_own() {
    let (input, predict, output) = (
        ["input_fn", "unknown handle index"],
        ["predict_fn", "unknown handle index"],
        ["output_fn", "unknown handle index"],
    );
    attacks(
        wat("handles"),
        &[
            ("no handle", "0", ENDED, &input),
            ("a handle of another cell", "1", ENDED, &input),
            ("a handle beyond any table", "2", ENDED, &input),
            (
                "a prediction for an input",
                "3",
                ENDED,
                &["input_fn", "wrong type"],
            ),
            ("a stale handle", "4", ENDED, &input),
            (
                "handles without end",
                "5",
                ENDED,
                &["input_fn", "4096 handles"],
            ),
            (
                "an input for a prediction",
                "6",
                ENDED,
                &["predict_fn", "wrong type"],
            ),
            (
                "a drop as another type",
                "7",
                ENDED,
                &["predict_fn", "wrong type"],
            ),
            ("an input dropped twice", "8", ENDED, &predict),
            ("a look into a dropped input", "9", ENDED, &predict),
            ("a prediction dropped twice", "a", ENDED, &output),
            ("a drop of no handle", "b", ENDED, &output),
        ],
    );
}

#[test]
fn answers_that_lie_where_nothing_is() {
    let beyond = ["output_fn", "out of bounds"];
    attacks(
        wat("lists"),
        &[
            ("a body of 4 GiB", "0", ENDED, &beyond),
            ("a body a byte too long", "1", ENDED, &beyond),
            ("a body that goes round", "2", ENDED, &beyond),
            ("a content type of 4 GiB", "3", ENDED, &beyond),
            ("attributes of 4 GiB", "4", ENDED, &beyond),
            ("a half option", "5", ENDED, &["output_fn", "discriminant"]),
            ("a third result", "6", ENDED, &["output_fn", "discriminant"]),
            ("an error of 4 GiB", "7", ENDED, &beyond),
            (
                "an error of no kind",
                "8",
                ENDED,
                &["output_fn", "discriminant"],
            ),
            ("an answer beyond the memory", "9", ENDED, &beyond),
            ("an unaligned answer", "a", ENDED, &["output_fn", "aligned"]),
        ],
    );
}

#[test]
fn texts_that_are_not_utf_8() {
    let not_text = ["output_fn", "utf-8"];
    attacks(
        wat("text"),
        &[
            ("a byte that begins nothing", "0", ENDED, &not_text),
            ("half a surrogate pair", "1", ENDED, &not_text),
            ("an overlong slash", "2", ENDED, &not_text),
            ("a character cut off", "3", ENDED, &["output_fn", "utf-8"]),
            ("attributes", "4", ENDED, &not_text),
            ("an error for the caller", "5", ENDED, &not_text),
            ("an error for the log", "6", ENDED, &not_text),
        ],
    );
    // A body may be any bytes.
    let server = with_good(&[("text.tar.gz", wat("text"))]).start();
    let reply = server.invoke("text.tar.gz", "7");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, b"\xff\xed\xa0\x80\xc0\xaf\xe2\x82");
}

/// The guest's own allocator is asked for room for each request, before `input_fn` begins.
#[test]
fn allocators_that_lie() {
    let lies = [
        (
            "beyond the memory",
            "(i32.const -8)",
            "beyond end of memory",
        ),
        ("at its last byte", "(i32.const 65535)", "aligned"),
        ("unaligned", "(i32.const 8193)", "aligned"),
        ("a trap", "unreachable", "panicked or aborted"),
        (
            "recursion",
            "(call $recurse) (i32.const 0)",
            "call stack exhausted",
        ),
        (
            "a call that is not allowed there",
            "(call $new-input (i32.const 0))",
            "cannot leave",
        ),
    ];
    let models = lies.map(|(what, lie, _)| {
        let text = wat_text("realloc").replace("LIE", lie);
        (
            format!("{what}.tar.gz").replace(' ', "-"),
            text_artifact(&text),
        )
    });
    let named: Vec<_> = models
        .iter()
        .map(|(name, bad)| (&**name, bad.clone()))
        .collect();
    let server = with_good(&named).start();
    unharmed(&server, || {
        for ((name, _), (_, _, part)) in models.iter().zip(lies) {
            for _ in 0..2 {
                let reply = server.invoke(name, "some body");
                reply.error(500, "ModelError", &["input_fn", part]);
            }
        }
    });
}

#[test]
fn loops_outside_of_the_hooks_end_at_the_time_limit() {
    let allocator = wat_text("realloc").replace("LIE", "(loop $l (br $l)) unreachable");
    let models = [
        ("realloc.tar.gz", hasty(&allocator)),
        ("post-return.tar.gz", hasty(&wat_text("post-return"))),
    ];
    let server = with_good(&models).start();
    unharmed(&server, || {
        let parts = ["input_fn", "2s", "--request-timeout"];
        let reply = server.invoke("realloc.tar.gz", "some body");
        reply.error(504, "ModelTimeoutException", &parts);
        let reply = server.invoke("post-return.tar.gz", "0");
        reply.error(504, "ModelTimeoutException", &["output_fn", "2s"]);
        assert_eq!(server.invoke("post-return.tar.gz", "").ok(), "ok");
    });
}

#[test]
fn what_runs_after_the_last_hook() {
    let trap = ["output_fn", "panicked or aborted"];
    let leaves = ["output_fn", "cannot leave"];
    attacks(
        wat("post-return"),
        &[
            ("a trap", "1", ENDED, &trap),
            ("a call that is not allowed there", "2", ENDED, &leaves),
        ],
    );
}

#[test]
fn what_runs_before_the_first_hook() {
    let actions = [
        ("trap", "unreachable", ENDED, "panicked or aborted"),
        (
            "recursion",
            "(call $recurse)",
            ENDED,
            "call stack exhausted",
        ),
        ("loop", "(loop $l (br $l))", TIMEOUT, "--load-timeout"),
    ];
    let models = actions.map(|(what, action, ..)| {
        let text = wat_text("start").replace("ACTION", action);
        (format!("{what}.tar.gz"), text_artifact(&text))
    });
    let named: Vec<_> = models
        .iter()
        .map(|(name, bad)| (&**name, bad.clone()))
        .collect();
    compile_the_good_model();
    let server = with_good(&named).flags(&["--load-timeout", "3s"]).start();
    unharmed(&server, || {
        for ((name, _), (_, _, kind, part)) in models.iter().zip(actions) {
            cannot_be_loaded(&server, name, kind, &["model_fn", part]);
        }
    });
}
