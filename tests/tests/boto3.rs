//! Programs that were written for SageMaker: the real boto3, changed in nothing but the address. What
//! they do and expect is in tests/boto3; here are the servers. Skipped, saying so, without boto3.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use modelcell_tests::Setup;
use modelcell_tests::artifact::misbehave;
use modelcell_tests::python::Script;

const MODEL: &str = "m.tar.gz";

#[test]
fn invocations() {
    let Some(script) = Script::find("invocations") else {
        return;
    };
    script.run(&Setup::new().artifact(MODEL, misbehave()).start());
}
