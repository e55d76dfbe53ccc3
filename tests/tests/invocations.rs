//! `POST /invocations`: which model is meant, what reaches it, what comes back, and requests that
//! are not as they should be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::symlink;
use std::thread;

use modelcell_tests::artifact::{artifact, guest, misbehave};
use modelcell_tests::raw::Connection;
use modelcell_tests::{Server, Setup, TARGET_MODEL, eventually};
use serde_json::{Value, json};

fn one_model() -> Server {
    Setup::new().artifact("m.tar.gz", misbehave()).start()
}

#[test]
fn the_request_reaches_the_model_as_it_was_sent() {
    let server = one_model();
    let reply = server
        .call("POST", "/invocations")
        .header(TARGET_MODEL, "m.tar.gz")
        .header("Content-Type", "text/csv; charset=utf-8")
        .header("Accept", "text/csv;q=0.5, */*;q=0.1")
        .header("X-Amzn-SageMaker-Custom-Attributes", "trace=1,c000b4f9")
        .header("X-Amzn-SageMaker-Inference-Id", "id-7")
        .header("X-Amzn-SageMaker-Target-Variant", "blue")
        .header("X-Unknown", "is ignored")
        .body("echo")
        .send();
    assert_eq!(
        serde_json::from_str::<Value>(&reply.ok()).unwrap(),
        json!({
            "body": "echo",
            "content_type": "text/csv; charset=utf-8",
            "accept": "text/csv;q=0.5, */*;q=0.1",
            "accept_of_output_fn": "text/csv;q=0.5, */*;q=0.1",
            "target_model": "m.tar.gz",
            "custom_attributes": "trace=1,c000b4f9",
            "inference_id": "id-7",
            "target_variant": "blue",
        })
    );
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.header("x-amzn-sagemaker-custom-attributes"),
        Some("set by the guest")
    );
}

#[test]
fn what_was_not_sent_does_not_reach_the_model() {
    let server = one_model();
    let reply = server.call("POST", "/invocations").body("echo").send();
    assert_eq!(
        serde_json::from_str::<Value>(&reply.ok()).unwrap(),
        json!({
            "body": "echo",
            "content_type": null,
            "accept": null,
            "accept_of_output_fn": null,
            // By which name it was found, whoever found it.
            "target_model": "m.tar.gz",
            "custom_attributes": null,
            "inference_id": null,
            "target_variant": null,
        })
    );
}

#[test]
fn attributes_come_back_only_if_the_model_sets_them() {
    let server = one_model();
    let reply = server
        .invocation("m.tar.gz", "")
        .header("X-Amzn-SageMaker-Custom-Attributes", "mine")
        .header("X-Amzn-SageMaker-Inference-Id", "id-7")
        .send();
    assert_eq!(reply.ok(), "ok");
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(reply.header("x-amzn-sagemaker-custom-attributes"), None);
    assert_eq!(reply.header("x-amzn-sagemaker-inference-id"), None);
}

#[test]
fn an_answer_without_content_type_has_no_such_header() {
    let server = one_model();
    let reply = server.invoke("m.tar.gz", "output:no-content-type");
    assert_eq!(reply.ok(), "bare");
    assert_eq!(reply.header("content-type"), None);
}

#[test]
fn answers_that_http_cannot_carry_are_errors_of_the_model() {
    let server = one_model();
    for (body, what) in [
        ("output:bad-content-type", "content type"),
        ("output:bad-attributes", "custom attributes"),
    ] {
        let reply = server.invoke("m.tar.gz", body);
        reply.error(500, "ModelError", &["output_fn", what]);
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    }
}

#[test]
fn a_large_answer_arrives_whole() {
    let server = one_model();
    let reply = server.invoke("m.tar.gz", "predict:large 20000000");
    assert_eq!(reply.ok().len(), 20_000_000);
}

#[test]
fn a_request_without_a_body_has_an_empty_one() {
    let server = one_model();
    let reply = server
        .call("POST", "/invocations")
        .header(TARGET_MODEL, "m.tar.gz")
        .send();
    assert_eq!(reply.ok(), "ok");
    Connection::open(&server)
        .send("POST /invocations HTTP/1.1\r\nHost: m\r\n\r\n")
        .reply()
        .ok();
}

