//! What the platform says by the environment.

use modelcell_tests::artifact::misbehave;
use modelcell_tests::kernel::listening;
use modelcell_tests::platform::{Launch, Platform, SAFE_PORTS};

const M: &str = "m.tar.gz";

/// A container with these variables beside those that all have, and a model.
fn with(variables: &[(&str, &str)]) -> Platform {
    let launch = variables
        .iter()
        .fold(Launch::new(), |launch, (name, value)| {
            launch.env(name, value)
        });
    let platform = Platform::start(launch);
    platform.store(M, misbehave());
    platform
}

/// Starts a container with these variables, which it must refuse.
#[track_caller]
fn refused(variables: &[(&str, &str)], parts: &[&str]) {
    let launch = variables
        .iter()
        .fold(Launch::new(), |launch, (name, value)| {
            launch.env(name, value)
        });
    launch.refused(parts);
}

#[test]
fn one_port_is_open_and_no_other() {
    let platform = with(&[]);
    let own = [("tcp", platform.launch().port())];
    assert_eq!(listening(platform.pid()), own);
    assert_eq!(platform.ask(M, "").ok(), "ok");
    assert_eq!(listening(platform.pid()), own);
}

#[test]
fn the_largest_request() {
    const EXACT: (&str, &str) = ("SAGEMAKER_MAX_REQUEST_SIZE", "4000");
    const PAYLOAD: (&str, &str) = ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "1");
    const CONTENT: (&str, &str) = ("MAX_CONTENT_LENGTH", "2000");
    const FLAG: (&str, &str) = ("MODELCELL_MAX_BODY", "3000B");
    for (variables, limit) in [
        (&[][..], 6 << 20),
        (&[CONTENT], 2000),
        (&[CONTENT, PAYLOAD], 1 << 20),
        (&[CONTENT, PAYLOAD, EXACT], 4000),
        (&[CONTENT, PAYLOAD, EXACT, FLAG], 3000),
    ] {
        let platform = with(variables);
        let ask = |length| platform.ask(M, &" ".repeat(length));
        assert_eq!(ask(limit).ok(), "ok", "{variables:?}");
        ask(limit + 1).error(413, "RequestEntityTooLargeException", &[]);
    }
}

#[test]
fn the_largest_answer() {
    let variable = ("SAGEMAKER_MAX_RESPONSE_SIZE", "1048576");
    let platform = with(&[variable]);
    assert_eq!(platform.ask(M, "predict:large 900000").status, 200);
    platform
        .ask(M, "predict:large 1100000")
        .error(500, "ModelError", &[]);

    let platform = with(&[variable, ("MODELCELL_MAX_RESPONSE", "2MiB")]);
    assert_eq!(platform.ask(M, "predict:large 1100000").status, 200);
}

/// The short one is the one that holds: by the others the loop would go on past this test's patience.
#[test]
fn the_longest_time_for_a_request() {
    const EXACT: &str = "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS";
    const SERVER: &str = "SAGEMAKER_MODEL_SERVER_TIMEOUT";
    const RESPONSE: &str = "SAGEMAKER_RESPONSE_TIMEOUT";
    const FLAG: (&str, &str) = ("MODELCELL_REQUEST_TIMEOUT", "1s");
    for variables in [
        &[(RESPONSE, "1")][..],
        &[(RESPONSE, "900"), (SERVER, "1")],
        &[(RESPONSE, "900"), (SERVER, "900"), (EXACT, "1")],
        &[(RESPONSE, "900"), (SERVER, "900"), (EXACT, "900"), FLAG],
    ] {
        let platform = with(variables);
        let reply = platform.ask(M, "predict:loop");
        assert_eq!(reply.status, 504, "{variables:?}: {}", reply.text());
        reply.error(504, "ModelTimeoutException", &["1s"]);
        assert_eq!(platform.ask(M, "").ok(), "ok");
    }
}

#[test]
fn only_ports_that_the_platform_lets_it_have() {
    let (first, last) = SAFE_PORTS;
    for port in [first - 1, last + 1, 9_000] {
        let bind = format!("127.0.0.1:{port}");
        let parts = ["SAGEMAKER_SAFE_PORT_RANGE", &port.to_string()];
        refused(&[("MODELCELL_BIND", &bind)], &parts);
    }
    for range in ["25000", "25000-", "-", "b-a", "26000-25000", "25000-70000"] {
        let variable = ("SAGEMAKER_SAFE_PORT_RANGE", range);
        refused(&[variable], &["SAGEMAKER_SAFE_PORT_RANGE", range]);
    }
    // All other tests here have the port that the platform names, which is outside of the range.
    let platform = Platform::start(Launch::new().bind_in_safe_range());
    assert!((first..=last).contains(&platform.launch().port()));
}

#[test]
fn mistakes_name_the_variable() {
    for (name, value) in [
        ("SAGEMAKER_BIND_TO_PORT", "eighty"),
        ("SAGEMAKER_MAX_REQUEST_SIZE", "6MiB"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
        ("MAX_CONTENT_LENGTH", "much"),
        ("SAGEMAKER_MAX_RESPONSE_SIZE", "6MiB"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "1m"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "soon"),
        ("SAGEMAKER_RESPONSE_TIMEOUT", "-1"),
    ] {
        refused(&[(name, value)], &[name, value]);
    }
}
