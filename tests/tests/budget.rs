//! The memory budget: what goes when it is used up, what stays, and that it holds, as the kernel sees
//! it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use modelcell_tests::artifact::{artifact, guest, misbehave, misbehave_at_load};
use modelcell_tests::kernel::{forget_peak, peak, resident};
use modelcell_tests::manage::{load, names};
use modelcell_tests::raw::Connection;
use modelcell_tests::{Server, Setup, eventually};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// What the host needs for itself, whatever its models hold: the program, its threads and buffers,
/// in a build without optimisation.
const HOST: u64 = 96 * MIB;

/// Room for three models of 20 MiB, and one cell each.
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
    let artifact = misbehave_at_load("hold 20");
    models
        .iter()
        .fold(Setup::new().flags(flags), |setup, name| {
            setup.artifact(&format!("{name}.tar.gz"), &artifact)
        })
        .start()
}

fn loaded(server: &Server) -> Vec<String> {
    let list = server.get("/models").json();
    names(&list).into_iter().map(str::to_owned).collect()
}

/// Waits until the model's only cell has a request.
fn until_busy(server: &Server, model: &str) {
    eventually("the request runs", || {
        server.get(&format!("/models/{model}")).json()["idleCells"] == 0
    });
}

fn metric(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").ok();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
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
            .artifact("a.tar.gz", misbehave_at_load("hold 20"))
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
        server.add("a.tar.gz", misbehave_at_load("hold 20"));
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
    let alone = server.get("/models/a.tar.gz").json();
    let used = metric(&server, "modelcell_memory_used_bytes");
    let (memory, code) = (&alone["memoryBytes"], &alone["codeBytes"]);
    assert_eq!(used, memory.as_f64().unwrap() + code.as_f64().unwrap());
    assert!(memory.as_u64() > Some(MIB), "a linear memory: {memory}");
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
        ready["pinned"][0] == json!({"modelName": "a.tar.gz", "ready": true})
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
    let artifact = misbehave_at_load("hold 20");
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
    let flags = ["--request-memory", "4MiB", "--max-body", "4MiB"];
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
        metric(&server, "modelcell_buffered_bytes") as usize == most.len()
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
        ("model_invocations_total{model=\"m.tar.gz\"}", 3.0),
        ("model_errors_total{model=\"m.tar.gz\"}", 1.0),
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
