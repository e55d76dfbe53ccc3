//! LOAD, INVOKE, LIST, GET and UNLOAD, and the errors that the platform knows.

use std::sync::Barrier;
use std::thread;

use modelcell_tests::artifact::{Tar, artifact, guest, misbehave, misbehave_at_load};
use modelcell_tests::component::wat;
use modelcell_tests::platform::{Launch, Platform, hash};
use serde_json::json;

/// A name as callers know it; the container sees its hash.
const CHURN: &str = "tenant-a/churn.tar.gz";

#[test]
fn a_models_life() {
    let platform = Platform::start(Launch::new());
    let empty = platform.get("/models");
    assert_eq!(empty.ok(), r#"{"models":[]}"#);
    assert_eq!(empty.header("content-type"), Some("application/json"));

    platform.store(CHURN, misbehave());
    let url = platform.unpack(CHURN);
    let name = hash(CHURN);
    let path = format!("/models/{name}");
    let loaded = platform.load(&name, &url, CHURN);
    assert_eq!(loaded.ok(), r#"{"status":"Workers scaled"}"#);
    let listed = json!({"modelName": name, "modelUrl": url});
    assert_eq!(platform.get("/models").json(), json!({"models": [listed]}));
    let described = platform.get(&path).json();
    assert_eq!(described["modelName"], name);
    assert_eq!(described["modelUrl"], url);

    let seen = platform.invoke(&name, CHURN, "echo").json();
    for (what, value) in [
        ("target_model", CHURN),
        ("content_type", "text/plain"),
        ("accept", "application/json"),
        ("custom_attributes", "trace=7"),
        ("inference_id", "id-7"),
        ("body", "echo"),
    ] {
        assert_eq!(seen[what], value, "{what}");
    }

    let status = format!("Model \"{name}\" unregistered");
    let unloaded = platform.unload(&name, CHURN);
    assert_eq!(unloaded.json(), json!({"status": status}));
    assert_eq!(platform.get("/models").ok(), r#"{"models":[]}"#);
    for reply in [
        platform.get(&path),
        platform.invoke(&name, CHURN, ""),
        platform.unload(&name, CHURN),
    ] {
        let message = reply.error(404, "ModelNotFoundException", &[]);
        assert_eq!(message, format!("Model not found: {name}"));
    }
}

#[test]
fn what_was_never_loaded_is_not_found() {
    let platform = Platform::start(Launch::new());
    for reply in [
        platform.get("/models/half_plus_three"),
        platform.invoke("half_plus_three", "half_plus_three.tar.gz", "1"),
        platform.unload("half_plus_three", "half_plus_three.tar.gz"),
    ] {
        let message = reply.error(404, "ModelNotFoundException", &[]);
        assert_eq!(message, "Model not found: half_plus_three");
    }
    // The platform's own url comes back, with its path.
    let url = platform.url("banana");
    let reply = platform.load("banana", &url, "banana.tar.gz");
    assert_eq!(reply.status, 404, "{}", reply.text());
    assert_eq!(reply.json()["type"], "ModelNotFoundException");
    assert_eq!(reply.json()["message"], format!("Invalid model url: {url}"));
    assert_eq!(platform.get("/models").ok(), r#"{"models":[]}"#);
}

#[test]
fn a_model_that_is_loaded_already_is_a_conflict() {
    let platform = Platform::start(Launch::new());
    platform.store(CHURN, misbehave());
    platform.ask(CHURN, "").ok();
    let name = hash(CHURN);
    let again = platform.load(&name, &platform.url(&name), CHURN);
    let message = again.error(409, "ConflictStatusException", &[]);
    assert_eq!(message, format!("Model {name} is already registered."));
    assert_eq!(platform.ask(CHURN, "").ok(), "ok");
    platform.retire(CHURN);
}

#[test]
fn of_many_loads_at_once_one_wins() {
    let platform = Platform::start(Launch::new());
    platform.store(CHURN, &misbehave_at_load("sleep 500"));
    let url = platform.unpack(CHURN);
    let name = hash(CHURN);
    let together = Barrier::new(8);
    let mut statuses = thread::scope(|scope| {
        let loads = [(); 8].map(|()| {
            scope.spawn(|| {
                together.wait();
                platform.load(&name, &url, CHURN).status
            })
        });
        loads.map(|load| load.join().unwrap())
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(platform.list(), [(name.clone(), url)]);
    assert_eq!(platform.invoke(&name, CHURN, "").ok(), "ok");
}

/// More than are on a page of the list, which the platform compares with what it has loaded.
#[test]
fn one_content_under_many_names_is_many_models() {
    let platform = Platform::start(Launch::new());
    let names: Vec<_> = (0..120).map(|n| format!("t{n}/m.tar.gz")).collect();
    let content = wat("sound");
    for name in &names {
        platform.store(name, &content);
    }
    thread::scope(|scope| {
        for some in names.chunks(40) {
            let platform = &platform;
            scope.spawn(move || {
                for name in some {
                    assert_eq!(platform.ask(name, "").status, 200);
                }
            });
        }
    });
    assert_eq!(platform.loaded().len(), 120);
    let first = platform.get("/models").json();
    assert_eq!(first["models"].as_array().unwrap().len(), 100);
    let described = platform.get(&format!("/models/{}", hash(&names[0]))).json();
    assert_eq!(described["codeSharedBy"], 120);

    let (going, staying) = names.split_at(60);
    for name in going {
        platform.retire(name);
    }
    for name in staying {
        assert_eq!(platform.ask(name, "").status, 200);
    }
    // Without another LOAD.
    assert_eq!(platform.loaded().len(), 60);
}

#[test]
fn files_that_are_damaged_are_refused_and_the_host_goes_on() {
    let component = guest("misbehave");
    let invalid = (400, "InvalidModelException");
    let platform = Platform::start(Launch::new());
    platform.store(CHURN, misbehave());
    platform.ask(CHURN, "").ok();
    for (what, bytes, (status, kind)) in [
        (
            "half",
            artifact(&component[..component.len() / 2], &[]),
            invalid,
        ),
        ("empty", artifact(b"", &[]), invalid),
        ("text", artifact(b"#!/bin/sh\n", &[]), invalid),
        ("core-module", artifact(b"\0asm\x01\0\0\0", &[]), invalid),
        ("nothing", Tar::new().gz(), invalid),
        ("notes", Tar::new().file("notes.txt", b"x").gz(), invalid),
        (
            "settings",
            artifact(&component, &[("modelcell.toml", b"isolation = 3")]),
            invalid,
        ),
        (
            "fails",
            misbehave_at_load("failed no weights"),
            (500, "ModelError"),
        ),
        ("traps", misbehave_at_load("trap"), (500, "ModelError")),
    ] {
        let target = format!("{what}.tar.gz");
        platform.store(&target, &bytes);
        for _ in 0..2 {
            let reply = platform.ask(&target, "");
            assert_eq!(reply.status, status, "{what}: {}", reply.text());
            reply.error(status, kind, &[]);
        }
        assert_eq!(platform.loaded(), [CHURN]);
        assert_eq!(platform.ask(CHURN, "").ok(), "ok");
        // Its name is free for files that are sound.
        platform.store(&target, misbehave());
        assert_eq!(platform.ask(&target, "").ok(), "ok");
        platform.retire(&target);
    }
}
