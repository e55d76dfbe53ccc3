//! Programs that were written for SageMaker: the real boto3, changed in nothing but the address. What
//! they do and expect is in tests/boto3; here are the servers. Skipped, saying so, without boto3.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use modelcell_tests::Setup;
use modelcell_tests::artifact::{artifact, guest, misbehave, misbehave_at_load};
use modelcell_tests::python::Script;

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
