//! Guests that attack the host or their neighbours: what they are told, and that a good model which
//! is asked all the time does not notice.
//!
//! Each test is a table of attacks on one server. After each attack the attacker's own next request
//! must work, and after all of them the host's threads and memory are back to where they were
//! (`modelcell_tests::bystander`). What an attack does to the good model's latency is measured by
//! `make bench`, not here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod artifacts;
mod contract;
mod hooks;
mod offered;

use std::thread;

use modelcell_tests::Server;
use modelcell_tests::artifact::{artifact, guest};
use modelcell_tests::bystander::{Footprint, GOOD, unharmed, with_good};
use modelcell_tests::component::component;

/// The attacker's name.
const BAD: &str = "bad.tar.gz";

/// An error's status and type.
type Kind = (u16, &'static str);

/// What is done, the request that does it, and the error, with parts of its message.
type Attack<'a> = (&'a str, &'a str, Kind, &'a [&'a str]);

/// A cell that ends for what its guest did is a `ModelError`.
const ENDED: Kind = (500, "ModelError");

/// An artifact that cannot be used is its author's to mend.
const INVALID: Kind = (400, "InvalidModelException");

/// A cell that needed more memory than it may hold.
const MEMORY: Kind = (507, "OutOfMemoryError");

/// A hook, or a load, that took too long.
const TIMEOUT: Kind = (504, "ModelTimeoutException");

/// Makes each of these attacks on a server of the attacker and a good model; a request without a body
/// is what the attacker answers well. They are made twice, so that what the first ones leave behind
/// is seen.
#[track_caller]
fn attacks(bad: Vec<u8>, attacks: &[Attack]) {
    let server = with_good(&[(BAD, bad)]).start();
    server.invoke(BAD, "").ok();
    unharmed(&server, || {
        for _ in 0..2 {
            for &(what, body, (status, kind), parts) in attacks {
                println!("{what}");
                server.invoke(BAD, body).error(status, kind, parts);
                server.invoke(BAD, "").ok();
            }
        }
    });
}

/// Checks that a model cannot be loaded, and why.
#[track_caller]
fn cannot_be_loaded(server: &Server, name: &str, (status, kind): Kind, parts: &[&str]) {
    server.invoke(name, "").error(status, kind, parts);
    assert_eq!(server.get(&format!("/models/{name}")).status, 404);
}

/// An artifact of a component in text form.
fn text_artifact(text: &str) -> Vec<u8> {
    artifact(&component(text), &[])
}

/// The same, whose requests may take two seconds: the good model's may take longer.
fn hasty(text: &str) -> Vec<u8> {
    let settings: [(&str, &[u8]); 1] = [("modelcell.toml", b"request-timeout = '2s'")];
    artifact(&component(text), &settings)
}

/// Has the good model compiled, if nobody did yet, before a server starts whose loads have little time.
fn compile_the_good_model() {
    let reply = with_good(&[]).start().invoke(GOOD, "");
    reply.error(415, "UnsupportedMediaTypeException", &[]);
}

/// All that the host started for attackers ends: not even an idle thread of a pool stays.
#[test]
fn threads_and_memory_come_back() {
    let settings: [(&str, &[u8]); 1] = [("modelcell.toml", b"request-timeout = '1s'")];
    let server = with_good(&[(BAD, artifact(&guest("misbehave"), &settings))]).start();
    server.invoke(BAD, "").ok();
    let before = Footprint::of(&server);
    unharmed(&server, || {
        for body in [
            "input:loop",
            "predict:eat-memory",
            "predict:open-for-good 100000",
            "predict:flood 100000",
            "predict:sleep 60000",
            "output:recurse",
        ] {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| server.invoke(BAD, body).status);
                }
            });
        }
    });
    // Those of the compiler stay, if it was needed.
    let compiler = thread::available_parallelism().unwrap().get() as u64;
    before.wait(&server, compiler);
}
