//! `/ping` and the model-management API: what is loaded, and how it ends; SageMaker's multi-model
//! mode.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::TcpListener;
use std::thread;

use modelcell_tests::artifact::{misbehave, misbehave_at_load};
use modelcell_tests::manage::{invoke, load, names, one_model, unpacked};
use modelcell_tests::raw::Connection;
use modelcell_tests::{Setup, eventually};
use serde_json::json;

#[test]
fn ping_is_healthy_and_empty() {
    let server = Setup::new().start();
    let reply = server.get("/ping");
    assert_eq!(reply.ok(), "");
    assert_eq!(reply.header("content-length"), Some("0"));
}

#[test]
fn a_models_life() {
    let server = one_model();
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);

    let reply = load(&server, "half_plus_three", "m.tar.gz");
    assert_eq!(reply.ok(), r#"{"status":"Workers scaled"}"#);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        server.get("/models").json(),
        json!({"models": [{"modelName": "half_plus_three", "modelUrl": "m.tar.gz"}]})
    );
    let described = server.get("/models/half_plus_three").json();
    assert_eq!(described["modelName"], "half_plus_three");
    assert_eq!(described["modelUrl"], "m.tar.gz");

    assert_eq!(invoke(&server, "half_plus_three", "").ok(), "ok");
    invoke(&server, "half_plus_three", "predict:trap").error(500, "ModelError", &[]);
    let described = server.get("/models/half_plus_three").json();
    assert_eq!(
        (&described["invocations"], &described["errors"]),
        (&json!(2), &json!(1))
    );

    assert_eq!(
        server.delete("/models/half_plus_three").json(),
        json!({"status": "Model \"half_plus_three\" unregistered"})
    );
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);
    let gone = "Model not found: half_plus_three";
    for reply in [
        invoke(&server, "half_plus_three", ""),
        server.get("/models/half_plus_three"),
        server.delete("/models/half_plus_three"),
    ] {
        assert_eq!(reply.error(404, "ModelNotFoundException", &[]), gone);
    }
    load(&server, "half_plus_three", "m.tar.gz").ok();
    assert_eq!(invoke(&server, "half_plus_three", "").ok(), "ok");
}

#[test]
fn the_list_comes_in_pages_in_the_order_of_names() {
    let server = one_model();
    let mut expected: Vec<String> = [7, 3, 0, 6, 1, 5, 2, 4].map(|n| format!("m{n}")).into();
    for name in &expected {
        load(&server, name, "m.tar.gz").ok();
    }
    expected.sort();
    let all = server.get("/models").json();
    assert_eq!(names(&all), expected);
    assert_eq!(all.get("nextPageToken"), None);

    for limit in [1, 3, 4, 8, 100, 1000] {
        let mut found = Vec::new();
        let mut pages = 0;
        let mut token = String::new();
        loop {
            let page = server.get(&format!("/models?limit={limit}{token}")).json();
            let page_names = names(&page);
            assert!(
                !page_names.is_empty() && page_names.len() <= limit,
                "{page}"
            );
            found.extend(page_names.into_iter().map(str::to_owned));
            pages += 1;
            match page.get("nextPageToken") {
                Some(next) => token = format!("&next_page_token={}", next.as_str().unwrap()),
                None => break,
            }
        }
        assert_eq!(found, expected, "{limit}");
        assert_eq!(pages, expected.len().div_ceil(limit), "no empty last page");
    }
    // Models that come and go between two pages neither repeat nor hide others.
    let page = server.get("/models?limit=4").json();
    let token = page["nextPageToken"].as_str().unwrap().to_owned();
    server.delete("/models/m0").ok();
    let rest = server
        .get(&format!("/models?next_page_token={token}"))
        .json();
    assert_eq!(names(&rest), ["m4", "m5", "m6", "m7"]);
    // What makes no sense means the default, as in multi-model-server.
    for limit in ["0", "-1", "1000", "x", "", "1.5"] {
        let page = server.get(&format!("/models?limit={limit}")).json();
        assert_eq!(names(&page).len(), 7, "{limit}");
    }
}

