//! Programs that were written for SageMaker: the real boto3, changed in nothing but the address. What
//! they do and expect is in tests/boto3; here are the servers. Skipped, saying so, without boto3.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;

use modelcell_tests::artifact::{
    Tar, artifact, guest, misbehave, misbehave_at_load, misbehave_reused,
};
use modelcell_tests::proxy::{ANY, Fault};
use modelcell_tests::python::Script;
use modelcell_tests::version::version;
use modelcell_tests::{Server, Setup, Store};

const MODEL: &str = "m.tar.gz";

/// A server with one model of this name.
fn one_model() -> Setup {
    Setup::new().artifact(MODEL, misbehave())
}

#[test]
fn invocations() {
    let Some(script) = Script::find("invocations") else {
        return;
    };
    script.run(&one_model().start());
}

#[test]
fn model_errors() {
    let Some(script) = Script::find("model_errors") else {
        return;
    };
    let coef = include_bytes!("../../examples/iris/model/coef.npy");
    let intercept = include_bytes!("../../examples/iris/model/intercept.npy");
    let files: [(&str, &[u8]); 2] = [("coef.npy", coef), ("intercept.npy", intercept)];
    let small: [(&str, &[u8]); 1] = [("modelcell.toml", b"cell-memory = '32MiB'")];
    let server = one_model()
        .artifact("iris.tar.gz", artifact(&guest("iris"), &files))
        .artifact("small.tar.gz", artifact(&guest("misbehave"), &small))
        .artifact("broken.tar.gz", "no artifact")
        .artifact("failing.tar.gz", misbehave_at_load("failed no weights"))
        .artifact("huge.tar.gz", misbehave_at_load("hold 200"))
        .artifact("slow.tar.gz", misbehave_at_load("sleep 3000"))
        .artifact("slower.tar.gz", misbehave_at_load("sleep 3100"))
        .flags(&["--request-timeout", "1s", "--memory-budget", "128MiB"])
        .start();
    script.run(&server);
}

#[test]
fn validation() {
    let Some(script) = Script::find("validation") else {
        return;
    };
    let setup = one_model().artifact("other.tar.gz", misbehave());
    script.run(&setup.flags(&["--max-body", "1KiB"]).start());
}

/// A server on a bucket with one model, between which this goes wrong wherever a request ends so.
fn with_fault(name: &str, path: &str, fault: Fault) {
    let Some(script) = Script::find(name) else {
        return;
    };
    let store = Store::s3();
    store.put(MODEL, misbehave());
    let proxy = store.proxy();
    proxy.always(ANY, path, fault);
    script.run(&store.setup_through(&proxy).start());
}

#[test]
fn a_host_with_all_the_requests_that_it_may_have() {
    let Some(script) = Script::find("unavailable.Full") else {
        return;
    };
    script.run(&one_model().flags(&["--max-requests", "1"]).start());
}

#[test]
fn a_host_with_all_its_cells_in_use() {
    let Some(script) = Script::find("unavailable.Busy") else {
        return;
    };
    let setup = one_model().artifact("other.tar.gz", misbehave());
    let flags = ["--max-cells", "1", "--request-timeout", "3s"];
    script.run(&setup.flags(&flags).start());
}

#[test]
fn a_host_without_disk() {
    let Some(script) = Script::find("unavailable.Disk") else {
        return;
    };
    let store = Store::s3();
    let large = Tar::new().file("model.wasm", &guest("misbehave"));
    store.put(MODEL, misbehave());
    store.put("large.tar", large.file("data", &vec![0; 20 << 20]).tar());
    script.run(&store.setup().flags(&["--disk-budget", "16MiB"]).start());
}

#[test]
fn a_bucket_with_other_credentials() {
    let fault = Fault::answer(403, "InvalidAccessKeyId", "What S3 says of it.");
    with_fault("unavailable.Bucket", MODEL, fault);
}

#[test]
fn a_bucket_that_does_not_answer() {
    with_fault("unavailable.Outage", MODEL, Fault::HangUp);
}

#[test]
fn a_bucket_that_the_host_may_not_read() {
    let fault = Fault::answer(403, "AccessDenied", "Access Denied");
    with_fault("unavailable.Forbidden", MODEL, fault);
}

#[test]
fn retries() {
    let Some(script) = Script::find("retries") else {
        return;
    };
    let store = Store::s3();
    for name in [MODEL, "outage.tar.gz", "clock.tar.gz"] {
        store.put(name, misbehave());
    }
    store.put("broken.tar.gz", "no artifact");
    store.put("slow.tar.gz", misbehave_at_load("sleep 60000"));
    let proxy = store.proxy();
    proxy.always(ANY, "outage.tar.gz", Fault::internal_error());
    let skewed = Fault::answer(403, "RequestTimeTooSkewed", "What S3 says of it.");
    proxy.always(ANY, "clock.tar.gz", skewed);
    let flags = ["--request-timeout", "1s", "--max-body", "1KiB"];
    script.run(&store.setup_through(&proxy).flags(&flags).start());
}

#[test]
fn models() {
    let Some(script) = Script::find("models") else {
        return;
    };
    let script = script.artifact("one", &version("one"));
    let script = script.artifact("two", &version("two"));
    let server = one_model().flags(&["--revalidate-after", "200ms"]).start();
    script.run(&server);
}

