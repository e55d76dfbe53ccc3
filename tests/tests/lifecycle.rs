//! Start, stop, settings, and what is left on disk.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use modelcell_tests::artifact::{guest, misbehave, misbehave_reused};
use modelcell_tests::command::Ended;
use modelcell_tests::files_in;
use modelcell_tests::manage::until_frozen;
use modelcell_tests::raw::Connection;
use modelcell_tests::{Server, Setup, TARGET_MODEL, eventually};

fn one_model() -> Setup {
    Setup::new().artifact("m.tar.gz", misbehave())
}

/// Starts a server that must not start.
fn refused(setup: &Setup) -> Ended {
    Ended::of(&mut setup.command())
}

/// Asks the server to stop, which it must do well and in time.
#[track_caller]
fn stops_within(server: &mut Server, time: Duration) {
    let begin = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(begin.elapsed() < time, "{:?}", begin.elapsed());
}

/// Waits until a request that was sent another way is in its cell.
fn in_its_cell(server: &Server) {
    eventually("the request is in its cell", || {
        server.get("/models/m.tar.gz").json()["idleCells"] == 0
    });
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let mut server = one_model().flags(&["--cells-per-model", "1"]).start();
    server.invoke("m.tar.gz", "").ok();
    let client = server.client().clone();
    let address = server.address();
    let request = thread::spawn(move || client.invoke("m.tar.gz", "predict:sleep 3000"));
    in_its_cell(&server);
    server.terminate();
    server.log().wait_for(&["stopping"]);
    eventually("new connections are refused", || {
        TcpStream::connect(address).is_err()
    });
    assert!(!request.is_finished(), "the request is still in flight");
    assert_eq!(request.join().unwrap().ok(), "slept");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sigterm_does_not_wait_for_idle_connections() {
    let mut server = one_model().start();
    let mut idle = Connection::open(&server);
    idle.send("GET /ping HTTP/1.1\r\nHost: m\r\n\r\n")
        .reply()
        .ok();
    stops_within(&mut server, Duration::from_secs(15));
}

#[test]
fn what_does_not_finish_in_time_is_cut_off() {
    let mut server = one_model()
        .flags(&["--drain-timeout", "1s", "--cells-per-model", "1"])
        .start();
    server.invoke("m.tar.gz", "").ok();
    let client = server.client().clone();
    let request = thread::spawn(move || client.invocation("m.tar.gz", "predict:loop").try_send());
    in_its_cell(&server);
    stops_within(&mut server, Duration::from_secs(15));
    server.log().wait_for(&["WARN", "cut off"]);
    assert!(request.join().unwrap().is_err());
}

#[test]
fn a_stop_while_a_model_is_compiled_is_not_held_up() {
    let cache = tempfile::tempdir().unwrap();
    let mut server = one_model().cache(cache.path()).start();
    let mut request = Connection::open(&server);
    request.send(format!(
        "POST /invocations HTTP/1.1\r\nHost: m\r\nConnection: close\r\n{TARGET_MODEL}: m.tar.gz\r\n\r\n"
    ));
    stops_within(&mut server, Duration::from_secs(30));
}

#[test]
fn nothing_but_compiled_code_and_snapshots_is_left() {
    let cache = tempfile::tempdir().unwrap();
    let mut server = one_model().cache(cache.path()).start();
    server.invoke("m.tar.gz", "").ok();
    assert_eq!(files_in(&cache.path().join("run"), "").len(), 1);
    until_frozen(&server, "m.tar.gz");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        files_in(&cache.path().join("run"), ""),
        Vec::<PathBuf>::new()
    );
    assert_eq!(files_in(&cache.path().join("snapshots"), "").len(), 2);
    // The component as `model_fn` needs it, and as cells from the snapshot do.
    assert_eq!(files_in(&cache.path().join("code"), ".cwasm").len(), 2);
}

#[test]
fn after_sigkill_the_next_start_cleans_up() {
    let cache = tempfile::tempdir().unwrap();
    let run = cache.path().join("run");
    let server = one_model().cache(cache.path()).start();
    server.invoke("m.tar.gz", "").ok();
    server.kill();
    let stale = files_in(&run, "");
    assert_eq!(stale.len(), 1);

    let first = one_model().cache(cache.path()).start();
    assert!(!stale[0].exists());
    let live = files_in(&run, "");
    assert_eq!(live.len(), 1);
    // A second host on the same directory leaves the first one's files alone.
    let second = one_model().cache(cache.path()).start();
    assert!(live[0].exists());
    assert_eq!(first.invoke("m.tar.gz", "").ok(), "ok");
    assert_eq!(second.invoke("m.tar.gz", "").ok(), "ok");
    assert_eq!(
        first.invoke("m.tar.gz", "predict:list /opt/ml/model").ok(),
        "model.wasm"
    );
}

