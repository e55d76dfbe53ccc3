//! Which settings follow from what is said.

use std::path::Path;

use super::*;

fn resolve(options: Options, env: &[(&str, &str)]) -> Result<Settings, String> {
    let lookup = |name: &str| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    options.resolve(&lookup)
}

fn with_repository() -> Options {
    Options {
        repository: Some("models".parse().unwrap()),
        ..Options::default()
    }
}

fn default(settings: &Settings) -> &EndpointSettings {
    settings.default_endpoint.as_ref().unwrap()
}

fn from_file(text: &str) -> Result<Settings, String> {
    resolve(parse_toml(text)?, &[])
}

#[test]
fn defaults() {
    let settings = resolve(with_repository(), &[("HOME", "/home/a")]).unwrap();
    assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(default(&settings).max_body, 6_291_456);
    assert_eq!(settings.limits.request_timeout, Duration::from_secs(60));
    assert_eq!(settings.cache_dir, Path::new("/home/a/.cache/modelcell"));
}

#[test]
fn a_repository_is_needed_outside_of_sagemaker_only() {
    let settings = resolve(Options::default(), &[]).unwrap();
    assert!(
        settings
            .require_models()
            .unwrap_err()
            .contains("--repository")
    );
    let env = [
        ("SAGEMAKER_MULTI_MODEL", "True"),
        ("SAGEMAKER_BIND_TO_PORT", "9000"),
    ];
    let settings = resolve(Options::default(), &env).unwrap();
    settings.require_models().unwrap();
    assert_eq!(settings.bind.to_string(), "0.0.0.0:9000");
}

#[test]
fn the_body_limit_follows_the_precedence_of_sagemakers_containers() {
    let all = [
        ("SAGEMAKER_MAX_REQUEST_SIZE", "1000"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "2"),
        ("MAX_CONTENT_LENGTH", "3"),
    ];
    let limit = |env: &[(&str, &str)]| default(&resolve(with_repository(), env).unwrap()).max_body;
    assert_eq!(limit(&all), 1000);
    assert_eq!(limit(all.get(1..).unwrap()), 2 << 20);
    assert_eq!(limit(all.get(2..).unwrap()), 3);
}

#[test]
fn values_out_of_range_are_named() {
    let bad = |change: fn(&mut Options)| {
        let mut options = with_repository();
        change(&mut options);
        resolve(options, &[]).unwrap_err()
    };
    assert!(bad(|o| o.max_body = Some(ByteSize::tib(1))).contains("--max-body"));
    assert!(bad(|o| o.cell_memory = Some(ByteSize(1))).contains("--cell-memory"));
    assert!(bad(|o| o.request_timeout = Some(Span(Duration::ZERO))).contains("--request-timeout"));
    assert!(bad(|o| o.max_connections = Some(0)).contains("--max-connections"));
    assert!(bad(|o| o.compile_memory = Some(ByteSize(1))).contains("--compile-memory"));
    let env = [("SAGEMAKER_BIND_TO_PORT", "70000")];
    assert!(
        resolve(with_repository(), &env)
            .unwrap_err()
            .contains("SAGEMAKER_BIND_TO_PORT")
    );
}

#[test]
fn a_file_has_the_flags_names_and_gives_way_to_them() {
    let file: Options =
        toml::from_str("bind = '127.0.0.1:1'\nmax-body = '1MiB'\nrequest-timeout = '5s'").unwrap();
    let flags = Options {
        max_body: Some(ByteSize::mib(2)),
        ..with_repository()
    };
    let settings = resolve(flags.or(file), &[]).unwrap();
    assert_eq!(settings.bind.port(), 1);
    assert_eq!(default(&settings).max_body, 2 << 20);
    assert_eq!(settings.limits.request_timeout, Duration::from_secs(5));
    assert!(toml::from_str::<Options>("max-bdy = '1MiB'").is_err());
}

#[test]
fn an_endpoint_has_what_it_says_and_else_what_the_host_has() {
    let settings = from_file(
        "repository = 'models'\nmax-body = '2MiB'\nmemory-budget = '1GiB'\npin = ['a.tar.gz']\n\
         [endpoints.churn]\nrepository = 's3://bucket/churn/'\nmemory-budget = '256MiB'\n\
         request-timeout = '5s'\nmax-requests = 7\n[endpoints.fraud]\nrepository = 'fraud'",
    )
    .unwrap();
    let [churn, fraud] = &*settings.endpoints else {
        panic!("{:?}", settings.endpoints);
    };
    assert_eq!(default(&settings).name, "default");
    assert_eq!(default(&settings).pins.len(), 1);
    assert_eq!(churn.name, "churn");
    assert_eq!(churn.limits.request_timeout, Duration::from_secs(5));
    assert_eq!((churn.max_requests, churn.max_body), (7, 2 << 20));
    assert!(churn.pins.is_empty());
    assert_eq!(fraud.limits.request_timeout, Duration::from_secs(60));
    // The other two share what the first one leaves.
    assert_eq!(churn.memory_budget, 256 << 20);
    assert_eq!(fraud.memory_budget, 384 << 20);
    assert_eq!(default(&settings).memory_budget, 384 << 20);
}

