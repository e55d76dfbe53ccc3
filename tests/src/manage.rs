//! The model-management API, as the tests call it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::artifact::{guest_file, misbehave};
use crate::{Client, Reply, Server, Setup, eventually};

/// What the platform does before it loads a model: the artifact, unpacked to NAME/model.
///
/// # Panics
///
/// If the files cannot be written.
pub fn unpacked(root: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = root.join(name).join("model");
    fs::create_dir_all(&dir).unwrap();
    fs::copy(guest_file("misbehave"), dir.join("model.wasm")).unwrap();
    for (file, content) in files {
        fs::write(dir.join(file), content).unwrap();
    }
    dir
}

/// A server whose repository holds one model, `m.tar.gz`.
///
/// # Panics
///
/// If it does not start.
pub fn one_model() -> Server {
    Setup::new().artifact("m.tar.gz", misbehave()).start()
}

/// Asks for a model to be loaded.
///
/// # Panics
///
/// If there is no answer.
#[track_caller]
pub fn load(server: &Client, name: &str, url: &str) -> Reply {
    server.load(&json!({"model_name": name, "url": url}))
}

/// Asks a loaded model.
///
/// # Panics
///
/// If there is no answer.
pub fn invoke(server: &Client, name: &str, body: &str) -> Reply {
    let path = format!("/models/{name}/invoke");
    server.call("POST", &path).body(body).send()
}

/// The models' names in the answer to `GET /models`.
///
/// # Panics
///
/// If it is no such answer.
pub fn names(list: &Value) -> Vec<&str> {
    let models = list["models"].as_array().unwrap();
    models
        .iter()
        .map(|model| model["modelName"].as_str().unwrap())
        .collect()
}

/// The names of the models that are loaded, in order.
///
/// # Panics
///
/// If there is no answer.
pub fn loaded(server: &Client) -> Vec<String> {
    let list = server.get("/models").json();
    names(&list).into_iter().map(str::to_owned).collect()
}

/// The value of a metric.
///
/// # Panics
///
/// If there is no metric of this name and labels.
pub fn metric(server: &Client, name: &str) -> f64 {
    let text = server.get("/metrics").ok();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

/// Waits until a model's only cell has a request.
///
/// # Panics
///
/// If that does not happen.
pub fn until_busy(server: &Client, model: &str) {
    eventually("the request runs", || {
        server.get(&format!("/models/{model}")).json()["idleCells"] == 0
    });
}

/// Waits until a model's requests get cells from its snapshot, for which code may be compiled first.
///
/// # Panics
///
/// If that does not happen.
pub fn until_frozen(server: &Client, model: &str) {
    eventually("there is a snapshot", || {
        server.get(&format!("/models/{model}")).json()["snapshot"] == true
    });
}
