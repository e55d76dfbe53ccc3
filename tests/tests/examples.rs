//! The examples, packed and served, against the predictions of the libraries that trained them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::PathBuf;

use modelcell_tests::artifact::{guest, guest_file};
use modelcell_tests::command::{Ended, modelcell, source};
use modelcell_tests::{Reply, Server, Setup, TARGET_MODEL};
use serde_json::{Value, json};

fn example(name: &str) -> PathBuf {
    source().join("examples").join(name)
}

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(example(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A server of one example, packed as its README says.
fn serve(name: &str) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("example.tar.gz");
    let mut package = modelcell();
    package.arg("package");
    if example(name).join("src").is_dir() {
        guest(name);
        package.arg("--component").arg(guest_file(name));
    }
    package.arg("--model-dir").arg(example(name).join("model"));
    Ended::of(package.arg("--output").arg(&output)).ok();
    let artifact = fs::read(output).unwrap();
    Setup::new()
        .artifact(&format!("{name}.tar.gz"), artifact)
        .start()
}

fn send(server: &Server, name: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let call = server.call("POST", "/invocations");
    let call = call.header(TARGET_MODEL, &format!("{name}.tar.gz"));
    call.header("Content-Type", content_type).body(body).send()
}

/// Rows as CSV, with an empty field where a value is missing.
fn csv(rows: &Value) -> String {
    let field = |value: &Value| match value {
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let line = |row: &Value| {
        let fields: Vec<_> = row.as_array().unwrap().iter().map(field).collect();
        fields.join(",")
    };
    let lines: Vec<_> = rows.as_array().unwrap().iter().map(line).collect();
    lines.join("\n")
}

/// All numbers, however deep, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![
            value
                .as_f64()
                .unwrap_or_else(|| panic!("not a number: {value}")),
        ],
    }
}

#[track_caller]
fn assert_close(ours: &Value, theirs: &Value, tolerance: f64) {
    let (ours, theirs) = (numbers(ours), numbers(theirs));
    assert!(!theirs.is_empty());
    assert_eq!(ours.len(), theirs.len());
    for (place, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!(
            (ours - theirs).abs() <= tolerance,
            "{place}: {ours}, {theirs}"
        );
    }
}

/// Half a step of float32 below 1, and what its decimal form adds.
const ROUNDING: f64 = 1.2e-7;

#[test]
fn iris_agrees_with_scikit_learn() {
    let server = serve("iris");
    let expected = expected("iris");
    let reply = send(&server, "iris", "text/csv", csv(&expected["inputs"]));
    reply.ok();
    assert_close(&reply.json(), &expected["predictions"], ROUNDING);
    let body = json!({"instances": expected["inputs"]}).to_string();
    let reply = send(&server, "iris", "application/json", body);
    assert_close(&reply.json(), &expected["predictions"], ROUNDING);
    let sample = fs::read(example("iris").join("request.csv")).unwrap();
    send(&server, "iris", "text/csv", sample).ok();
}

#[test]
fn breast_cancer_agrees_with_xgboost() {
    let name = "breast-cancer-xgboost";
    let server = serve(name);
    let expected = expected(name);
    let inputs = &expected["inputs"];
    assert!(csv(inputs).contains(",,"), "some values are missing");
    for (content_type, body) in [
        ("text/csv", csv(inputs)),
        ("application/json", inputs.to_string()),
    ] {
        let reply = send(&server, name, content_type, body);
        reply.ok();
        assert_close(&reply.json(), &expected["predictions"], ROUNDING);
    }
    let sample = fs::read(example(name).join("request.csv")).unwrap();
    send(&server, name, "text/csv", sample).ok();
}

/// Rows of one number as a list, as XGBoost's container answers them.
fn flat(predictions: &Value) -> Value {
    numbers(predictions).into()
}

#[test]
fn diabetes_without_code_agrees_with_xgboost() {
    let name = "diabetes-xgboost";
    let server = serve(name);
    let expected = expected(name);
    let reply = send(&server, name, "text/csv", csv(&expected["inputs"]));
    let answer: Vec<f64> = (reply.ok().split(',').map(|s| s.trim().parse().unwrap())).collect();
    // Float32 of up to 350.
    assert_close(&answer.into(), &flat(&expected["predictions"]), 5e-5);
    let sample = fs::read(example(name).join("request.csv")).unwrap();
    send(&server, name, "text/csv", sample).ok();
    let reply = send(&server, name, "text/csv", "1,2,3");
    reply.error(400, "InvalidInputException", &["10 features", "row 1", "3"]);
    let reply = send(&server, name, "text/csv", "1,2,x,4,5,6,7,8,9,10");
    reply.error(400, "InvalidInputException", &["row 1, column 3"]);
    let reply = send(&server, name, "image/png", "1");
    reply.error(415, "UnsupportedMediaTypeException", &["text/csv"]);
}

