//! SageMaker's container contract: `/ping` and the model-management API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;

use modelcell_tests::artifact::{guest_file, misbehave, misbehave_at_load};
use modelcell_tests::raw::Connection;
use modelcell_tests::{Reply, Server, Setup, eventually};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

/// What the platform does before it loads a model: the artifact, unpacked to NAME/model.
fn unpacked(root: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = root.join(name).join("model");
    fs::create_dir_all(&dir).unwrap();
    fs::copy(guest_file("misbehave"), dir.join("model.wasm")).unwrap();
    for (file, content) in files {
        fs::write(dir.join(file), content).unwrap();
    }
    dir
}

fn one_model() -> Server {
    Setup::new().artifact("m.tar.gz", misbehave()).start()
}

#[track_caller]
fn load(server: &Server, name: &str, url: &str) -> Reply {
    server.load(&json!({"model_name": name, "url": url}))
}

fn invoke(server: &Server, name: &str, body: &str) -> Reply {
    let path = format!("/models/{name}/invoke");
    server.call("POST", &path).body(body).send()
}

fn names(list: &Value) -> Vec<&str> {
    let models = list["models"].as_array().unwrap();
    models
        .iter()
        .map(|model| model["modelName"].as_str().unwrap())
        .collect()
}

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
fn a_name_can_be_taken_once() {
    let server = one_model();
    load(&server, "m", "m.tar.gz").ok();
    let reply = load(&server, "m", "m.tar.gz");
    let message = reply.error(409, "ConflictStatusException", &[]);
    assert_eq!(message, "Model m is already registered.");
    assert_eq!(invoke(&server, "m", "").ok(), "ok");
    load(&server, "other", "m.tar.gz").ok();
    assert_eq!(names(&server.get("/models").json()), ["m", "other"]);
}

#[test]
fn models_are_loaded_from_unpacked_directories() {
    let root = tempfile::tempdir().unwrap();
    let dir = unpacked(root.path(), "a1b2", &[("data", "from the directory")]);
    let flag = root.path().display().to_string();
    let server = Setup::new().flags(&["--model-root", &flag]).start();
    let url = dir.display().to_string();
    load(&server, "a1b2", &url).ok();
    let read = invoke(&server, "a1b2", "predict:read /opt/ml/model/data");
    assert_eq!(read.ok(), "from the directory");
    assert_eq!(server.get("/models").json()["models"][0]["modelUrl"], url);
    server.delete("/models/a1b2").ok();
    assert!(
        dir.join("model.wasm").exists(),
        "the directory is the platform's"
    );
}

/// The platform gives the container read-only access.
#[test]
fn unpacked_directories_may_be_read_only() {
    let root = tempfile::tempdir().unwrap();
    let dir = unpacked(root.path(), "m", &[("data", "1")]);
    fs::set_permissions(dir.join("data"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
    let before = fs::metadata(&dir).unwrap().modified().unwrap();
    let flag = root.path().display().to_string();
    let server = Setup::new().flags(&["--model-root", &flag]).start();
    load(&server, "m", dir.to_str().unwrap()).ok();
    assert_eq!(
        invoke(&server, "m", "predict:read /opt/ml/model/data").ok(),
        "1"
    );
    let write = invoke(&server, "m", "predict:write /opt/ml/model/data").ok();
    assert!(write.starts_with("error: "), "{write}");
    drop(server);
    assert_eq!(fs::metadata(&dir).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn models_are_loaded_from_archives_by_every_form_of_url() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("outside.tar.gz"), misbehave()).unwrap();
    let flag = root.path().display().to_string();
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .artifact("tenant-a/m.tar.gz", misbehave())
        .flags(&["--model-root", &flag])
        .start();
    let inside = server.repository().join("m.tar.gz").display().to_string();
    for (name, url) in [
        ("relative", "m.tar.gz".to_owned()),
        ("folder", "tenant-a/m.tar.gz".to_owned()),
        ("absolute", inside.clone()),
        ("file", format!("file://{inside}")),
        ("root", format!("{flag}/outside.tar.gz")),
    ] {
        load(&server, name, &url).ok();
        assert_eq!(invoke(&server, name, "").ok(), "ok", "{url}");
    }
}

#[test]
fn urls_that_lead_nowhere_are_not_found() {
    let root = tempfile::tempdir().unwrap();
    let flag = root.path().display().to_string();
    let missing = format!("{flag}/no/such/dir");
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .flags(&["--model-root", &flag])
        .start();
    for (url, message) in [
        ("none.tar.gz", "Model not found in model store: none.tar.gz"),
        (
            "../fake.mar",
            "Relative path is not allowed in url: ../fake.mar",
        ),
        (
            "a/../m.tar.gz",
            "Relative path is not allowed in url: a/../m.tar.gz",
        ),
    ] {
        let reply = load(&server, "x", url);
        assert_eq!(reply.error(404, "ModelNotFoundException", &[]), message);
    }
    // The caller's own url comes back, which is the only path that may.
    let reply = load(&server, "x", &missing);
    assert_eq!(reply.status, 404);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["message"], format!("Invalid model url: {missing}"));
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);
}

