//! Models that fail, trap, loop or take too much: what callers see, and that others are left alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use modelcell_tests::artifact::{artifact, guest, guest_file, misbehave, misbehave_at_load};
use modelcell_tests::{Reply, Server, Setup, eventually};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

/// A server with one model that is told what to do and one that must not notice.
fn server(flags: &[&str]) -> Server {
    let server = Setup::new()
        .artifact("bad.tar.gz", misbehave())
        .artifact("good.tar.gz", misbehave())
        .flags(flags)
        .start();
    // Loaded before the clock of any test runs.
    assert_eq!(server.invoke("bad.tar.gz", "").ok(), "ok");
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    server
}

/// Both models answer right after the failure.
#[track_caller]
fn others_work(server: &Server) {
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    assert_eq!(server.invoke("bad.tar.gz", "").ok(), "ok");
}

const HOOKS: [(&str, &str); 3] = [
    ("input", "input_fn"),
    ("predict", "predict_fn"),
    ("output", "output_fn"),
];

#[test]
fn errors_that_blame_the_caller_reach_the_caller() {
    let server = server(&[]);
    for (hook, _) in HOOKS {
        let reply = server.invoke("bad.tar.gz", &format!("{hook}:invalid row 3 has no colour"));
        let message = reply.error(400, "InvalidInputException", &[]);
        assert_eq!(message, "row 3 has no colour");
        others_work(&server);
    }
}

/// The contract: the text of `failed` is for the log and not for the caller.
#[test]
fn errors_of_the_model_itself_reach_the_log_only() {
    let server = server(&[]);
    for (hook, name) in HOOKS {
        let text = format!("the password is {hook}");
        let reply = server.invoke("bad.tar.gz", &format!("{hook}:failed {text}"));
        let message = reply.error(500, "ModelError", &[]);
        server.log().wait_for(&["bad.tar.gz", name, &text]);
        assert!(!message.contains("password"), "{message}");
        others_work(&server);
    }
}

#[test]
fn a_panic_ends_the_request_and_its_message_reaches_the_log() {
    let server = server(&[]);
    for (hook, name) in HOOKS {
        let text = format!("no tree in {hook}");
        let reply = server.invoke("bad.tar.gz", &format!("{hook}:panic {text}"));
        let message = reply.error(500, "ModelError", &[name, "panicked"]);
        assert!(!message.contains(&text), "{message}");
        server.log().wait_for(&["ERROR", "bad.tar.gz", name, &text]);
        others_work(&server);
    }
}

#[test]
fn a_trap_ends_the_request() {
    let server = server(&[]);
    for (hook, name) in HOOKS {
        let reply = server.invoke("bad.tar.gz", &format!("{hook}:trap"));
        reply.error(500, "ModelError", &[name, "was ended"]);
        others_work(&server);
    }
}

#[test]
fn endless_recursion_ends_the_request() {
    let server = server(&[]);
    let reply = server.invoke("bad.tar.gz", "predict:recurse");
    reply.error(500, "ModelError", &["predict_fn", "was ended"]);
    others_work(&server);
}

#[test]
fn exit_ends_the_request_and_not_the_host() {
    let server = server(&[]);
    for code in [0, 1, 7] {
        let reply = server.invoke("bad.tar.gz", &format!("predict:exit {code}"));
        reply.error(500, "ModelError", &["predict_fn", "exit"]);
        others_work(&server);
    }
}

#[test]
fn a_loop_in_any_hook_ends_at_the_time_limit() {
    let server = server(&["--request-timeout", "1s"]);
    for (hook, name) in HOOKS {
        let reply = server.invoke("bad.tar.gz", &format!("{hook}:loop"));
        let parts = [name, "1s", "--request-timeout"];
        reply.error(504, "ModelTimeoutException", &parts);
        others_work(&server);
    }
}

#[test]
fn sleep_ends_at_the_time_limit_too() {
    let server = server(&["--request-timeout", "1s"]);
    let reply = server.invoke("bad.tar.gz", "predict:sleep 600000");
    reply.error(504, "ModelTimeoutException", &["predict_fn"]);
    others_work(&server);
}