#[test]
fn a_restart_does_not_compile_again() {
    let cache = tempfile::tempdir().unwrap();
    for code in ["code=Compiler", "code=Cache", "code=Cache"] {
        let server = one_model().cache(cache.path()).start();
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
        server.log().wait_for(&["loaded", "m.tar.gz", code]);
    }
    // Other data with the same component shares its code.
    let server = one_model()
        .artifact("n.wasm", guest("misbehave"))
        .cache(cache.path())
        .start();
    assert_eq!(server.invoke("n.wasm", "").ok(), "ok");
    server.log().wait_for(&["loaded", "n.wasm", "code=Cache"]);
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    server
        .log()
        .wait_for(&["loaded", "m.tar.gz", "code=Memory"]);
}

#[test]
fn damaged_compiled_code_is_compiled_again() {
    let cache = tempfile::tempdir().unwrap();
    // With the component compiled in one form only.
    let one_model = || Setup::new().artifact("m.tar.gz", misbehave_reused("ok"));
    one_model()
        .cache(cache.path())
        .start()
        .invoke("m.tar.gz", "")
        .ok();
    let code = cache.path().join("code");
    let file = files_in(&code, ".cwasm").remove(0);
    let digest = files_in(&code, ".sha256").remove(0);
    let sound = fs::read(&file).unwrap();
    let mut flipped = sound.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let damages: [(&str, &dyn Fn()); 6] = [
        ("a flipped bit", &|| fs::write(&file, &flipped).unwrap()),
        ("half the file", &|| {
            fs::write(&file, &sound[..middle]).unwrap()
        }),
        ("no bytes", &|| fs::write(&file, b"").unwrap()),
        ("no digest", &|| fs::remove_file(&digest).unwrap()),
        ("no file", &|| fs::remove_file(&file).unwrap()),
        ("another digest", &|| {
            fs::write(&digest, "0".repeat(64)).unwrap()
        }),
    ];
    for (what, damage) in damages {
        damage();
        let server = one_model().cache(cache.path()).start();
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok", "{what}");
        server.log().wait_for(&["loaded", "code=Compiler"]);
        drop(server);
        assert!(fs::read(&file).unwrap() == sound, "{what}: repaired");
    }
}

#[test]
fn a_cache_directory_that_others_can_write_to_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let code = cache.path().join("code");
    one_model().cache(cache.path()).start();
    let mode = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&code), 0o700, "it is made for its owner alone");
    for open in [0o770, 0o707, 0o777] {
        fs::set_permissions(&code, fs::Permissions::from_mode(open)).unwrap();
        let ended = refused(&one_model().cache(cache.path()));
        ended.failed(1, &["cache directory", "chmod go-w"]);
    }
    fs::set_permissions(&code, fs::Permissions::from_mode(0o755)).unwrap();
    one_model().cache(cache.path()).start();
}

/// Whoever can write to the directory above can put another one in the place of `code`.
#[test]
fn a_cache_directory_whose_parent_others_can_write_to_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let ended = refused(&one_model().cache(cache.path()));
    ended.failed(1, &["cache directory"]);
}

#[test]
fn a_cache_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let ended = refused(&one_model().cache(&file));
    ended.failed(1, &["cache directory", file.to_str().unwrap()]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = refused(&one_model().without_bind().flags(&["--bind", &address]));
    ended.failed(1, &[&address, "in use", "--bind"]);
}

#[test]
fn a_repository_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.to_str().unwrap(), "/no/such/dir"] {
        let ended = refused(
            &Setup::new()
                .without_repository()
                .flags(&["--repository", path]),
        );
        ended.failed(1, &["repository", path]);
    }
    let ended = refused(&Setup::new().without_repository());
    ended.failed(1, &["--repository"]);
}

#[test]
fn mistakes_in_flags_are_one_line() {
    for (flags, parts) in [
        (&["--no-such-flag"][..], &["--no-such-flag"][..]),
        (&["--max-body", "much"], &["--max-body", "much"]),
        (&["--request-timeout", "5"], &["--request-timeout", "30s"]),
        (&["--bind", "nowhere"], &["--bind", "nowhere"]),
        (&["--max-files"], &["--max-files"]),
        (&["stray"], &["stray"]),
    ] {
        refused(&Setup::new().without_bind().flags(flags)).failed(2, parts);
    }
}

