//! The memory and the disk budget: what goes when one is used up, what stays, and what callers hear.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::thread;
use std::time::Duration;

use modelcell_tests::artifact::{artifact, guest, misbehave, misbehave_at_load, misbehave_reused};
use modelcell_tests::manage::{load, loaded, metric, until_busy, until_frozen};
use modelcell_tests::{Server, Setup, eventually};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// Room for three models of 20 MiB, and one cell each, which is reused.
const THREE: [&str; 6] = [
    "--memory-budget",
    "80MiB",
    "--cells-per-model",
    "1",
    "--min-residency",
    "0s",
];

/// A server with models of 20 MiB by these names.
fn models_of_20_mib(models: &[&str], flags: &[&str]) -> Server {
    let artifact = misbehave_reused("hold 20");
    models
        .iter()
        .fold(Setup::new().flags(flags), |setup, name| {
            setup.artifact(&format!("{name}.tar.gz"), &artifact)
        })
        .start()
}

#[test]
fn the_least_recently_used_model_goes_and_no_more_than_needed() {
    let server = models_of_20_mib(&["a", "b", "c", "d"], &THREE);
    for name in ["a", "b", "c", "a"] {
        server.invoke(&format!("{name}.tar.gz"), "").ok();
    }
    assert_eq!(loaded(&server), ["a.tar.gz", "b.tar.gz", "c.tar.gz"]);
    server.invoke("d.tar.gz", "").ok();
    assert_eq!(loaded(&server), ["a.tar.gz", "c.tar.gz", "d.tar.gz"]);
    server.log().wait_for(&["evicted", "b.tar.gz"]);
    assert_eq!(metric(&server, "modelcell_evictions_total"), 1.0);
    // Looking at a model is no use of it.
    server.get("/models/c.tar.gz").ok();
    server.invoke("b.tar.gz", "").ok();
    assert_eq!(loaded(&server), ["a.tar.gz", "b.tar.gz", "d.tar.gz"]);
}

#[test]
fn a_model_in_use_is_not_evicted() {
    let server = models_of_20_mib(&["a", "b", "c", "d", "e"], &THREE);
    server.invoke("a.tar.gz", "").ok();
    thread::scope(|scope| {
        let request = scope.spawn(|| server.invoke("a.tar.gz", "predict:sleep 1500").ok());
        until_busy(&server, "a.tar.gz");
        for name in ["b", "c", "d", "e"] {
            server.invoke(&format!("{name}.tar.gz"), "").ok();
            assert!(loaded(&server).contains(&"a.tar.gz".to_owned()));
        }
        request.join().unwrap();
    });
}

#[test]
fn a_model_that_was_just_loaded_stays_while_another_can_go() {
    let flags = ["--memory-budget", "60MiB", "--min-residency", "2s"];
    let server = models_of_20_mib(&["a", "b", "c"], &flags);
    server.invoke("a.tar.gz", "").ok();
    thread::sleep(Duration::from_millis(2100));
    server.invoke("b.tar.gz", "").ok();
    // Now b is the least recently used one, but too young to go.
    server.invoke("a.tar.gz", "").ok();
    server.invoke("c.tar.gz", "").ok();
    assert_eq!(loaded(&server), ["b.tar.gz", "c.tar.gz"]);
    // Both are too young, and nothing else can make room.
    server.invoke("a.tar.gz", "").ok();
    assert_eq!(loaded(&server), ["a.tar.gz", "c.tar.gz"]);
}

#[test]
fn a_model_larger_than_the_budget_is_refused_and_nothing_goes_for_it() {
    let server = Setup::new()
        .artifact("huge.tar.gz", misbehave_at_load("hold 100"))
        .artifact("a.tar.gz", misbehave())
        .flags(&["--memory-budget", "64MiB"])
        .start();
    server.invoke("a.tar.gz", "").ok();
    let reply = server.invoke("huge.tar.gz", "");
    let text = reply.error(
        507,
        "InsufficientMemoryException",
        &["--memory-budget", "64.0 MiB"],
    );
    assert!(text.contains("needs at least 10"), "both numbers: {text}");
    assert_eq!(loaded(&server), ["a.tar.gz"]);
    assert_eq!(metric(&server, "modelcell_evictions_total"), 0.0);
}

#[test]
fn a_model_that_grows_has_others_go() {
    let server = models_of_20_mib(&["a", "b", "c"], &THREE);
    for name in ["a", "b", "c"] {
        server.invoke(&format!("{name}.tar.gz"), "").ok();
    }
    server.invoke("c.tar.gz", "predict:hold 20").ok();
    assert_eq!(loaded(&server), ["b.tar.gz", "c.tar.gz"]);
    // Beyond the budget there is nothing to be had, and only this request fails.
    let reply = server.invoke("c.tar.gz", "predict:hold 60");
    reply.error(
        507,
        "InsufficientMemoryException",
        &["predict_fn", "--memory-budget"],
    );
    assert_eq!(server.invoke("c.tar.gz", "").ok(), "ok");
    assert_eq!(server.invoke("b.tar.gz", "").ok(), "ok");
}