/// More loops than there are processors or threads.
#[test]
fn the_server_answers_while_models_loop() {
    let server = server(&["--request-timeout", "20s"]);
    let client = server.client();
    let looping = thread::available_parallelism().unwrap().get() * 4;
    thread::scope(|scope| {
        let loops: Vec<_> = (0..looping)
            .map(|_| scope.spawn(|| client.invoke("bad.tar.gz", "predict:loop")))
            .collect();
        eventually("the model is busy", || {
            client.get("/models/bad.tar.gz").json()["idleCells"] == 0
        });
        let begin = Instant::now();
        for _ in 0..5 {
            assert_eq!(client.get("/ping").ok(), "");
            assert_eq!(
                client.get("/models").json()["models"]
                    .as_array()
                    .unwrap()
                    .len(),
                2
            );
            assert_eq!(client.invoke("good.tar.gz", "").ok(), "ok");
        }
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "{:?}",
            begin.elapsed()
        );
        assert!(loops.iter().all(|request| !request.is_finished()));
        for request in loops {
            let reply: Reply = request.join().unwrap();
            // Those that got no cell in time are told to come again.
            assert!([503, 504].contains(&reply.status), "{}", reply.text());
        }
    });
    others_work(&server);
}

#[test]
fn requests_beyond_the_cells_wait_and_are_told_to_come_again() {
    let server = server(&["--request-timeout", "6s", "--cells-per-model", "1"]);
    let client = server.client();
    thread::scope(|scope| {
        let first = scope.spawn(|| client.invoke("bad.tar.gz", "predict:loop"));
        eventually("the cell is taken", || {
            client.get("/models/bad.tar.gz").json()["idleCells"] == 0
        });
        let second = client.invoke("bad.tar.gz", "");
        first
            .join()
            .unwrap()
            .error(504, "ModelTimeoutException", &[]);
        // It gives up after half of its time, so that with a cell it would have had the other half.
        second.error(503, "ServiceUnavailableException", &["busy", "bad.tar.gz"]);
        assert_eq!(second.header("retry-after"), Some("1"));
    });
    others_work(&server);
}

#[test]
fn beyond_a_thousand_waiting_requests_the_answer_comes_at_once() {
    // Each has a connection of its own, and many systems allow 1,024 files by default.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let server = server(&["--cells-per-model", "1"]);
    let (answered, answers) = std::sync::mpsc::channel();
    for body in std::iter::once("predict:loop").chain(std::iter::repeat_n("input:loop", 1030)) {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        write!(
            connection,
            "POST /invocations HTTP/1.1\r\nHost: m\r\nX-Amzn-SageMaker-Target-Model: bad.tar.gz\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let answered = answered.clone();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = connection.read_to_string(&mut text);
            let _ = answered.send(text);
        });
    }
    for _ in 0..30 {
        let text = answers.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    }
    // The others wait for the cell, and other models' requests do not.
    assert!(answers.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
}

#[test]
fn memory_beyond_the_limit_ends_the_request() {
    let server = server(&["--cell-memory", "64MiB"]);
    for (hook, name) in HOOKS {
        let reply = server.invoke("bad.tar.gz", &format!("{hook}:eat-memory"));
        reply.error(507, "OutOfMemoryError", &[name, "64.0 MiB"]);
        others_work(&server);
    }
}

#[test]
fn memory_within_the_limit_is_granted() {
    let server = server(&["--cell-memory", "64MiB"]);
    let ask = |mebibytes: u32| {
        let body = format!("predict:try-memory {mebibytes}");
        server.invoke("bad.tar.gz", &body).ok()
    };
    assert_eq!(ask(40), "granted 40");
    assert_eq!(ask(65), "refused");
    assert_eq!(ask(40), "granted 40");
}

/// A model that was refused memory and coped is not to blame for memory when it fails later.
#[test]
fn a_refusal_that_was_coped_with_is_forgotten() {
    let server = server(&["--cell-memory", "64MiB", "--cells-per-model", "1"]);
    let reply = server.invoke("bad.tar.gz", "predict:try-memory 100");
    assert_eq!(reply.ok(), "refused");
    let reply = server.invoke("bad.tar.gz", "predict:panic for another reason");
    reply.error(500, "ModelError", &["panicked"]);
}

#[test]
fn a_cell_that_failed_serves_nobody_else() {
    let server = server(&["--cells-per-model", "1"]);
    let count = || server.invoke("bad.tar.gz", "predict:count").ok();
    for failure in ["predict:panic x", "predict:exit 0", "output:trap"] {
        count();
        count();
        assert_eq!(server.invoke("bad.tar.gz", failure).status, 500);
        assert_eq!(count(), "1", "after {failure}");
    }
}

#[test]
fn what_a_model_prints_is_logged_under_its_name() {
    let server = server(&[]);
    server
        .invoke("bad.tar.gz", "predict:print a line for you")
        .ok();
    server
        .log()
        .wait_for(&["bad.tar.gz", "stdout", "a line for you"]);
    server
        .invoke("bad.tar.gz", "predict:eprint an error for you")
        .ok();
    server
        .log()
        .wait_for(&["bad.tar.gz", "stderr", "an error for you"]);
    assert!(
        server
            .log()
            .lines_with(&["good.tar.gz", "for you"])
            .is_empty()
    );
}