#[test]
fn endpoints_alone_need_no_repository_of_the_hosts() {
    let settings = from_file("[endpoints.a]\nrepository = 'x'").unwrap();
    settings.require_models().unwrap();
    assert!(settings.default_endpoint.is_none());
    assert_eq!(settings.endpoints[0].memory_budget, settings.memory_budget);
}

#[test]
fn endpoints_that_make_no_sense_are_named() {
    for (text, expected) in [
        ("[endpoints.a]", "[endpoints.a] needs a repository"),
        ("[endpoints.-a]\nrepository = 'x'", "letters, digits"),
        (
            "[endpoints.a]\nrepository = 'x'\nbind = '127.0.0.1:1'",
            "the key bind",
        ),
        (
            "[endpoints.a]\nrepository = 'x'\nmax-cells = 1",
            "the key max-cells",
        ),
        (
            "[endpoints.a]\nrepository = 'x'\nmax-body = '1TiB'",
            "[endpoints.a]: --max-body",
        ),
        (
            "repository = 'm'\n[endpoints.default]\nrepository = 'x'",
            "choose another with --endpoint-name",
        ),
        (
            "memory-budget = '64MiB'\nrepository = 'm'\n[endpoints.a]\nrepository = 'x'\n\
             memory-budget = '60MiB'",
            "leave too little",
        ),
        (
            "memory-budget = '64MiB'\n[endpoints.a]\nrepository = 'x'\nmemory-budget = '65MiB'",
            "leave too little",
        ),
        (
            "[endpoints.a]\nrepository = 'x'\n[endpoints.a.endpoints.b]\nrepository = 'y'",
            "endpoints",
        ),
    ] {
        let error = from_file(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn who_can_be_reached_must_know_its_callers() {
    let access = |bind: &str, change: fn(&mut Options), env: &[(&str, &str)]| {
        let mut options = with_repository();
        options.bind = Some(bind.parse().unwrap());
        change(&mut options);
        resolve(options, env).unwrap().require_access()
    };
    access("127.0.0.1:1", |_| {}, &[]).unwrap();
    access("[::1]:1", |_| {}, &[]).unwrap();
    let error = access("0.0.0.0:1", |_| {}, &[]).unwrap_err();
    assert!(
        error.contains("--keys") && error.contains("--allow-anonymous"),
        "{error}"
    );
    access("0.0.0.0:1", |o| o.allow_anonymous = Some(true), &[]).unwrap();
    access("0.0.0.0:1", |o| o.keys = Some("k".into()), &[]).unwrap();
    let inside = [("SAGEMAKER_MULTI_MODEL", "true")];
    access("0.0.0.0:8080", |_| {}, &inside).unwrap();
    let error = access("0.0.0.0:8080", |o| o.keys = Some("k".into()), &inside).unwrap_err();
    assert!(error.contains("within SageMaker"), "{error}");
}

#[test]
fn what_sagemaker_says_of_times_and_sizes_holds_if_nothing_else_is_said() {
    let all = [
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "7"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "8"),
        ("SAGEMAKER_RESPONSE_TIMEOUT", "9"),
        ("SAGEMAKER_MAX_RESPONSE_SIZE", "100000"),
    ];
    let seconds = |options: Options, env: &[(&str, &str)]| {
        let settings = resolve(options, env).unwrap();
        settings.limits.request_timeout.as_secs()
    };
    assert_eq!(seconds(with_repository(), &all), 7);
    assert_eq!(seconds(with_repository(), &all[1..]), 8);
    assert_eq!(seconds(with_repository(), &all[2..]), 9);
    let said = Options {
        request_timeout: Some(Span(Duration::from_secs(3))),
        ..with_repository()
    };
    assert_eq!(seconds(said, &all), 3);
    let settings = resolve(with_repository(), &all).unwrap();
    assert_eq!(settings.limits.transfer, 100_000);
    let wrong = [("SAGEMAKER_MODEL_SERVER_TIMEOUT", "soon")];
    let error = resolve(with_repository(), &wrong).unwrap_err();
    assert!(error.contains("SAGEMAKER_MODEL_SERVER_TIMEOUT"), "{error}");
}

#[test]
fn ports_outside_of_the_platforms_range_are_refused() {
    let at = |port: u16, range: &str| {
        let options = Options {
            bind: Some(([0, 0, 0, 0], port).into()),
            ..with_repository()
        };
        let env = [
            ("SAGEMAKER_BIND_TO_PORT", "9000"),
            ("SAGEMAKER_SAFE_PORT_RANGE", range),
        ];
        resolve(options, &env)
    };
    for port in [9000, 25000, 25999] {
        at(port, "25000-25999").unwrap();
    }
    let error = at(26000, "25000-25999").unwrap_err();
    assert!(error.contains("SAGEMAKER_SAFE_PORT_RANGE"), "{error}");
    for range in ["", "25000", "2-1", "a-b", "1-99999"] {
        assert!(at(9000, range).is_err(), "{range}");
    }
}