#[test]
fn a_page_holds_a_hundred_models() {
    let server = one_model();
    let client = server.client();
    thread::scope(|scope| {
        for start in 0..4 {
            scope.spawn(move || {
                for number in (start..102).step_by(4) {
                    let body = json!({"model_name": format!("m{number:03}"), "url": "m.tar.gz"});
                    client.load(&body).ok();
                }
            });
        }
    });
    let first = server.get("/models?limit=500").json();
    assert_eq!(names(&first).len(), 100);
    let token = first["nextPageToken"].as_str().expect("there are more");
    let second = server
        .get(&format!("/models?next_page_token={token}"))
        .json();
    assert_eq!(names(&second), ["m100", "m101"]);
    assert_eq!(second.get("nextPageToken"), None);
}

#[test]
fn an_unload_waits_for_requests_in_flight() {
    let server = one_model();
    load(&server, "m", "m.tar.gz").ok();
    let client = server.client();
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let reply = client
                .call("POST", "/models/m/invoke")
                .body("predict:sleep 2000")
                .send();
            (reply, std::time::Instant::now())
        });
        eventually("the request is in its cell", || {
            client.get("/models/m").json()["idleCells"] == 0
        });
        let unload = scope.spawn(|| (client.delete("/models/m"), std::time::Instant::now()));
        // New requests do not find it any more, while the old one goes on.
        eventually("the model is gone for new requests", || {
            client.get("/models/m").status == 404
        });
        assert!(!slow.is_finished() && !unload.is_finished());
        assert_eq!(client.get("/models").ok(), r#"{"models":[]}"#);
        let (reply, answered) = slow.join().unwrap();
        let (unloaded, done) = unload.join().unwrap();
        assert_eq!(reply.ok(), "slept");
        unloaded.ok();
        // The two come over two connections, so a little out of order is possible.
        assert!(done + std::time::Duration::from_millis(500) > answered);
    });
    assert_eq!(invoke(&server, "m", "").status, 404);
}

#[test]
fn an_unload_waits_for_a_load_and_ends_it() {
    let server = Setup::new()
        .artifact("slow.tar.gz", misbehave_at_load("sleep 1000"))
        .start();
    let body = json!({"model_name": "m", "url": "slow.tar.gz", "synchronous": false});
    assert_eq!(server.load(&body).status, 202);
    server.delete("/models/m").ok();
    assert_eq!(server.get("/models/m").status, 404);
}

#[test]
fn an_unloaded_models_files_are_gone() {
    let cache = tempfile::tempdir().unwrap();
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .cache(cache.path())
        .start();
    let models = || {
        let runs = fs::read_dir(cache.path().join("run")).unwrap();
        let run = runs.map(|run| run.unwrap().path()).next().unwrap();
        let entries = fs::read_dir(run).unwrap().map(|entry| entry.unwrap());
        entries.filter(|entry| entry.path().is_dir()).count()
    };
    load(&server, "a", "m.tar.gz").ok();
    load(&server, "b", "m.tar.gz").ok();
    assert_eq!(models(), 2);
    server.delete("/models/a").ok();
    assert_eq!(models(), 1);
    // A load that fails leaves nothing either.
    server.add("bad.tar.gz", misbehave_at_load("failed"));
    assert_eq!(load(&server, "c", "bad.tar.gz").status, 500);
    assert_eq!(models(), 1);
}