#[test]
fn what_a_model_prints_cannot_forge_lines() {
    let server = server(&[]);
    let text = "one\u{1b}[31m\r2026-01-01 ERROR forged";
    server
        .invoke("bad.tar.gz", &format!("predict:print {text}"))
        .ok();
    server
        .log()
        .wait_for(&["one\\u{1b}[31m\\r2026-01-01 ERROR forged"]);
    let lines = server.log().lines();
    assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\r'])));
}

#[test]
fn what_a_model_prints_is_capped_for_each_request() {
    let server = server(&["--guest-log", "1000B"]);
    assert_eq!(
        server.invoke("bad.tar.gz", "predict:flood 10000").ok(),
        "printed"
    );
    server.log().wait_for(&["WARN", "bad.tar.gz", "999000"]);
    assert_eq!(server.log().lines_with(&["stdout", "flood"]).len(), 10);
    server
        .invoke("bad.tar.gz", "predict:print the next request prints again")
        .ok();
    server.log().wait_for(&["the next request prints again"]);
}

#[test]
fn a_flood_of_output_is_no_denial() {
    let server = server(&[]);
    assert_eq!(
        server.invoke("bad.tar.gz", "predict:flood 1000000").ok(),
        "printed"
    );
    server.log().wait_for(&["WARN", "bad.tar.gz", "dropped"]);
    others_work(&server);
}

#[test]
fn model_fn_that_fails_is_reported_to_who_asked_for_the_model() {
    for (behaviour, status, kind, parts) in [
        (
            "failed no weights",
            500,
            "ModelError",
            &["model_fn", "no weights"][..],
        ),
        (
            "invalid no weights",
            500,
            "ModelError",
            &["model_fn", "no weights"],
        ),
        (
            "panic no weights",
            500,
            "ModelError",
            &["model_fn", "panicked"],
        ),
        ("trap", 500, "ModelError", &["model_fn", "was ended"]),
        ("exit 3", 500, "ModelError", &["model_fn", "exit"]),
        ("recurse", 500, "ModelError", &["model_fn", "was ended"]),
    ] {
        let server = Setup::new()
            .artifact("bad.tar.gz", misbehave_at_load(behaviour))
            .artifact("good.tar.gz", misbehave())
            .start();
        // Again and again: a failed load leaves nothing behind.
        for _ in 0..2 {
            server.invoke("bad.tar.gz", "").error(status, kind, parts);
            server
                .load(&json!({"model_name": "x", "url": "bad.tar.gz"}))
                .error(status, kind, parts);
            assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
        }
        assert_eq!(server.get("/models/x").status, 404);
        assert_eq!(server.get("/models/bad.tar.gz").status, 404);
    }
}

#[test]
fn a_panic_of_model_fn_is_in_the_log() {
    let server = Setup::new()
        .artifact("bad.tar.gz", misbehave_at_load("panic no weights today"))
        .start();
    let reply = server.invoke("bad.tar.gz", "");
    let message = reply.error(500, "ModelError", &["model_fn"]);
    assert!(!message.contains("no weights today"), "{message}");
    server.log().wait_for(&["bad.tar.gz", "no weights today"]);
}

#[test]
fn model_fn_that_loops_ends_at_the_time_limit() {
    // The component must be in the cache: the limit is for the whole load.
    server(&[]);
    let server = Setup::new()
        .artifact("bad.tar.gz", misbehave_at_load("loop"))
        .artifact("good.tar.gz", misbehave())
        .flags(&["--load-timeout", "3s"])
        .start();
    let reply = server.invoke("bad.tar.gz", "");
    reply.error(
        504,
        "ModelTimeoutException",
        &["model_fn", "--load-timeout"],
    );
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
}

#[test]
fn model_fn_that_eats_memory_is_told_apart() {
    let server = Setup::new()
        .artifact("bad.tar.gz", misbehave_at_load("eat-memory"))
        .artifact("good.tar.gz", misbehave())
        .flags(&["--cell-memory", "64MiB"])
        .start();
    for _ in 0..2 {
        let reply = server.invoke("bad.tar.gz", "");
        reply.error(507, "OutOfMemoryError", &["model_fn", "64.0 MiB"]);
        assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    }
}

