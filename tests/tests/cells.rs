//! How requests come by their cells, and what ends one that takes too much.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use modelcell_tests::artifact::{artifact, guest, misbehave};
use modelcell_tests::manage::{metric, until_busy, until_frozen};
use modelcell_tests::{Server, Setup, eventually};

const A: &str = "a.tar.gz";
const B: &str = "b.tar.gz";

/// Two models, loaded and frozen.
fn two_models(flags: &[&str]) -> Server {
    let setup = Setup::new()
        .artifact(A, misbehave())
        .artifact(B, misbehave());
    let server = setup.flags(flags).start();
    for name in [A, B] {
        server.invoke(name, "").ok();
        until_frozen(&server, name);
    }
    server
}

fn breaches(server: &Server, limit: &str) -> f64 {
    metric(
        server,
        &format!("modelcell_limit_breaches_total{{limit=\"{limit}\"}}"),
    )
}

fn leases(server: &Server, outcome: &str) -> f64 {
    metric(
        server,
        &format!("modelcell_cell_leases_total{{outcome=\"{outcome}\"}}"),
    )
}

#[test]
fn a_hook_has_a_time_of_its_own() {
    let settings: [(&str, &[u8]); 1] = [("modelcell.toml", b"hook-timeout = '200ms'")];
    let server = Setup::new()
        .artifact(A, artifact(&guest("misbehave"), &settings))
        .artifact(B, misbehave())
        .flags(&["--hook-timeout", "900ms"])
        .start();
    for (name, hook, limit) in [(A, "input", "200ms"), (B, "predict", "900ms")] {
        assert_eq!(
            server.invoke(name, &format!("{hook}:sleep 50")).ok(),
            "slept"
        );
        server.invoke(name, &format!("{hook}:loop")).error(
            504,
            "ModelTimeoutException",
            &[&format!("{hook}_fn"), limit, "--hook-timeout"],
        );
        assert_eq!(server.invoke(name, "").ok(), "ok");
    }
    assert_eq!(breaches(&server, "time"), 2.0);
}

/// Each kind of breach, and one request within the limit beside it.
#[test]
fn breaches_are_counted_by_kind() {
    let flags = [
        "--cell-memory",
        "32MiB",
        "--max-response",
        "1MiB",
        "--guest-log",
        "1KiB",
    ];
    let server = two_models(&flags);
    for (kind, within, beyond, status) in [
        ("memory", "predict:hold 10", "predict:hold 100", 507),
        (
            "transfer",
            "predict:large 900000",
            "predict:large 1100000",
            500,
        ),
        (
            "handles",
            "predict:open-for-good 50",
            "predict:open-for-good 100",
            500,
        ),
        ("log", "predict:flood 9", "predict:flood 20", 200),
    ] {
        assert_eq!(server.invoke(A, within).status, 200, "{kind}");
        assert_eq!(breaches(&server, kind), 0.0, "{kind}");
        assert_eq!(server.invoke(A, beyond).status, status, "{kind}");
        assert_eq!(breaches(&server, kind), 1.0, "{kind}");
    }
    assert_eq!(server.invoke(A, "").ok(), "ok");
}

#[test]
fn turns_go_round_the_models_when_the_host_is_full() {
    let server = two_models(&["--max-cells", "1", "--cells-per-model", "4"]);
    let order = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let ask = |name: &'static str, body: &'static str| {
            let (server, order) = (&server, &order);
            scope.spawn(move || {
                server.invoke(name, body).ok();
                order.lock().unwrap().push(name);
            })
        };
        ask(A, "predict:sleep 1500");
        until_busy(&server, A);
        for _ in 0..3 {
            ask(A, "predict:sleep 300");
        }
        let waiting = |number| {
            eventually("they wait", || {
                metric(&server, "modelcell_requests_waiting_for_cells") == number
            });
        };
        waiting(3.0);
        ask(B, "");
        waiting(4.0);
    });
    let order = order.into_inner().unwrap();
    let turn = order.iter().position(|name| *name == B).unwrap();
    assert!(
        turn <= 2,
        "the other model's turn came after {turn} of {order:?}"
    );
    assert_eq!(leases(&server, "waited"), 4.0);
}

#[test]
fn who_waits_too_long_is_refused() {
    let server = two_models(&["--max-cells", "1", "--request-timeout", "2s"]);
    thread::scope(|scope| {
        scope.spawn(|| server.invoke(A, "predict:sleep 1800").ok());
        until_busy(&server, A);
        let reply = server.invoke(B, "");
        reply.error(503, "ServiceUnavailableException", &["busy", "try again"]);
        assert_eq!(reply.header("retry-after"), Some("1"));
    });
    assert_eq!(leases(&server, "refused"), 1.0);
    assert_eq!(server.invoke(B, "").ok(), "ok");
}

/// More of them than there are processors, and short requests go through.
#[test]
fn long_predictions_do_not_hold_up_short_ones() {
    let server = two_models(&["--cells-per-model", "8", "--request-timeout", "8s"]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                server
                    .invoke(A, "predict:loop")
                    .error(504, "ModelTimeoutException", &[])
            });
        }
        eventually("they loop", || {
            server.log().lines_with(&["looping"]).len() == 8
        });
        for _ in 0..20 {
            assert_eq!(server.invoke(B, "").ok(), "ok");
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(server.invoke(A, "").ok(), "ok");
}