#[test]
fn wine_without_code_agrees_with_lightgbm() {
    let name = "wine-lightgbm";
    let server = serve(name);
    let expected = expected(name);
    let body = expected["inputs"].to_string();
    let reply = send(&server, name, "application/json", body);
    reply.ok();
    assert_close(&reply.json(), &expected["predictions"], ROUNDING);
    let sample = fs::read(example(name).join("request.csv")).unwrap();
    send(&server, name, "text/csv", sample).ok();
    let reply = send(&server, name, "text/csv", "1,2,3");
    reply.error(400, "InvalidInputException", &["13 features"]);
}

#[test]
fn wine_without_code_agrees_with_scikit_learn() {
    let name = "wine-sklearn";
    let server = serve(name);
    let expected = expected(name);
    let body = json!({"instances": expected["inputs"]}).to_string();
    let reply = send(&server, name, "application/json", body);
    reply.ok();
    let probabilities: Value = (reply.json()["predictions"].as_array().unwrap().iter())
        .map(|row| row["probabilities"].clone())
        .collect();
    assert_close(&probabilities, &expected["predictions"], 1e-6);
    let sample = fs::read(example(name).join("request.csv")).unwrap();
    send(&server, name, "text/csv", sample).ok();
    let reply = send(&server, name, "text/csv", "1,2,3");
    reply.error(400, "InvalidInputException", &["13"]);
}

#[test]
fn digits_agrees_with_scikit_learn() {
    let server = serve("digits");
    let expected = expected("digits");
    let reply = send(&server, "digits", "text/csv", csv(&expected["inputs"]));
    reply.ok();
    let readings = reply.json();
    let readings = readings.as_array().unwrap();
    let probabilities: Value = readings
        .iter()
        .map(|r| r["probabilities"].clone())
        .collect();
    // Both compute in float32, but sum in different orders.
    assert_close(&probabilities, &expected["predictions"], 1e-6);

    let picture = fs::read(example("digits").join("request.png")).unwrap();
    let reply = send(&server, "digits", "image/png", picture);
    reply.ok();
    let reading = reply.json();
    assert_eq!(reading["digit"], 7);
    assert_close(
        &json!([reading["probabilities"]]),
        &expected["request_png"],
        1e-6,
    );
    let reply = send(&server, "digits", "image/jpeg", "x");
    reply.error(415, "UnsupportedMediaTypeException", &["image/png"]);
    send(&server, "digits", "image/png", "x").error(400, "InvalidInputException", &["PNG"]);
}

#[test]
fn sentiment_agrees_with_scikit_learn() {
    let server = serve("sentiment");
    let expected = expected("sentiment");
    let cases = expected["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    let texts: Value = cases.iter().map(|case| case["text"].clone()).collect();
    let reply = send(&server, "sentiment", "application/json", texts.to_string());
    reply.ok();
    let verdicts = reply.json();
    let verdicts = verdicts.as_array().unwrap();
    assert_eq!(verdicts.len(), cases.len());
    for (verdict, case) in verdicts.iter().zip(cases) {
        let theirs = case["positive"].as_f64().unwrap();
        let score = verdict["score"].as_f64().unwrap();
        let ours = if verdict["label"] == "positive" {
            score
        } else {
            1.0 - score
        };
        assert!((ours - theirs).abs() <= ROUNDING, "{case}: {verdict}");
    }
    let sample = fs::read(example("sentiment").join("request.txt")).unwrap();
    let reply = send(&server, "sentiment", "text/plain", sample);
    reply.ok();
    assert_eq!(reply.json()["label"], "positive");
}

/// Tenants side by side, as the product is meant to be used.
#[test]
fn all_examples_answer_from_one_server() {
    let setup = ["iris", "sentiment"]
        .iter()
        .fold(Setup::new(), |setup, name| {
            let artifact =
                fs::read(serve(name).repository().join(format!("{name}.tar.gz"))).unwrap();
            setup.artifact(&format!("tenant/{name}.tar.gz"), artifact)
        });
    let server = setup.start();
    for _ in 0..3 {
        send(&server, "tenant/iris", "text/csv", "5.1,3.5,1.4,0.2").ok();
        send(&server, "tenant/sentiment", "text/plain", "Best day ever!").ok();
    }
}