/// A load that takes longer than a request may: the caller should come again, the load goes on.
#[test]
fn a_slow_load_is_not_ready_yet_and_then_ready() {
    let server = Setup::new()
        .artifact("slow.tar.gz", misbehave_at_load("sleep 4000"))
        .flags(&["--request-timeout", "1s"])
        .start();
    let reply = server.invoke("slow.tar.gz", "");
    reply.error(429, "ModelNotReadyException", &["slow.tar.gz"]);
    assert_eq!(reply.header("retry-after"), Some("1"));
    eventually("the model is loaded", || {
        server.get("/models/slow.tar.gz").json()["status"] == "ready"
    });
    assert_eq!(server.invoke("slow.tar.gz", "").ok(), "ok");
}

/// Tenants whose `model_fn` never ends must not keep the models of others from being loaded.
#[test]
fn models_that_loop_while_loading_do_not_hold_up_other_loads() {
    let looping = thread::available_parallelism().unwrap().get() + 1;
    let mut setup = Setup::new().artifact("good.tar.gz", misbehave());
    for number in 0..looping {
        setup = setup.artifact(&format!("{number}.tar.gz"), misbehave_at_load("loop"));
    }
    let server = setup.flags(&["--request-timeout", "20s"]).start();
    for number in 0..looping {
        let url = format!("{number}.tar.gz");
        let load = json!({"model_name": url, "url": url, "synchronous": false});
        assert_eq!(server.load(&load).status, 202);
    }
    for number in 0..looping {
        server
            .log()
            .wait_for(&["looping", &format!("{number}.tar.gz")]);
    }
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
}

/// A further cell is the host's idea, so no caller is to blame for what its `model_fn` says.
#[test]
fn model_fn_that_fails_in_a_further_cell_blames_nobody_else() {
    let root = tempfile::tempdir().unwrap();
    fs::copy(guest_file("misbehave"), root.path().join("model.wasm")).unwrap();
    let settings = root.path().join("modelcell.toml");
    fs::write(settings, "isolation = 'model'").unwrap();
    let flag = root.path().display().to_string();
    let server = Setup::new().flags(&["--model-root", &flag]).start();
    server.load(&json!({"model_name": "m", "url": flag})).ok();
    fs::write(
        root.path().join("behaviour"),
        "invalid the file has changed",
    )
    .unwrap();
    let invoke = |body: &str| server.call("POST", "/models/m/invoke").body(body).send();
    assert_eq!(invoke("predict:trap").status, 500, "the first cell is gone");
    invoke("").error(500, "ModelError", &["the file has changed"]);
    fs::remove_file(root.path().join("behaviour")).unwrap();
    assert_eq!(invoke("").ok(), "ok");
}

#[test]
fn an_artifact_may_lower_its_own_limits_but_not_raise_them() {
    let component = guest("misbehave");
    let with = |settings: &str| artifact(&component, &[("modelcell.toml", settings.as_bytes())]);
    let server = Setup::new()
        .artifact("time.tar.gz", with("request-timeout = '1s'"))
        .artifact("memory.tar.gz", with("cell-memory = '32MiB'"))
        .artifact("greedy.tar.gz", with("cell-memory = '4GiB'\ncells = 1000"))
        .flags(&["--cell-memory", "64MiB"])
        .start();
    server.invoke("time.tar.gz", "predict:loop").error(
        504,
        "ModelTimeoutException",
        &["predict_fn", "1s"],
    );
    server.invoke("memory.tar.gz", "predict:eat-memory").error(
        507,
        "OutOfMemoryError",
        &["32.0 MiB"],
    );
    server.invoke("greedy.tar.gz", "predict:eat-memory").error(
        507,
        "OutOfMemoryError",
        &["64.0 MiB"],
    );
}

#[test]
fn mistakes_in_an_artifacts_settings_are_named() {
    let component = guest("misbehave");
    let server = Setup::new().artifact("good.tar.gz", misbehave()).start();
    for (settings, parts) in [
        (
            "cell-memroy = '1MiB'",
            &["modelcell.toml", "cell-memroy"][..],
        ),
        ("cell-memory = 'much'", &["modelcell.toml", "line 1"]),
        ("request-timeout = 5", &["modelcell.toml", "30s"]),
        ("= nonsense", &["modelcell.toml", "line 1"]),
        ("cells = -1", &["modelcell.toml", "line 1"]),
    ] {
        let files = [("modelcell.toml", settings.as_bytes())];
        server.add("bad.tar.gz", artifact(&component, &files));
        let reply = server.invoke("bad.tar.gz", "");
        reply.error(400, "InvalidModelException", parts);
        assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    }
}
