//! The example in plain Python. Skipped, saying so, where its component could not be built.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;

use modelcell_tests::artifact::{artifact, guest, guest_file};
use modelcell_tests::command::source;
use modelcell_tests::{Server, Setup};

const NAME: &str = "python-nearest-centroid";

/// A server of the example, if it was built.
fn serve() -> Option<Server> {
    if !guest_file(NAME).is_file() {
        println!("skipped: {NAME} was not built (make python-guest; it needs PyPI)");
        return None;
    }
    let model = fs::read(
        source()
            .join("examples")
            .join(NAME)
            .join("model/model.json"),
    )
    .unwrap();
    let artifact = artifact(&guest(NAME), &[("model.json", &model)]);
    Some(Setup::new().artifact("wine.tar.gz", artifact).start())
}

#[test]
fn a_component_from_python_answers() {
    let Some(server) = serve() else { return };
    let row = fs::read_to_string(source().join("examples").join(NAME).join("request.csv")).unwrap();
    let ask = |content_type: &str, body: &str| {
        let call = server.call("POST", "/invocations");
        call.header("Content-Type", content_type).body(body).send()
    };
    let reply = ask("text/csv", &row);
    reply.ok();
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let expected = reply.json();
    assert_eq!(expected["predictions"][0]["cultivar"], "class_0");
    let json = format!("{{\"instances\": [[{}]]}}", row.trim());
    assert_eq!(ask("application/json", &json).json(), expected);

    ask("text/csv", "1,2,3").error(400, "InvalidInputException", &["13"]);
    ask("text/csv", "a,b").error(400, "InvalidInputException", &[]);
    ask("image/png", "x").error(415, "UnsupportedMediaTypeException", &["text/csv"]);
    assert_eq!(ask("text/csv", &row).json(), expected);
    let loads = server.log().lines_with(&["loaded", "wine.tar.gz"]);
    assert_eq!(loads.len(), 1, "errors that a hook returns cost no cell");
}

#[test]
fn a_component_from_python_says_why_it_cannot_load() {
    if serve().is_none() {
        return;
    }
    let server = Setup::new()
        .artifact("wine.tar.gz", artifact(&guest(NAME), &[]))
        .start();
    let reply = server.call("POST", "/invocations").body("1").send();
    reply.error(500, "ModelError", &["model_fn", "model.json"]);
}
