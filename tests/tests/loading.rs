//! `POST /models`: what may be loaded from where, and how it may fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use modelcell_tests::Setup;
use modelcell_tests::artifact::{guest_file, misbehave, misbehave_at_load};
use modelcell_tests::manage::{invoke, load, names, one_model, unpacked, until_frozen};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

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

/// 507 is what makes the platform unload other models, so it must mean that the host is short of
/// something, and what is loaded must go on.
#[test]
fn a_load_that_the_host_has_no_addresses_for_is_507() {
    let server = one_model();
    load(&server, "a", "m.tar.gz").ok();
    until_frozen(&server, "a");
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
