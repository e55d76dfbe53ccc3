//! That the memory budget holds, as the kernel sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use modelcell_tests::artifact::{misbehave, misbehave_at_load};
use modelcell_tests::kernel::{forget_peak, peak, resident};
use modelcell_tests::manage::metric;
use modelcell_tests::raw::Connection;
use modelcell_tests::{Setup, eventually};

const MIB: u64 = 1 << 20;

/// What the host needs for itself, whatever its models hold: the program, its threads and buffers,
/// in a build without optimisation.
const HOST: u64 = 96 * MIB;

/// Models that grow, models that are too large, many at once: whatever they do, the process holds no
/// more than the budget and what the host itself needs.
#[test]
fn the_process_stays_within_the_budget() {
    let budget = 128 * MIB;
    let mut setup = Setup::new().flags(&["--memory-budget", "128MiB", "--min-residency", "0s"]);
    for model in 0..12 {
        let held = misbehave_at_load(&format!("hold {}", model * 4));
        setup = setup.artifact(&format!("{model}.tar.gz"), held);
    }
    let server = setup.start();
    // Compiling, if nobody did yet, is not what this is about.
    server.invoke("0.tar.gz", "").ok();
    forget_peak(server.pid());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = (0..8).map(|client| {
            let server = &server;
            scope.spawn(move || {
                for turn in 0..40 {
                    let name = format!("{}.tar.gz", (client * 3 + turn * 5) % 12);
                    let body = format!("predict:hold {}", turn % 10);
                    let status = server.invoke(&name, &body).status;
                    assert!([200, 503, 507].contains(&status), "{status}");
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let used = metric(&server, "modelcell_memory_used_bytes");
                assert!(used <= budget as f64, "{used}");
            }
        });
        for client in clients {
            client.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let peak = peak(server.pid());
    assert!(peak > budget / 2, "the models were really there: {peak}");
    assert!(peak <= budget + HOST, "{} MiB", peak / MIB);
}

/// Bodies that are on their way are no model's, and have a bound of their own.
#[test]
fn bodies_in_flight_are_bounded() {
    let flags = ["--request-memory", "4MiB", "--max-body", "3500KiB"];
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .flags(&flags)
        .start();
    let body = format!("predict:ok {}", "x".repeat(3 << 20));
    let head = format!(
        "POST /invocations?TargetModel=m.tar.gz HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (most, rest) = body.split_at(body.len() - 1);
    let mut first = Connection::open(&server);
    first.send(head).send(most);
    eventually("most of the body is there", || {
        metric(&server, "modelcell_buffered_bytes") as usize >= most.len()
    });
    server.invoke("m.tar.gz", &body).error(
        503,
        "ServiceUnavailableException",
        &["--request-memory"],
    );
    // Small ones still pass, and the first one when it is complete.
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    assert_eq!(first.send(rest).reply().ok(), "ok");
    eventually("nothing is held", || {
        metric(&server, "modelcell_buffered_bytes") == 0.0
    });
}

/// Ten thousand times, because a leak of a page is only seen then.
#[test]
fn evicted_means_freed() {
    let flags = [
        "--memory-budget",
        "16MiB",
        "--cells-per-model",
        "1",
        "--min-residency",
        "0s",
    ];
    let artifact = misbehave_at_load("hold 2");
    let names: Vec<_> = (0..6).map(|model| format!("{model}.tar.gz")).collect();
    let setup = names
        .iter()
        .fold(Setup::new().flags(&flags), |setup, name| {
            setup.artifact(name, &artifact)
        });
    let server = setup.start();
    // In turn, each asks for the one that went last.
    let rounds = |number: usize| {
        for name in names.iter().cycle().take(number * names.len()) {
            server.invoke(name, "").ok();
        }
    };
    rounds(200);
    let before = resident(server.pid());
    rounds(1_500);
    let after = resident(server.pid());
    assert!(metric(&server, "modelcell_evictions_total") > 10_000.0);
    assert!(
        after <= before + 8 * MIB,
        "{} to {} MiB",
        before / MIB,
        after / MIB
    );
}
