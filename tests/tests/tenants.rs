//! Many tenants whose models share one runtime's code: each gets the answer of its own model, whatever
//! else is loaded, evicted, restored or run beside it.
//!
//! A model is a tree that XGBoost trained (`tests/data/stump.json`) with the tenant's number in its leaves, so
//! that an answer tells whose memory it was made from.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use modelcell_tests::artifact::Tar;
use modelcell_tests::command::source;
use modelcell_tests::manage::{metric, until_frozen};
use modelcell_tests::{Server, Setup};
use tempfile::TempDir;

const TENANTS: usize = 300;

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}/model.tar.gz")
}

/// A model that answers the tenant's number if the first feature is below 1, and a half more if not.
/// Trees of different sizes put numbers at different places in memory.
fn model(tenant: usize) -> Vec<u8> {
    let stump = fs::read_to_string(source().join("tests/data/stump.json")).unwrap();
    let model = stump
        .replace("LOW", &tenant.to_string())
        .replace("HIGH", &format!("{tenant}.5"));
    // Attributes are kept or skipped by the reader, and make the file's size the tenant's own.
    let note = format!(
        "\"attributes\": {{\"note\": \"{}\"}}",
        "x".repeat(tenant * 50)
    );
    let model = model.replace("\"attributes\": {}", &note);
    Tar::new().file("xgboost-model", model.as_bytes()).gz()
}

fn server(flags: &[&str], cache: &TempDir) -> Server {
    (0..TENANTS)
        .fold(
            Setup::new().flags(flags).cache(cache.path()),
            |setup, tenant| setup.artifact(&name(tenant), model(tenant)),
        )
        .start()
}

/// Asks a tenant's model, and sees whose answer came.
#[track_caller]
fn ask(server: &Server, tenant: usize, high: bool) {
    let row = if high { "1,0" } else { "0,0" };
    let reply = server
        .call("POST", "/invocations")
        .header(modelcell_tests::TARGET_MODEL, &name(tenant))
        .header("Content-Type", "text/csv")
        .header("Accept", "text/csv")
        .body(row)
        .send();
    let answer: f64 = reply.ok().trim().parse().unwrap();
    let expected = tenant as f64 + if high { 0.5 } else { 0.0 };
    assert_eq!(answer, expected, "tenant {tenant}");
}

/// Requests of several callers at once, in an order of their own.
fn ask_all(server: &Server, rounds: usize) {
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for caller in 0..8 {
            let asked = &asked;
            scope.spawn(move || {
                for number in 0..rounds * TENANTS / 8 {
                    // Steps of a number prime to that of the tenants reach all of them.
                    let tenant = (number * 8 + caller) * 131 % TENANTS;
                    ask(server, tenant, number % 3 == 0);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(asked.into_inner(), rounds * TENANTS / 8 * 8);
}

#[test]
fn each_tenant_gets_its_own_answer() {
    let cache = TempDir::new().unwrap();
    let server = server(&[], &cache);
    ask_all(&server, 4);
    until_frozen(&server, &name(0));
    ask_all(&server, 4);
    let described = server.get(&format!("/models/{}", name(7))).json();
    assert_eq!(described["runtime"], "xgboost");
    assert!(described["codeSharedBy"].as_u64().unwrap() > TENANTS as u64 / 2);
}

#[test]
fn each_tenant_gets_its_own_answer_while_models_come_and_go() {
    let cache = TempDir::new().unwrap();
    let flags = ["--memory-budget", "40MiB", "--min-residency", "0s"];
    {
        let server = server(&flags, &cache);
        ask_all(&server, 4);
        assert!(metric(&server, "modelcell_evictions_total") > 100.0);
    }
    // Another process, which finds the snapshots of the first one.
    let server = server(&flags, &cache);
    ask_all(&server, 2);
}

/// A request that writes all over its memory, grows it, or ends half-way leaves nothing for the next one.
#[test]
fn large_and_failed_requests_leave_other_tenants_alone() {
    let cache = TempDir::new().unwrap();
    let server = server(&[], &cache);
    ask_all(&server, 1);
    until_frozen(&server, &name(0));
    let rows = "1,0\n".repeat(100_000);
    thread::scope(|scope| {
        let large = scope.spawn(|| {
            for number in 0..10 {
                let reply = server
                    .call("POST", "/invocations")
                    .header(modelcell_tests::TARGET_MODEL, &name(number % 3))
                    .header("Content-Type", "text/csv")
                    .body(rows.as_bytes())
                    .send();
                let expected = format!("{}.5", number % 3);
                assert!(
                    reply
                        .ok()
                        .split([',', '\n'])
                        .filter(|s| !s.is_empty())
                        .all(|s| s == expected)
                );
                let broken = server
                    .call("POST", "/invocations")
                    .header(modelcell_tests::TARGET_MODEL, &name(number % 3))
                    .header("Content-Type", "text/csv")
                    .body("1,0\n1,x\n")
                    .send();
                broken.error(400, "InvalidInputException", &["row 2", "column 2"]);
            }
        });
        ask_all(&server, 3);
        large.join().unwrap();
    });
    ask_all(&server, 1);
}