#[test]
fn what_models_in_use_hold_is_not_to_be_had_now() {
    let flags = ["--memory-budget", "50MiB", "--cells-per-model", "1"];
    let server = models_of_20_mib(&["a", "b", "c"], &flags);
    for name in ["a", "b"] {
        server.invoke(&format!("{name}.tar.gz"), "").ok();
    }
    thread::scope(|scope| {
        for name in ["a.tar.gz", "b.tar.gz"] {
            scope.spawn(|| server.invoke(name, "predict:sleep 7000").ok());
            until_busy(&server, name);
        }
        let reply = server.invoke("c.tar.gz", "");
        reply.error(
            503,
            "ServiceUnavailableException",
            &["memory budget", "try again"],
        );
        assert_eq!(reply.header("retry-after"), Some("1"));
    });
    assert_eq!(server.invoke("c.tar.gz", "").ok(), "ok");
}

#[test]
fn a_load_waits_for_a_model_in_use_to_be_done() {
    let flags = ["--memory-budget", "30MiB", "--cells-per-model", "1"];
    let server = models_of_20_mib(&["a", "b"], &flags);
    server.invoke("a.tar.gz", "").ok();
    thread::scope(|scope| {
        scope.spawn(|| server.invoke("a.tar.gz", "predict:sleep 1000").ok());
        until_busy(&server, "a.tar.gz");
        assert_eq!(server.invoke("b.tar.gz", "").ok(), "ok");
    });
    assert_eq!(loaded(&server), ["b.tar.gz"]);
}

/// A model that has a cell waits for it rather than fail for want of a second one, and waiting holds up
/// nobody, not even on a single thread.
#[test]
fn a_second_cell_that_does_not_fit_is_waited_for() {
    for platform in ["false", "true"] {
        let server = Setup::new()
            .artifact("a.tar.gz", misbehave_reused("hold 20"))
            .flags(&["--memory-budget", "30MiB", "--cells-per-model", "2"])
            .env("TOKIO_WORKER_THREADS", "1")
            .env("SAGEMAKER_MULTI_MODEL", platform)
            .start();
        load(&server, "a", "a.tar.gz").ok();
        let invoke = |body: &str| server.call("POST", "/models/a/invoke").body(body).send();
        thread::scope(|scope| {
            let first = scope.spawn(|| invoke("predict:sleep 1500").ok());
            until_busy(&server, "a");
            let second = scope.spawn(|| invoke("").ok());
            for _ in 0..20 {
                assert_eq!(server.get("/ping").ok(), "");
            }
            first.join().unwrap();
            second.join().unwrap();
        });
        assert_eq!(server.get("/models/a").json()["cells"], 1);
    }
}

#[test]
fn a_new_version_that_finds_no_room_is_tried_again() {
    let flags = [
        "--memory-budget",
        "60MiB",
        "--cells-per-model",
        "1",
        "--revalidate-after",
        "200ms",
    ];
    let server = models_of_20_mib(&["a", "b"], &flags);
    for name in ["a.tar.gz", "b.tar.gz"] {
        server.invoke(name, "").ok();
    }
    let version = |server: &Server| {
        let reply = server.get("/models/a.tar.gz").json();
        reply["version"].as_str().unwrap().to_owned()
    };
    let old = version(&server);
    thread::scope(|scope| {
        scope.spawn(|| server.invoke("b.tar.gz", "predict:sleep 7000").ok());
        until_busy(&server, "b.tar.gz");
        server.add("a.tar.gz", misbehave_reused("hold 20"));
        eventually("the failure is shown", || {
            let error = server.get("/models/a.tar.gz").json()["refreshError"].take();
            error
                .as_str()
                .is_some_and(|error| error.contains("memory budget"))
        });
        assert_eq!(server.invoke("a.tar.gz", "").ok(), "ok");
        assert_eq!(version(&server), old);
    });
    eventually("the new version is there", || version(&server) != old);
    assert_eq!(server.invoke("a.tar.gz", "").ok(), "ok");
}

