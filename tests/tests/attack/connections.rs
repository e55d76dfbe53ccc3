//! Clients that are slow, many, or gone.

use std::thread;
use std::time::Duration;

use modelcell_tests::kernel::resident;
use modelcell_tests::manage::metric;
use modelcell_tests::raw::Connection;
use modelcell_tests::{Server, TARGET_MODEL, eventually};

use crate::{PING, invocation, one_model};

/// How long a connection must have waited before another one may have its place, and some more.
const WAITED: Duration = Duration::from_millis(1500);

fn in_flight(server: &Server) -> f64 {
    metric(server, "modelcell_requests_in_flight")
}

#[test]
fn idle_connections_make_room_for_new_ones() {
    let server = one_model().flags(&["--max-connections", "4"]).start();
    let mut idle: Vec<_> = (0..4).map(|_| Connection::open(&server)).collect();
    for client in &mut idle[..2] {
        client.send(PING).reply().ok();
    }
    // The others begin a request and do not go on.
    for client in &mut idle[2..] {
        client.send("POST /invocations HTT");
    }
    thread::sleep(WAITED);
    for _ in 0..3 {
        let mut new = Connection::open(&server);
        new.send(PING).reply().ok();
    }
}

#[test]
fn who_is_being_answered_keeps_the_connection_and_others_hear_that_there_is_no_room() {
    let server = one_model()
        .flags(&["--max-connections", "2", "--cells-per-model", "2"])
        .start();
    server.invoke("m.tar.gz", "ok").ok();
    thread::sleep(WAITED);
    let mut busy = [Connection::open(&server), Connection::open(&server)];
    for client in &mut busy {
        client.send(invocation("predict:sleep 5000"));
    }
    thread::sleep(WAITED);
    // They do not even wait for it.
    let mut refused = Connection::open(&server);
    let reply = refused.reply();
    assert_eq!(reply.header("retry-after"), Some("1"));
    reply.error(
        503,
        "ServiceUnavailableException",
        &["no room for a connection"],
    );
    for client in &mut busy {
        assert_eq!(client.reply().ok(), "slept");
    }
    thread::sleep(WAITED);
    Connection::open(&server).send(PING).reply().ok();
}

#[test]
fn bodies_that_do_not_come_make_room_too() {
    let server = one_model().flags(&["--max-connections", "2"]).start();
    let mut slow = [Connection::open(&server), Connection::open(&server)];
    for client in &mut slow {
        client.send("POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\nhalf");
    }
    thread::sleep(WAITED);
    Connection::open(&server).send(PING).reply().ok();
    assert!(slow.iter_mut().any(Connection::is_closed));
}

#[test]
fn a_head_that_does_not_come_to_an_end_is_not_waited_for() {
    let server = one_model().start();
    let mut slow = Connection::open(&server);
    slow.send("GET /ping HTTP/1.1\r\nX: ");
    thread::scope(|scope| {
        let ended = scope.spawn(|| {
            // A byte now and then changes nothing.
            while slow.try_send("a") {
                thread::sleep(Duration::from_millis(500));
            }
        });
        while !ended.is_finished() {
            server.get("/ping").ok();
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert!(slow.is_closed());
}

#[test]
fn thousands_of_idle_connections_cost_little_and_hurt_nobody() {
    let server = one_model().start();
    server.invoke("m.tar.gz", "ok").ok();
    let before = resident(server.pid());
    let _idle: Vec<_> = (0..3000).map(|_| Connection::open(&server)).collect();
    server.invoke("m.tar.gz", "ok").ok();
    let after = resident(server.pid());
    let each = after.saturating_sub(before) / 3000;
    assert!(each < 16 << 10, "{each} bytes for each");
}

#[test]
fn a_client_that_has_nothing_more_to_say_gets_its_answer() {
    let server = one_model().start();
    server.invoke("m.tar.gz", "ok").ok();
    for request in [
        invocation("ok"),
        invocation("predict:sleep 300"),
        PING.to_owned(),
    ] {
        let mut client = Connection::open(&server);
        client.send(request);
        client.shut_down();
        client.reply().ok();
        assert!(client.is_closed());
    }
}

#[test]
fn the_request_of_a_client_that_is_gone_is_ended() {
    let server = one_model().start();
    server.invoke("m.tar.gz", "ok").ok();
    let mut gone = Connection::open(&server);
    gone.send(invocation("predict:sleep 600000"));
    eventually("it runs", || in_flight(&server) == 1.0);
    drop(gone);
    eventually("it has ended", || in_flight(&server) == 0.0);
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_again_and_all_are_counted_out() {
    let server = one_model()
        .flags(&["--max-requests", "2", "--cells-per-model", "4"])
        .start();
    server.invoke("m.tar.gz", "ok").ok();
    let mut first = Connection::open(&server);
    first.send(invocation("predict:sleep 600000"));
    // One whose body is still coming counts as well.
    let mut second = Connection::open(&server);
    second.send("POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\nhalf");
    eventually("both are there", || in_flight(&server) == 2.0);
    let reply = server.invoke("m.tar.gz", "ok");
    assert_eq!(reply.header("retry-after"), Some("1"));
    reply.error(503, "ServiceUnavailableException", &["--max-requests"]);
    // Others than models still answer.
    server.get("/models").ok();
    drop((first, second));
    eventually("both are gone", || in_flight(&server) == 0.0);
    server.invoke("m.tar.gz", "ok").ok();
}

#[test]
fn a_stop_ends_what_waits_and_finishes_what_runs() {
    let mut server = one_model().start();
    server.invoke("m.tar.gz", "ok").ok();
    let mut idle = Connection::open(&server);
    idle.send(PING).reply().ok();
    let mut half = Connection::open(&server);
    half.send("POST /invocations HTT");
    let silent = Connection::open(&server);
    let mut running = Connection::open(&server);
    running.send(invocation("predict:sleep 3000"));
    eventually("it runs", || in_flight(&server) == 1.0);
    server.terminate();
    assert_eq!(running.reply().ok(), "slept");
    for mut waiting in [idle, half, silent] {
        assert!(waiting.is_closed());
    }
    drop(running);
    assert_eq!(server.wait().code(), Some(0));
}

/// Whoever sends all of a body before it reads gets the answer, too.
#[test]
fn a_refusal_reaches_a_client_that_still_sends() {
    let server = one_model().flags(&["--max-body", "1KiB"]).start();
    for _ in 0..20 {
        let reply = server
            .call("POST", "/invocations")
            .header(TARGET_MODEL, "m.tar.gz")
            .body("a".repeat(4 << 20))
            .send();
        reply.error(413, "RequestEntityTooLargeException", &["--max-body"]);
    }
}
