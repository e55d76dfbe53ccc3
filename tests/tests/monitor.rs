//! What operators see: metrics, and how far a load is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::thread;

use modelcell_tests::artifact::{misbehave, misbehave_at_load};
use modelcell_tests::manage::metric;
use modelcell_tests::{Setup, eventually};
use serde_json::json;

#[test]
fn a_load_says_how_far_it_is() {
    let server = Setup::new()
        .artifact("slow.tar.gz", misbehave_at_load("sleep 1500"))
        .start();
    thread::scope(|scope| {
        let request = scope.spawn(|| server.invoke("slow.tar.gz", "").ok());
        eventually("model_fn runs", || {
            let status = server.get("/models/slow.tar.gz");
            status.status == 200
                && status.json()
                    == json!({
                        "modelName": "slow.tar.gz",
                        "modelUrl": "slow.tar.gz",
                        "status": "loading",
                        "stage": "model-fn",
                    })
        });
        request.join().unwrap();
    });
    assert_eq!(server.get("/models/slow.tar.gz").json()["status"], "ready");
}

#[test]
fn a_broken_model_costs_nothing_until_it_is_mended() {
    let server = Setup::new()
        .artifact("bad.tar.gz", misbehave_at_load("panic no"))
        .start();
    for _ in 0..100 {
        server
            .invoke("bad.tar.gz", "")
            .error(500, "ModelError", &["model_fn"]);
    }
    assert_eq!(server.log().lines_with(&["load failed"]).len(), 1);
    assert_eq!(metric(&server, "modelcell_load_failures_total"), 1.0);
    server.add("bad.tar.gz", misbehave());
    assert_eq!(server.invoke("bad.tar.gz", "").ok(), "ok");
}

#[test]
fn requests_and_loads_are_counted() {
    let server = Setup::new().artifact("m.tar.gz", misbehave()).start();
    server.invoke("m.tar.gz", "").ok();
    server.invoke("m.tar.gz", "").ok();
    server
        .invoke("m.tar.gz", "predict:panic")
        .error(500, "ModelError", &[]);
    server
        .invoke("none.tar.gz", "")
        .error(404, "ModelNotFoundException", &[]);
    for (name, value) in [
        ("invocations_total", 4.0),
        ("invocation_4xx_errors_total", 1.0),
        ("invocation_5xx_errors_total", 1.0),
        ("model_cache_hits_total", 2.0),
        ("model_cache_misses_total", 2.0),
        ("loaded_model_count", 1.0),
        ("model_loading_time_seconds_count", 1.0),
        ("model_loading_wait_time_seconds_count", 2.0),
        ("model_latency_seconds_count", 2.0),
        ("overhead_latency_seconds_count", 2.0),
        ("model_unloading_time_seconds_count", 0.0),
        (
            "model_invocations_total{endpoint=\"default\",model=\"m.tar.gz\"}",
            3.0,
        ),
        (
            "model_errors_total{endpoint=\"default\",model=\"m.tar.gz\"}",
            1.0,
        ),
    ] {
        assert_eq!(
            metric(&server, &format!("modelcell_{name}")),
            value,
            "{name}"
        );
    }
    server.delete("/models/m.tar.gz").ok();
    let text = server.get("/metrics").ok();
    assert!(!text.contains("m.tar.gz"), "what is gone has no series");
    let reply = server.get("/metrics");
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
}
