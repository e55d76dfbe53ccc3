//! What AWS's own containers are tested for, in the order and with the names of those tests, whose
//! requests have no headers of the platform.

use modelcell_tests::Reply;
use modelcell_tests::artifact::misbehave;
use modelcell_tests::platform::{Launch, Platform};
use serde_json::{Value, json};

/// A platform that has unpacked one model, and its url.
fn unpacked() -> (Platform, String) {
    let platform = Platform::start(Launch::new());
    platform.store("m.tar.gz", misbehave());
    let url = platform.unpack("m.tar.gz");
    (platform, url)
}

fn load(platform: &Platform, name: &str, url: &str) -> Reply {
    let body = json!({"model_name": name, "url": url}).to_string();
    platform
        .call("POST", "/models")
        .header("Content-Type", "application/json")
        .body(body)
        .send()
}

fn invoke(platform: &Platform, name: &str) -> Reply {
    platform
        .call("POST", &format!("/models/{name}/invoke"))
        .header("Content-Type", "text/csv")
        .body("0,0,1,0")
        .send()
}

/// A status of 200 and this text in `status`.
#[track_caller]
fn says(reply: &Reply, text: &str) {
    reply.ok();
    assert_eq!(reply.json()["status"], text);
}

#[track_caller]
fn not_found(reply: &Reply, name: &str) {
    assert_eq!(reply.status, 404, "{}", reply.text());
    assert_eq!(reply.json()["message"], format!("Model not found: {name}"));
}

fn models(platform: &Platform) -> Value {
    let reply = platform.get("/models");
    reply.ok();
    reply.json()["models"].take()
}

/// test_dummy_multi_model.py and test_mxnet_multi_model.py of sagemaker-inference-toolkit.
#[test]
fn the_inference_toolkit() {
    let (platform, url) = unpacked();
    platform.get("/ping").ok();
    assert_eq!(models(&platform), json!([]));

    let resnet_152 = json!({"modelName": "resnet_152", "modelUrl": url});
    let resnet_18 = json!({"modelName": "resnet_18", "modelUrl": url});
    says(&load(&platform, "resnet_152", &url), "Workers scaled");
    assert_eq!(models(&platform), json!([resnet_152]));
    says(&load(&platform, "resnet_18", &url), "Workers scaled");
    assert_eq!(models(&platform), json!([resnet_152, resnet_18]));

    let unloaded = platform.delete("/models/resnet_152");
    says(&unloaded, "Model \"resnet_152\" unregistered");
    assert_eq!(models(&platform), json!([resnet_18]));

    // There it is /banana, which is 400 here: a url must be in the platform's directory.
    let banana = load(&platform, "banana", &platform.url("banana"));
    assert_eq!(banana.status, 404);
    assert_eq!(platform.delete("/models/resnet_152").status, 404);
    assert_eq!(load(&platform, "resnet_18", &url).status, 409);
    assert_eq!(invoke(&platform, "resnet_18").ok(), "ok");
}

/// test_multiple_model_endpoint.py of sagemaker-xgboost-container.
#[test]
fn the_xgboost_container() {
    let (platform, url) = unpacked();
    platform.get("/ping").ok();
    assert_eq!(platform.get("/models").json(), json!({"models": []}));
    assert_eq!(platform.delete("/models/non-existing-model").status, 404);

    for names in [&["pickled_model"][..], &["pickled_model", "saved_booster"]] {
        for name in names {
            says(&load(&platform, name, &url), "Workers scaled");
        }
        for name in names {
            invoke(&platform, name).ok();
        }
        for name in names {
            let unloaded = platform.delete(&format!("/models/{name}"));
            says(&unloaded, &format!("Model \"{name}\" unregistered"));
            not_found(&invoke(&platform, name), name);
        }
    }
    not_found(&invoke(&platform, "half_plus_three"), "half_plus_three");

    load(&platform, "pickled_model", &url).ok();
    let again = load(&platform, "pickled_model", &url);
    assert_eq!(again.status, 409);
    let message = "Model pickled_model is already registered.";
    assert_eq!(again.json()["message"], message);
}

/// sagemaker_multi_model_test.py of Triton Inference Server.
#[test]
fn triton() {
    let (platform, url) = unpacked();
    let names = ["123456789abcdefghi", "987654321ihgfedcba"];
    load(&platform, names[0], &url).ok();
    assert_eq!(load(&platform, names[0], &url).status, 409);
    load(&platform, names[1], &url).ok();
    let listed = names.map(|name| json!({"modelName": name, "modelUrl": url}));
    assert_eq!(models(&platform), json!(listed));
    let described = platform.get(&format!("/models/{}", names[0])).json();
    assert_eq!(described["modelName"], names[0]);
    assert_eq!(described["modelUrl"], url);
    for name in names {
        invoke(&platform, name).ok();
    }
    for name in names {
        platform.delete(&format!("/models/{name}")).ok();
    }
    let unknown = platform.delete("/models/sm_non_loaded_model");
    assert_eq!(unknown.status, 404);
}

/// What ModelServerTest.java of multi-model-server has that has a meaning here and is not in
/// `management.rs`, `loading.rs` and `invocations.rs`.
#[test]
fn multi_model_server() {
    let (platform, url) = unpacked();
    not_found(&platform.get("/models/InvalidModel"), "InvalidModel");
    not_found(&platform.delete("/models/fake"), "fake");
    not_found(&invoke(&platform, "InvalidModel"), "InvalidModel");
    let registered = platform
        .call("POST", &format!("/models?model_name=noop_v0.1&url={url}"))
        .send();
    says(&registered, "Workers scaled");
    let again = load(&platform, "noop_v0.1", &url);
    let message = again.error(409, "ConflictStatusException", &[]);
    assert_eq!(message, "Model noop_v0.1 is already registered.");
    // Bodies are the model's own business.
    for kind in [
        "application/json",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
    ] {
        let reply = platform
            .call("POST", "/models/noop_v0.1/invoke")
            .header("Content-Type", kind)
            .body("--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\ntest\r\n--x--")
            .send();
        assert_eq!(reply.ok(), "ok", "{kind}");
    }
    let unloaded = platform.delete("/models/noop_v0.1");
    says(&unloaded, "Model \"noop_v0.1\" unregistered");
}