#[test]
fn endpoints() {
    let Some(script) = Script::find("endpoints") else {
        return;
    };
    let stores = [
        ("churn", Store::directory(), CHURN),
        ("fraud", Store::directory(), ""),
    ];
    let mut settings = "memory-budget = '400MiB'\nmin-residency = '0s'\n".to_owned();
    for (name, store, limits) in &stores {
        let folder = store.folder().display();
        store.put(MODEL, version(name));
        writeln!(
            settings,
            "[endpoints.{name}]\nrepository = '{folder}'\n{limits}"
        )
        .unwrap();
    }
    let [(_, churn, _), (_, fraud, _)] = &stores;
    for name in ["a", "b", "c", "d"] {
        churn.put(&format!("{name}.tar.gz"), misbehave_reused("hold 20"));
    }
    fraud.put("only-fraud.tar.gz", misbehave());
    let setup = Setup::new().artifact(MODEL, version("default"));
    script.run(&setup.settings(&settings).start());
}

/// What the endpoint `churn` has of its own: room for two of its models.
const CHURN: &str =
    "memory-budget = '64MiB'\ncells-per-model = 1\nmax-body = '1KiB'\nrequest-timeout = '1s'";

/// The key that clients sign with if they say nothing else.
const ID: &str = "MODELCELLDEFAULT0001";
const SECRET: &str = "a-secret-of-the-default-key";
const TOKEN: &str = "a-token-for-programs-without-boto3";

/// A server with keys that writes all it does to its log.
fn locked(setup: Setup, keys: &str) -> Server {
    setup.keys(keys).flags(&["--log", "debug"]).start()
}

/// Checks that the log is there and has none of these, nor what the default key has.
fn has_not_logged(server: &Server, secrets: &[&str]) {
    let requests = server.log().lines_with(&["DEBUG"]);
    assert!(!requests.is_empty(), "the log does not tell of requests");
    for secret in [ID, SECRET, TOKEN].iter().chain(secrets) {
        let with_it = server.log().lines_with(&[secret]);
        assert_eq!(with_it, Vec::<String>::new(), "{secret}");
    }
}

/// A key of the keys file.
fn key(name: &str, id: &str, secret: &str, more: &str) -> String {
    format!("[keys.{name}]\naccess-key-id = '{id}'\nsecret-access-key = '{secret}'\n{more}\n")
}

/// Runs a test against a server with one model and one key.
fn with_one_key(name: &str) {
    let Some(script) = Script::find(name) else {
        return;
    };
    let setup = one_model().artifact("other.tar.gz", misbehave());
    let server = locked(setup, &key("default", ID, SECRET, ""));
    script.credentials(ID, SECRET).run(&server);
    has_not_logged(&server, &[]);
}

#[test]
fn keys_and_who_has_none() {
    with_one_key("signatures.Keys");
}

#[test]
fn clocks_that_differ() {
    with_one_key("signatures.Clock");
}

#[test]
fn what_is_changed_after_it_was_signed() {
    with_one_key("signatures.Changed");
}

#[test]
fn what_is_sent_once_more() {
    with_one_key("signatures.Replayed");
}

#[test]
fn connections_with_signed_requests() {
    with_one_key("signatures.Connections");
}

#[test]
fn rights() {
    let Some(mut script) = Script::find("rights") else {
        return;
    };
    let mut keys = key("default", ID, SECRET, &format!("token = '{TOKEN}'"));
    let mut secrets = Vec::new();
    for (name, limits) in [
        ("churn", "endpoints = ['churn*']"),
        ("tenant", "target-models = ['tenant-a/*']"),
        ("manager", "allow = ['manage']"),
    ] {
        let upper = name.to_uppercase();
        let (id, secret) = (
            format!("MODELCELL{upper}00001"),
            format!("a-secret-of-{name}s"),
        );
        keys += &key(name, &id, &secret, limits);
        script = script.env(&format!("{upper}_ID"), &id);
        script = script.env(&format!("{upper}_SECRET"), &secret);
        secrets.extend([id, secret]);
    }
    let store = Store::directory();
    let mut setup = one_model();
    for name in ["tenant-a/m.tar.gz", "tenant-b/m.tar.gz"] {
        store.put(name, misbehave());
        setup = setup.artifact(name, misbehave());
    }
    let folder = store.folder().display();
    let setup = setup.settings(&format!("[endpoints.churn]\nrepository = '{folder}'\n"));
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    let server = locked(setup, &keys);
    script
        .env("TOKEN", TOKEN)
        .credentials(ID, SECRET)
        .run(&server);
    has_not_logged(&server, &secrets);
}

#[test]
fn keys_that_are_replaced_in_use() {
    let stays = ["MODELCELLSTAYS000001", "a-secret-that-always-stays"];
    let rotated = ["MODELCELLROTATED0001", "the-secret-after-the-rotation"];
    let keys = key("old", ID, SECRET, "") + &key("stays", stays[0], stays[1], "");
    let server = locked(one_model(), &keys);
    for name in ["rotation.Rotation", "rotation.Wrong", "rotation.Kept"] {
        let Some(script) = Script::find(name) else {
            return;
        };
        script.credentials(ID, SECRET).run(&server);
        if name == "rotation.Wrong" {
            server.log().wait_for(&["the keys stay as they were"]);
        }
    }
    has_not_logged(&server, &[stays, rotated].concat());
}