#[test]
fn code_counts_once_for_all_models_that_share_it() {
    let server = Setup::new()
        .artifact("a.tar.gz", misbehave())
        .artifact("b.tar.gz", misbehave_at_load("ok"))
        .start();
    server.invoke("a.tar.gz", "").ok();
    until_frozen(&server, "a.tar.gz");
    let alone = server.get("/models/a.tar.gz").json();
    let used = metric(&server, "modelcell_memory_used_bytes");
    let (memory, code) = (&alone["memoryBytes"], &alone["codeBytes"]);
    assert_eq!(used, memory.as_f64().unwrap() + code.as_f64().unwrap());
    assert!(memory.as_u64() > Some(MIB / 16), "an image: {memory}");
    assert_eq!(alone["codeSharedBy"], 1);

    server.invoke("b.tar.gz", "").ok();
    let shared = server.get("/models/b.tar.gz").json();
    assert_eq!(shared["codeSharedBy"], 2);
    let memory = memory.as_f64().unwrap() + shared["memoryBytes"].as_f64().unwrap();
    let used = metric(&server, "modelcell_memory_used_bytes");
    assert_eq!(used, memory + code.as_f64().unwrap());

    for name in ["a", "b"] {
        server.delete(&format!("/models/{name}.tar.gz")).ok();
    }
    assert_eq!(metric(&server, "modelcell_memory_used_bytes"), 0.0);
}

#[test]
fn pinned_models_are_loaded_at_the_start_and_stay() {
    let server = models_of_20_mib(
        &["a", "b", "c", "d"],
        &[&THREE[..], &["--pin", "a.tar.gz,late.tar.gz"]].concat(),
    );
    assert_eq!(server.get("/ping").ok(), "");
    eventually("a is ready", || {
        let ready = server.get("/ready").json();
        assert_eq!(ready["ready"], false);
        ready["pinned"][0]
            == json!({"endpointName": "default", "modelName": "a.tar.gz", "ready": true})
    });
    let reply = server.get("/ready");
    assert_eq!(reply.status, 503);
    eventually("the missing one is named", || {
        let late = server.get("/ready").json()["pinned"][1].take();
        late["error"] == "Model not found: late.tar.gz"
    });
    for name in ["b", "c", "d", "b", "c", "d"] {
        server.invoke(&format!("{name}.tar.gz"), "").ok();
    }
    assert!(loaded(&server).contains(&"a.tar.gz".to_owned()));

    server.add("late.tar.gz", misbehave());
    eventually("all are ready", || server.get("/ready").status == 200);
    assert_eq!(server.get("/ready").json()["ready"], true);
}

#[test]
fn the_platform_is_told_and_decides_itself() {
    let flags = ["--memory-budget", "50MiB", "--cells-per-model", "1"];
    let artifact = misbehave_reused("hold 20");
    let setup = ["a", "b", "c"].iter().fold(Setup::new(), |setup, name| {
        setup.artifact(&format!("{name}.tar.gz"), &artifact)
    });
    let server = setup
        .env("SAGEMAKER_MULTI_MODEL", "true")
        .flags(&flags)
        .start();
    for name in ["a", "b"] {
        load(&server, name, &format!("{name}.tar.gz")).ok();
    }
    let reply = load(&server, "c", "c.tar.gz");
    reply.error(507, "InsufficientMemoryException", &["unload a model"]);
    assert_eq!(loaded(&server), ["a", "b"]);
    server.delete("/models/a").ok();
    load(&server, "c", "c.tar.gz").ok();
    assert_eq!(loaded(&server), ["b", "c"]);
    assert_eq!(metric(&server, "modelcell_evictions_total"), 0.0);
}

#[test]
fn eviction_and_use_do_not_disturb_each_other() {
    let models = ["a", "b", "c", "d", "e", "f"];
    let server = models_of_20_mib(&models, &THREE);
    thread::scope(|scope| {
        for client in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for turn in 0..30 {
                    let name = models[(client * 5 + turn * 7) % models.len()];
                    assert_eq!(server.invoke(&format!("{name}.tar.gz"), "").ok(), "ok");
                }
            });
        }
    });
    assert!(metric(&server, "modelcell_evictions_total") > 3.0);
}

/// Unpacked models are of the disk budget, too.
#[test]
fn a_model_goes_if_another_needs_its_disk() {
    let data = vec![0; 9 << 20];
    let artifact = artifact(&guest("misbehave"), &[("data", &data)]);
    let cache = tempfile::tempdir().unwrap();
    let server = Setup::new()
        .artifact("a.tar.gz", &artifact)
        .artifact("b.tar.gz", &artifact)
        .cache(cache.path())
        .flags(&["--disk-budget", "16MiB"])
        .start();
    for name in ["a.tar.gz", "b.tar.gz", "a.tar.gz"] {
        assert_eq!(server.invoke(name, "").ok(), "ok");
        assert_eq!(loaded(&server), [name]);
    }
    // One in use does not go.
    thread::scope(|scope| {
        let request = scope.spawn(|| server.invoke("a.tar.gz", "predict:sleep 1500").ok());
        until_busy(&server, "a.tar.gz");
        let reply = server.invoke("b.tar.gz", "");
        reply.error(507, "InsufficientStorage", &["--disk-budget", "16.0 MiB"]);
        request.join().unwrap();
    });
    assert_eq!(server.invoke("b.tar.gz", "").ok(), "ok");
}