#[test]
fn a_model_can_be_named_in_the_query() {
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .artifact("tenant a/m.tar.gz", misbehave())
        .start();
    let call = |query: &str| {
        server
            .call("POST", &format!("/invocations{query}"))
            .body("")
    };
    assert_eq!(call("?TargetModel=m.tar.gz").send().ok(), "ok");
    assert_eq!(
        call("?x=y&TargetModel=tenant+a%2Fm.tar.gz").send().ok(),
        "ok"
    );
    call("?TargetModel=none.tar.gz")
        .send()
        .error(404, "ModelNotFoundException", &["none.tar.gz"]);
    // The header wins.
    let both = call("?TargetModel=none.tar.gz").header(TARGET_MODEL, "m.tar.gz");
    assert_eq!(both.send().ok(), "ok");
}

#[test]
fn the_only_artifact_need_not_be_named() {
    let server = Setup::new().start();
    let invoke = || server.call("POST", "/invocations").body("").send();
    invoke().error(400, "BadRequestException", &["no model", TARGET_MODEL]);

    server.add("notes.txt", "no artifact");
    server.add("folder/m.tar.gz", misbehave());
    assert_eq!(invoke().ok(), "ok");

    server.add("other.tar.gz", misbehave());
    invoke().error(
        400,
        "BadRequestException",
        &["several models", TARGET_MODEL],
    );
}

#[test]
fn names_with_folders_work() {
    let server = Setup::new()
        .artifact("tenant-a/m.tar.gz", misbehave())
        .artifact("tenant-b/deep/er/m.tar.gz", misbehave())
        .start();
    for name in ["tenant-a/m.tar.gz", "tenant-b/deep/er/m.tar.gz"] {
        let reply = server.invoke(name, "echo");
        reply.ok();
        assert_eq!(reply.json()["target_model"], name);
    }
    // A folder is no artifact.
    server
        .invoke("tenant-a", "")
        .error(404, "ModelNotFoundException", &["tenant-a"]);
    server
        .invoke("tenant-a/m.tar.gz/x", "")
        .error(404, "ModelNotFoundException", &[]);
}