#[test]
fn settings_out_of_range_are_one_line() {
    for (flag, value) in [
        ("--max-body", "2GiB"),
        ("--max-body", "0"),
        ("--request-timeout", "0s"),
        ("--request-timeout", "2days"),
        ("--cells-per-model", "0"),
        ("--cell-memory", "5GiB"),
        ("--max-connections", "0"),
    ] {
        refused(&Setup::new().flags(&[flag, value])).failed(1, &[flag, "must be"]);
    }
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    for (name, value) in [
        ("SAGEMAKER_BIND_TO_PORT", "eighty"),
        ("SAGEMAKER_MAX_REQUEST_SIZE", "6MiB"),
    ] {
        let ended = refused(&Setup::new().without_bind().env(name, value));
        ended.failed(1, &[name, value]);
    }
    for (name, value) in [
        ("MODELCELL_MAX_BODY", "much"),
        ("MODELCELL_REQUEST_TIMEOUT", "5"),
        ("MODELCELL_BIND", "nowhere"),
        ("MODELCELL_LOG", "loud"),
    ] {
        let setup = Setup::new().without_bind().flags(&["--max-files", "1"]);
        refused(&setup.env(name, value)).failed(2, &[name, value]);
    }
}

#[test]
fn mistakes_in_the_settings_file_name_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("modelcell.toml");
    let path = file.to_str().unwrap();
    let start = || refused(&Setup::new().flags(&["--config", path]));
    start().failed(1, &[path, "No such file"]);
    for (text, parts) in [
        ("\nmax-bdy = '1MiB'", &["max-bdy"][..]),
        ("max-body = 'much'", &["much"]),
        ("request-timeout = 5", &["30s"]),
        ("max-body", &["line 1"]),
        ("max-body = '2GiB'", &["--max-body", "must be"]),
    ] {
        fs::write(&file, text).unwrap();
        start().failed(1, parts);
    }
}

/// The largest body tells which source holds.
#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("modelcell.toml");
    let path = file.to_str().unwrap().to_owned();
    fs::write(&file, "max-body = '30B'\nbind = '127.0.0.1:0'\n").unwrap();
    let from_file = || one_model().without_bind().env("MODELCELL_CONFIG", &path);
    let limits = |server: &Server, limit: usize| {
        let send = |length| {
            server
                .invocation("m.tar.gz", "")
                .body(vec![b' '; length])
                .send()
        };
        assert_eq!(send(limit).status, 200);
        send(limit + 1).error(
            413,
            "RequestEntityTooLargeException",
            &[&format!("{limit} B")],
        );
    };
    limits(&from_file().start(), 30);
    limits(&from_file().env("MODELCELL_MAX_BODY", "20B").start(), 20);
    let all = from_file()
        .env("MODELCELL_MAX_BODY", "20B")
        .flags(&["--max-body", "10B"]);
    limits(&all.start(), 10);
    // What SageMaker says comes after all of these.
    let platform = || one_model().env("SAGEMAKER_MAX_REQUEST_SIZE", "40");
    limits(&platform().start(), 40);
    limits(&platform().flags(&["--max-body", "10B"]).start(), 10);
    limits(
        &from_file().env("SAGEMAKER_MAX_REQUEST_SIZE", "40").start(),
        30,
    );
}

#[test]
fn everything_may_be_said_by_variables() {
    let setup = one_model();
    let repository = setup.repository().display().to_string();
    let server = setup
        .without_repository()
        .without_bind()
        .env("MODELCELL_REPOSITORY", &repository)
        .env("MODELCELL_BIND", "127.0.0.1:0")
        .env("MODELCELL_LOG", "debug")
        .start();
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    server.log().wait_for(&[
        "DEBUG",
        "answered",
        "m.tar.gz",
        "input_fn",
        "predict_fn",
        "output_fn",
    ]);
}

#[test]
fn the_log_may_be_json() {
    let server = one_model().flags(&["--log-format", "json"]).start();
    let body = "predict:print \"quoted\"\u{7}";
    assert_eq!(server.invoke("m.tar.gz", body).ok(), "printed");
    let line = server.log().wait_for(&["quoted"]);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["model"], "m.tar.gz");
    assert_eq!(line["stream"], "stdout");
    for line in server.log().lines() {
        serde_json::from_str::<serde_json::Value>(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}

#[test]
fn backtraces_are_for_nobody() {
    let server = one_model()
        .artifact("broken.tar.gz", "broken")
        .env("RUST_BACKTRACE", "1")
        .start();
    for body in [
        "predict:panic x",
        "predict:trap",
        "predict:failed x",
        "input:invalid x",
    ] {
        let reply = server.invoke("m.tar.gz", body);
        // `error` looks for traces of one.
        let kind = reply.json()["type"].as_str().unwrap().to_owned();
        reply.error(reply.status, &kind, &[]);
        assert!(reply.text().len() < 500, "{}", reply.text());
    }
    let reply = server.invoke("broken.tar.gz", "");
    reply.error(400, "InvalidModelException", &[]);
    assert!(reply.text().len() < 500, "{}", reply.text());
}