#[test]
fn urls_outside_of_the_roots_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let outside = unpacked(other.path(), "m", &[]);
    unpacked(root.path(), "m", &[]);
    symlink(other.path(), root.path().join("link")).unwrap();
    let flag = root.path().display().to_string();
    let server = Setup::new().flags(&["--model-root", &flag]).start();
    for url in [
        "/etc".to_owned(),
        "/etc/passwd".to_owned(),
        // Whether it exists or not: the answer must not tell.
        "/no/such/dir".to_owned(),
        "/dev/zero".to_owned(),
        "/proc/self".to_owned(),
        "file:///etc".to_owned(),
        format!("{flag}/.."),
        format!("{flag}/m/../.."),
        format!("{flag}/link/m/model"),
        outside.display().to_string(),
    ] {
        let reply = load(&server, "x", &url);
        assert_eq!(reply.status, 400, "{url}: {}", reply.text());
        assert_eq!(reply.json()["type"], "BadRequestException");
    }
    for url in ["https://example.com/m.tar.gz", "s3://bucket/m.tar.gz"] {
        let status = load(&server, "x", url).status;
        assert!([400, 404].contains(&status), "{url}: {status}");
    }
    load(&server, "x", &format!("{flag}/m/model")).ok();
}

#[test]
fn a_load_request_needs_a_url_and_sense() {
    let server = one_model();
    let required = "Parameter url is required.";
    for body in [
        json!({}),
        json!({"model_name": "m"}),
        json!({"url": ""}),
        json!({"url": null}),
    ] {
        let reply = server.load(&body);
        assert_eq!(reply.error(400, "BadRequestException", &[]), required);
    }
    let reply = server.call("POST", "/models").send();
    assert_eq!(reply.error(400, "BadRequestException", &[]), required);
    for body in [
        "",
        "{",
        "[]",
        "\"m\"",
        "{\"url\": 3}",
        "{\"model_name\": [], \"url\": \"m\"}",
        "\u{0}",
    ] {
        let call = server.call("POST", "/models");
        let reply = call
            .header("Content-Type", "application/json")
            .body(body)
            .send();
        reply.error(400, "BadRequestException", &[]);
    }
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);
}

#[test]
fn a_load_request_may_be_a_query_and_leave_the_name_out() {
    let server = one_model();
    server
        .call(
            "POST",
            "/models?url=m.tar.gz&initial_workers=1&synchronous=true",
        )
        .send()
        .ok();
    server
        .call("POST", "/models?model_name=a%2Fb&url=m.tar.gz")
        .send()
        .ok();
    assert_eq!(names(&server.get("/models").json()), ["a/b", "m"]);
    for path in ["a/b", "a%2Fb"] {
        assert_eq!(
            server.get(&format!("/models/{path}")).json()["modelName"],
            "a/b"
        );
        assert_eq!(invoke(&server, path, "").ok(), "ok");
    }
    server.delete("/models/a%2Fb").ok();
    assert_eq!(names(&server.get("/models").json()), ["m"]);
}

#[test]
fn a_load_in_the_background_is_accepted_at_once() {
    let server = Setup::new()
        .artifact("slow.tar.gz", misbehave_at_load("sleep 2000"))
        .start();
    let body = json!({"model_name": "slow", "url": "slow.tar.gz", "synchronous": false});
    let reply = server.load(&body);
    assert_eq!(reply.status, 202);
    assert_eq!(
        reply.json(),
        json!({"status": "Processing worker updates..."})
    );
    load(&server, "slow", "slow.tar.gz").error(409, "ConflictStatusException", &[]);
    // Not listed until it can be invoked; whoever invokes it waits.
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);
    assert_eq!(invoke(&server, "slow", "").ok(), "ok");
    assert_eq!(names(&server.get("/models").json()), ["slow"]);
}

#[test]
fn a_failed_load_leaves_the_name_free() {
    let server = Setup::new()
        .artifact("bad.tar.gz", misbehave_at_load("failed no weights"))
        .artifact("broken.tar.gz", "broken")
        .artifact("m.tar.gz", misbehave())
        .start();
    load(&server, "m", "bad.tar.gz").error(500, "ModelError", &["no weights"]);
    load(&server, "m", "broken.tar.gz").error(400, "InvalidModelException", &[]);
    assert_eq!(server.get("/models").ok(), r#"{"models":[]}"#);
    assert_eq!(server.delete("/models/m").status, 404);
    load(&server, "m", "m.tar.gz").ok();
    assert_eq!(invoke(&server, "m", "").ok(), "ok");
}

#[test]
fn directories_without_a_component_are_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("empty")).unwrap();
    unpacked(root.path(), "deep", &[]);
    let linked = root.path().join("linked");
    fs::create_dir(&linked).unwrap();
    symlink(guest_file("misbehave"), linked.join("model.wasm")).unwrap();
    let flag = root.path().display().to_string();
    let server = Setup::new().flags(&["--model-root", &flag]).start();
    for (dir, parts) in [
        ("empty", &["no model.wasm at its top"][..]),
        ("deep", &["model/model.wasm"]),
        ("linked", &["not a regular file"]),
    ] {
        let url = root.path().join(dir).display().to_string();
        load(&server, dir, &url).error(400, "InvalidModelException", parts);
    }
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

/// 507 is what makes the platform unload other models, so it must mean that the host is short of
/// something, and what is loaded must go on.
#[test]
fn a_load_that_the_host_has_no_addresses_for_is_507() {
    let server = one_model();
    load(&server, "a", "m.tar.gz").ok();
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    let used: u64 = kilobytes.parse::<u64>().unwrap() * 1024;
    // A cell's linear memory reserves 4 GiB of addresses, whatever it holds.
    let limit = Rlimit {
        current: Some(used + (2 << 30)),
        maximum: getrlimit(Resource::As).maximum,
    };
    let pid = Pid::from_raw(server.pid().cast_signed());
    prlimit(pid, Resource::As, limit).unwrap();
    let reply = load(&server, "b", "m.tar.gz");
    reply.error(507, "OutOfMemoryError", &["model_fn", "out of memory"]);
    assert_eq!(invoke(&server, "a", "").ok(), "ok");
    assert_eq!(names(&server.get("/models").json()), ["a"]);
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