#[test]
fn unknown_models_are_not_found() {
    let server = one_model();
    for name in ["none.tar.gz", "..tar.gz", "%2e%2e", "a b/c", "M.tar.gz"] {
        let reply = server.invoke(name, "");
        assert_eq!(
            reply.error(404, "ModelNotFoundException", &[]),
            format!("Model not found: {name}")
        );
    }
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn names_that_leave_the_repository_are_refused() {
    let server = one_model();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("m.tar.gz"), misbehave()).unwrap();
    symlink(outside.path(), server.repository().join("link")).unwrap();
    let absolute = outside.path().join("m.tar.gz");
    let long = "x".repeat(1025);
    for name in [
        "..",
        "../m.tar.gz",
        "a/../../m.tar.gz",
        "a/../m.tar.gz",
        "./m.tar.gz",
        "a//m.tar.gz",
        "m.tar.gz/",
        "/m.tar.gz",
        "/etc/passwd",
        absolute.to_str().unwrap(),
        "",
        long.as_str(),
    ] {
        let reply = server.invoke(name, "");
        reply.error(400, "BadRequestException", &["the target model's name"]);
    }
    for query in [
        "..%2Fm.tar.gz",
        "%2e%2e/m.tar.gz",
        "%2Fetc%2Fpasswd",
        "m%00",
        "m%0Ax",
    ] {
        let path = format!("/invocations?TargetModel={query}");
        let reply = server.call("POST", &path).body("").send();
        reply.error(400, "BadRequestException", &["the target model's name"]);
    }
    // A link is followed only inside.
    let reply = server.invoke("link/m.tar.gz", "");
    reply.error(400, "BadRequestException", &["leaves the repository"]);
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn headers_that_are_not_text_are_refused() {
    let server = one_model();
    let head = b"POST /invocations HTTP/1.1\r\nHost: m\r\nAccept: \xff\xfe\r\n\r\n";
    let reply = Connection::open(&server).send(head).reply();
    reply.error(400, "BadRequestException", &["accept"]);
}

#[test]
fn a_body_that_states_too_large_a_length_is_refused_unread() {
    let server = one_model();
    let reply = Connection::open(&server)
        .send("POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: 6291457\r\n\r\n")
        .reply();
    reply.error(
        413,
        "RequestEntityTooLargeException",
        &["6.0 MiB", "--max-body"],
    );

    let reply = server
        .invocation("m.tar.gz", "")
        .body(vec![b' '; 6_291_456])
        .send();
    assert_eq!(reply.ok(), "ok", "exactly the limit is allowed");
}

/// `100 Continue` would invite a body that is refused anyway.
#[test]
fn a_client_that_asks_before_it_sends_is_refused_at_once() {
    let server = one_model();
    let head = "POST /invocations HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\n";
    let reply = Connection::open(&server)
        .send(format!("{head}Content-Length: 6291457\r\n\r\n"))
        .reply();
    reply.error(413, "RequestEntityTooLargeException", &[]);
}

/// Most clients write the whole body before they read.
#[test]
fn a_client_that_sends_all_of_a_body_too_large_still_gets_the_reply() {
    let server = one_model();
    for _ in 0..5 {
        let reply = server
            .invocation("m.tar.gz", "")
            .body(vec![b' '; 7_000_000])
            .send();
        reply.error(413, "RequestEntityTooLargeException", &["6.0 MiB"]);
    }
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn a_chunked_body_is_read_and_has_the_same_limit() {
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .flags(&["--max-body", "100"])
        .start();
    let head = "POST /invocations HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n";
    let reply = Connection::open(&server)
        .send(head)
        .send("2\r\nec\r\n2\r\nho\r\n0\r\n\r\n")
        .reply();
    reply.ok();
    assert_eq!(reply.json()["body"], "echo");

    let chunk = format!("33\r\n{}\r\n", "x".repeat(0x33));
    let reply = Connection::open(&server)
        .send(head)
        .send(chunk.repeat(2))
        .reply();
    reply.error(413, "RequestEntityTooLargeException", &["100 B"]);
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn a_broken_chunk_is_refused() {
    let server = one_model();
    let reply = Connection::open(&server)
        .send("POST /invocations HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send("zz\r\necho\r\n")
        .reply();
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn half_a_body_and_then_nothing_ends_at_the_time_limit() {
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .flags(&["--request-timeout", "1s"])
        .start();
    let reply = Connection::open(&server)
        .send("POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\nhalf")
        .reply();
    reply.error(408, "RequestTimeoutException", &["body"]);
}

#[test]
fn half_a_body_and_a_closed_connection_hurt_nobody() {
    let server = one_model();
    server.invoke("m.tar.gz", "").ok();
    for _ in 0..20 {
        Connection::open(&server)
            .send("POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\nhalf");
    }
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn what_is_not_http_hurts_nobody() {
    let server = one_model();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"GET /ping HTTP/9.9\r\n\r\n",
        b"GET /ping\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\r\n\r\n",
    ] {
        let mut connection = Connection::open(&server);
        connection.send(bytes);
    }
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let server = one_model();
    let mut connection = Connection::open(&server);
    let request = |body: &str| {
        let length = body.len();
        format!("POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    connection.send(request("predict:large 3") + &request("predict:invalid no") + &request(""));
    assert_eq!(connection.reply().ok(), "xxx");
    connection
        .reply()
        .error(400, "InvalidInputException", &["no"]);
    assert_eq!(connection.reply().ok(), "ok");
}

#[test]
fn a_client_that_leaves_hurts_nobody() {
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .flags(&["--cells-per-model", "1"])
        .start();
    server.invoke("m.tar.gz", "").ok();
    for body in ["predict:loop", "predict:sleep 600000", "output:loop"] {
        let length = body.len();
        let mut connection = Connection::open(&server);
        connection.send(format!(
            "POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        // The only cell is taken now.
        eventually("the request is in its cell", || {
            server.get("/models/m.tar.gz").json()["idleCells"] == 0
        });
        drop(connection);
        assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
    }
}

#[test]
fn many_requests_for_one_cold_model_load_it_once() {
    let server = one_model();
    let client = server.client();
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(client.invoke("m.tar.gz", "").ok(), "ok"));
        }
    });
    let loads = server.log().lines_with(&["loaded", "model_fn_ms"]);
    assert_eq!(loads.len(), 1, "{loads:?}");
    assert_eq!(server.get("/models/m.tar.gz").json()["invocations"], 50);
}

#[test]
fn a_failed_load_is_tried_again() {
    let server = Setup::new().artifact("m.tar.gz", "no artifact yet").start();
    server
        .invoke("m.tar.gz", "")
        .error(400, "InvalidModelException", &["cannot be read"]);
    server.add("m.tar.gz", misbehave());
    assert_eq!(server.invoke("m.tar.gz", "").ok(), "ok");
}

/// The SDK's own `input_fn` and `output_fn`, in the example that uses them.
#[test]
fn content_types_are_negotiated() {
    let coef = include_bytes!("../../examples/iris/model/coef.npy");
    let intercept = include_bytes!("../../examples/iris/model/intercept.npy");
    let iris = artifact(
        &guest("iris"),
        &[("coef.npy", coef), ("intercept.npy", intercept)],
    );
    let server = Setup::new().artifact("iris.tar.gz", iris).start();
    let ask = |content_type: Option<&str>, accept: Option<&str>, body: &str| {
        let mut call = server.call("POST", "/invocations").body(body);
        for (name, value) in [("Content-Type", content_type), ("Accept", accept)] {
            if let Some(value) = value {
                call = call.header(name, value);
            }
        }
        call.send()
    };
    let (csv, json) = ("text/csv", "application/json");
    let row = "5.1,3.5,1.4,0.2";
    for (accept, answered) in [
        (None, json),
        (Some(""), json),
        (Some("*/*"), json),
        (Some("text/csv"), csv),
        (Some("TEXT/CSV; charset=utf-8"), csv),
        (Some("application/json;q=0.2, text/csv;q=0.8"), csv),
        (Some("text/csv;q=0.2, application/json;q=0.8"), json),
        (Some("image/png, text/*;q=0.1"), csv),
        (Some("application/x-npy"), "application/x-npy"),
    ] {
        let reply = ask(Some(csv), accept, row);
        reply.ok();
        assert_eq!(reply.header("content-type"), Some(answered), "{accept:?}");
    }
    for (content_type, body) in [
        (Some("text/csv; charset=utf-8"), row.to_owned()),
        (Some(json), format!("[[{row}]]")),
        (None, format!("{{\"instances\": [[{row}]]}}")),
        (
            Some("Application/JSON;charset=UTF-8"),
            format!("{{\"features\": [{row}]}}"),
        ),
    ] {
        let answer = ask(content_type, Some(csv), &body).ok();
        assert_eq!(
            answer.trim().split(',').count(),
            3,
            "{content_type:?}: {answer}"
        );
    }
    let supported = [json, csv, "application/x-npy"];
    ask(Some(csv), Some("image/png"), row).error(406, "NotAcceptableException", &supported);
    ask(Some(csv), Some("*/*;q=0"), row).error(406, "NotAcceptableException", &supported);
    ask(Some("image/png"), None, row).error(415, "UnsupportedMediaTypeException", &supported);
    ask(Some("text/csv; charset=latin1"), None, row).error(
        415,
        "UnsupportedMediaTypeException",
        &["UTF-8"],
    );
    ask(Some(csv), None, "5.1,3.5,1.4").error(400, "InvalidInputException", &["4 features"]);
    ask(Some(csv), None, "5.1,3.5,1.4,red").error(400, "InvalidInputException", &["red"]);
    ask(Some(json), None, "[[5.1").error(400, "InvalidInputException", &["JSON"]);
    ask(Some(csv), None, "").error(400, "InvalidInputException", &[]);
    assert_eq!(ask(Some(csv), None, row).status, 200);
}
