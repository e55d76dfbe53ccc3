use modelcell_guest::testing;
use serde_json::{Value, json};

use super::*;

fn model() -> Sentiment {
    testing::load(concat!(env!("CARGO_MANIFEST_DIR"), "/model")).unwrap()
}

/// Texts, and what scikit-learn predicts for them.
#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    positive: f64,
}

fn cases() -> Vec<Case> {
    let expected: Expected = serde_json::from_str(include_str!("../expected.json")).unwrap();
    expected.cases
}

fn reply(request: Request) -> Value {
    let reply = testing::invoke(&model(), request).unwrap();
    assert_eq!(reply.content_type, "application/json");
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn agrees_with_scikit_learn() {
    let model = model();
    for Case { text, positive } in cases() {
        let ours = model.positive(&text);
        // The model file has nine decimals of each number.
        assert!(
            (ours - positive).abs() <= 1e-8,
            "{text:?}: {ours}, {positive}"
        );
    }
}

#[test]
fn every_way_to_send_a_text_gives_the_same() {
    let text = "Best day ever, thank you!";
    let plain = reply(Request::new(text).content_type("text/plain; charset=utf-8"));
    assert_eq!(plain["label"], "positive");
    assert!(plain["score"].as_f64().unwrap() > 0.7, "{plain}");
    let object = reply(Request::new(json!({ "text": text }).to_string()));
    assert_eq!(object, plain);
    let list = reply(Request::new(json!([text, "I hate it."]).to_string()));
    assert_eq!(list[0], plain);
    assert_eq!(list[1]["label"], "negative");
}

#[test]
fn the_sample_requests_work() {
    let text = include_str!("../request.txt");
    assert_eq!(
        reply(Request::new(text).content_type("text/plain"))["label"],
        "positive"
    );
    let list = reply(Request::new(include_str!("../request.json")));
    assert_eq!(list[0]["label"], "positive");
    assert_eq!(list[1]["label"], "negative");
}

#[test]
fn bad_input_is_refused() {
    for (content_type, body, status, message) in [
        ("text/plain", &b"\xff"[..], 400, "the body is not UTF-8: "),
        (
            "text/plain; charset=latin1",
            b"x",
            415,
            "cannot read the character set",
        ),
        (
            "text/csv",
            b"x",
            415,
            "cannot read text/csv: send text/plain or application/json",
        ),
        (
            "application/json",
            b"{\"text\": ",
            400,
            "the body is not JSON: ",
        ),
        (
            "application/json",
            b"{\"texts\": []}",
            400,
            "the object has no text named \"text\"",
        ),
        (
            "application/json",
            b"{\"text\": 3}",
            400,
            "the object has no text named \"text\"",
        ),
        (
            "application/json",
            b"[\"x\", null]",
            400,
            "item 1 of the list is not a text",
        ),
        (
            "application/json",
            b"3",
            400,
            "send {\"text\": \"...\"} or a list of texts",
        ),
    ] {
        let request = Request::new(body).content_type(content_type);
        let error = testing::invoke(&model(), request).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
    let request = Request::new("x")
        .content_type("text/plain")
        .accept("text/csv");
    assert_eq!(
        testing::invoke(&model(), request).unwrap_err().status(),
        406
    );
}
