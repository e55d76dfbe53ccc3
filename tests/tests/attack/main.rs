//! Clients that do all that HTTP lets them do to a server, and some things that it does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod connections;
mod http2;
mod messages;

use modelcell_tests::Setup;
use modelcell_tests::artifact::misbehave;

/// A server with a model that does as it is told.
fn one_model() -> Setup {
    Setup::new().artifact("m.tar.gz", misbehave())
}

/// A request to that model, as bytes.
fn invocation(body: &str) -> String {
    format!(
        "POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const PING: &str = "GET /ping HTTP/1.1\r\nHost: m\r\n\r\n";
