//! Components that are hard to compile: what the compiler may take, and that nobody else notices.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::thread::{self, JoinHandle};

use modelcell_tests::artifact::{artifact, misbehave};
use modelcell_tests::command::{Ended, modelcell};
use modelcell_tests::component::{endless, with_functions};
use modelcell_tests::kernel::{children, forget_peak, lives, name, peak};
use modelcell_tests::{Reply, Server, Setup, eventually};
use rustix::process::{Pid, Signal, kill_process};

/// A server with a good model that is loaded, and one that never comes to an end of compiling.
fn server(flags: &[&str]) -> Server {
    let server = Setup::new()
        .artifact("good.tar.gz", misbehave())
        .artifact("endless.tar.gz", artifact(&endless(), &[]))
        .flags(flags)
        .start();
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    server
}

/// Invokes a model that is not loaded, in a thread.
fn begin(server: &Server, model: &'static str) -> JoinHandle<Reply> {
    let client = server.client().clone();
    thread::spawn(move || client.invoke(model, ""))
}

/// Waits until the compiler of a server is at work.
fn compiler(server: &Server) -> u32 {
    let mut found = None;
    eventually("the compiler runs", || {
        let mut children = children(server.pid()).into_iter();
        found = children.find(|child| name(*child) == "modelcell-comp");
        found.is_some()
    });
    found.unwrap()
}

fn signal(process: u32, signal: Signal) {
    let process = i32::try_from(process).unwrap();
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}

/// Checks that all is as before.
#[track_caller]
fn unharmed(server: &Server) {
    eventually("the compiler is gone", || children(server.pid()).is_empty());
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
}

#[test]
fn a_component_with_too_many_functions_is_refused_and_one_with_many_is_not() {
    let server = server(&[]);
    let too_many = artifact(&with_functions(100_001), &[]);
    server.add("many.tar.gz", too_many);
    let reply = server.invoke("many.tar.gz", "");
    let message = reply.error(400, "InvalidModelException", &["(component-functions)"]);
    assert_eq!(
        message,
        "the component has 100001 functions, more than the 100000 that a component may have \
         (component-functions)"
    );
    server.add("many.tar.gz", artifact(&with_functions(2000), &[]));
    let compiled = server.invoke("many.tar.gz", "");
    compiled.error(400, "InvalidModelException", &["does not export"]);
    unharmed(&server);
}

#[test]
fn compiling_takes_no_more_than_its_time() {
    let flags = ["--compile-timeout", "1s", "--compile-memory", "1TiB"];
    let server = server(&flags);
    let reply = begin(&server, "endless.tar.gz");
    let process = compiler(&server);
    // Whoever has a model notices nothing.
    while lives(process) {
        assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    }
    let reply = reply.join().unwrap();
    let parts = ["takes longer than 1s (--compile-timeout)"];
    reply.error(400, "InvalidModelException", &parts);
    unharmed(&server);
}

#[test]
fn compiling_takes_no_more_than_its_memory() {
    let server = server(&["--compile-memory", "200MiB"]);
    forget_peak(server.pid());
    let before = peak(server.pid());
    let reply = server.invoke("endless.tar.gz", "");
    let parts = ["takes more than 200.0 MiB of memory (--compile-memory)"];
    reply.error(400, "InvalidModelException", &parts);
    assert!(peak(server.pid()) < before + (50 << 20));
    unharmed(&server);
}

#[test]
fn the_compiler_ends_with_the_load() {
    let server = server(&["--load-timeout", "1s", "--compile-memory", "1TiB"]);
    let reply = server.invoke("endless.tar.gz", "");
    let parts = ["compiling the component", "--load-timeout"];
    reply.error(504, "ModelTimeoutException", &parts);
    unharmed(&server);
}

#[test]
fn the_compiler_ends_with_the_host() {
    let server = server(&["--compile-memory", "1TiB"]);
    let reply = begin(&server, "endless.tar.gz");
    let process = compiler(&server);
    server.kill();
    eventually("the compiler has ended", || !lives(process));
    // Its connection was cut off.
    assert!(reply.join().is_err());
}

#[test]
fn a_compiler_that_is_killed_can_be_tried_again() {
    let cache = tempfile::tempdir().unwrap();
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .cache(cache.path())
        .start();
    let reply = begin(&server, "m.tar.gz");
    signal(compiler(&server), Signal::KILL);
    let reply = reply.join().unwrap();
    reply.error(500, "InternalServerException", &["its process was killed"]);
    eventually("it is tried again", || {
        server.invoke("m.tar.gz", "").status == 200
    });
    assert!(children(server.pid()).is_empty());
}

#[test]
fn a_compiler_that_crashes_is_an_error_of_one_load() {
    let server = server(&["--compile-memory", "1TiB"]);
    let reply = begin(&server, "endless.tar.gz");
    signal(compiler(&server), Signal::ABORT);
    let reply = reply.join().unwrap();
    let parts = ["the compiler crashed on the component"];
    reply.error(400, "InvalidModelException", &parts);
    unharmed(&server);
}

/// A compiler that stands still ends as one that is slow does.
#[test]
fn a_compiler_that_hangs_is_ended() {
    let cache = tempfile::tempdir().unwrap();
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .cache(cache.path())
        .flags(&["--compile-timeout", "2s"])
        .start();
    let reply = begin(&server, "m.tar.gz");
    signal(compiler(&server), Signal::STOP);
    let reply = reply.join().unwrap();
    reply.error(400, "InvalidModelException", &["--compile-timeout"]);
    assert!(children(server.pid()).is_empty());
}

/// It is for the host alone.
#[test]
fn the_compilers_command_is_hidden() {
    let help = Ended::of(modelcell().arg("--help")).ok();
    assert!(
        help.contains("serve") && !help.contains("compile"),
        "{help}"
    );
}

#[test]
fn functions_are_compiled_once() {
    let cache = tempfile::tempdir().unwrap();
    let start = || {
        let server = Setup::new()
            .artifact("m.tar.gz", misbehave())
            .cache(cache.path())
            .flags(&["--log", "debug"])
            .start();
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
        server
    };
    let counts = |server: &Server| {
        let line = server.log().wait_for(&["reused=", "compiled="]);
        let count = |name: &str| -> u64 {
            let (_, after) = line.split_once(name).unwrap();
            after.split(' ').next().unwrap().parse().unwrap()
        };
        (count(" reused="), count(" compiled="))
    };
    let (_, first) = counts(&start());
    assert!(first > 100, "{first}");
    // The code is gone, its functions are not.
    remove(cache.path(), &[".cwasm", ".sha256"]);
    let (reused, compiled) = counts(&start());
    assert!(
        compiled * 4 < first && reused > first / 2,
        "{reused}, {compiled}"
    );
    // Functions that are damaged are none.
    remove(cache.path(), &[".cwasm", ".sha256"]);
    for file in files(cache.path(), ".functions") {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let server = start();
    server.log().wait_for(&["damaged"]);
    assert!(counts(&server).1 > first / 2);
}

fn files(cache: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(cache.join("code")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

fn remove(cache: &Path, endings: &[&str]) {
    for file in endings.iter().flat_map(|ending| files(cache, ending)) {
        fs::remove_file(file).unwrap();
    }
}
