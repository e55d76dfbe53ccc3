mod answers;
mod fixtures;
mod graph;
mod hostile;
mod limits;
mod requests;

use std::path::PathBuf;

use modelcell_guest::{Payload, Request, Result, testing};

use crate::OnnxModel;

fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(file)
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(path(file)).unwrap()
}

fn model(name: &str) -> OnnxModel {
    OnnxModel::read(&bytes(&format!("{name}.onnx"))).unwrap()
}

/// Sends a body, and returns the answer as text.
fn send(model: &OnnxModel, content_type: &str, body: &str, accept: &str) -> String {
    let answer = try_send(model, content_type, body.as_bytes(), accept);
    String::from_utf8(answer.unwrap().body).unwrap()
}

fn try_send(model: &OnnxModel, content_type: &str, body: &[u8], accept: &str) -> Result<Payload> {
    let request = Request::new(body)
        .content_type(content_type)
        .accept(accept)
        .target_model("tenant/model.tar.gz");
    testing::invoke(model, request)
}