#[test]
fn the_platforms_mode_needs_no_repository() {
    let root = tempfile::tempdir().unwrap();
    let dir = unpacked(root.path(), "a1b2", &[]);
    // A port that is free now; the platform says which to take.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Setup::new()
        .without_repository()
        .without_bind()
        .env("SAGEMAKER_MULTI_MODEL", "true")
        .env("SAGEMAKER_BIND_TO_PORT", &port.to_string())
        .flags(&["--model-root", root.path().to_str().unwrap()])
        .start();
    assert_eq!(server.address().port(), port);
    assert_eq!(server.get("/ping").ok(), "");
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);
    server
        .invoke("tenant/m.tar.gz", "")
        .error(404, "ModelNotFoundException", &["tenant/m.tar.gz"]);

    load(&server, "a1b2", dir.to_str().unwrap()).ok();
    // The platform's own header comes along and does not choose the model.
    let reply = server
        .call("POST", "/models/a1b2/invoke")
        .header("X-Amzn-SageMaker-Target-Model", "tenant/m.tar.gz")
        .header("Content-Type", "text/csv")
        .header("Accept", "application/json")
        .header("X-Amzn-SageMaker-Custom-Attributes", "c")
        .body("echo")
        .send();
    reply.ok();
    let seen = reply.json();
    assert_eq!(seen["target_model"], "tenant/m.tar.gz");
    assert_eq!(seen["custom_attributes"], "c");
    assert_eq!(seen["content_type"], "text/csv");
    // The only loaded model need not be named.
    assert_eq!(
        server.call("POST", "/invocations").body("").send().ok(),
        "ok"
    );
    server.delete("/models/a1b2").ok();
    assert_eq!(invoke(&server, "a1b2", "").status, 404);
}

#[test]
fn ping_and_list_answer_while_a_model_loads_and_unloads() {
    let server = Setup::new()
        .artifact("loop.tar.gz", misbehave_at_load("loop"))
        .artifact("m.tar.gz", misbehave())
        .start();
    load(&server, "m", "m.tar.gz").ok();
    let body = json!({"model_name": "x", "url": "loop.tar.gz", "synchronous": false});
    assert_eq!(server.load(&body).status, 202);
    server.log().wait_for(&["looping", "model=\"x\""]);
    // Waits for the load, which does not end by itself.
    let mut unload = Connection::open(&server);
    unload.send("DELETE /models/x HTTP/1.1\r\nHost: m\r\n\r\n");
    assert_eq!(server.get("/ping").ok(), "");
    assert_eq!(names(&server.get("/models").json()), ["m"]);
    assert_eq!(invoke(&server, "m", "").ok(), "ok");
}

#[test]
fn what_is_not_there_and_what_is_not_allowed() {
    let server = one_model();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/pings"),
        ("GET", "/ping/"),
        ("GET", "/favicon.ico"),
    ] {
        let reply = server.call(method, path).send();
        reply.error(404, "ResourceNotFoundException", &["not found"]);
    }
    for (method, path, allowed) in [
        ("POST", "/ping", "GET"),
        ("GET", "/invocations", "POST"),
        ("DELETE", "/invocations", "POST"),
        ("DELETE", "/models", "GET, POST"),
        ("PUT", "/models/m", "GET, DELETE"),
        ("POST", "/models/m", "GET, DELETE"),
        ("POST", "/models//invoke", "GET, DELETE"),
    ] {
        let reply = server.call(method, path).send();
        reply.error(405, "MethodNotAllowedException", &["not allowed"]);
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
    server
        .get("/models/%ff")
        .error(400, "BadRequestException", &["UTF-8"]);
    for name in ["none", "..", "..%2f..%2fetc%2fpasswd", "a%00b"] {
        assert_eq!(server.get(&format!("/models/{name}")).status, 404, "{name}");
    }
}

/// A name comes from outside and goes to the log.
#[test]
fn names_cannot_forge_log_lines() {
    let setup = Setup::new().artifact("m.tar.gz", misbehave());
    let server = setup.flags(&["--log", "debug"]).start();
    for name in [
        "m\n2026-01-01 ERROR forged",
        "m\u{1b}[31m",
        "m\0",
        &"x".repeat(1025),
    ] {
        let reply = load(&server, name, "m.tar.gz");
        reply.error(400, "BadRequestException", &["name"]);
    }
    let encoded = "m%0A2026-01-01%20ERROR%20forged%1B%5B31m";
    assert_eq!(invoke(&server, encoded, "").status, 404);
    assert_eq!(server.get(&format!("/models/{encoded}")).status, 404);
    assert_eq!(server.delete(&format!("/models/{encoded}")).status, 404);
    load(&server, "x", "m\n2026-01-01 ERROR forged").error(400, "BadRequestException", &["name"]);
    for line in server.log().lines() {
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(!line.starts_with("2026-01-01 ERROR forged"), "{line:?}");
    }
}
