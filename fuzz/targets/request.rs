//! Requests: what their route, headers, query and body become, and answers with what a guest says.
//!
//! An input looks like a request: `METHOD PATH?QUERY`, headers, an empty line, the body.

#![no_main]

use std::path::{Component, Path};
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{HeaderMap, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use modelcell::access::Keys;
use modelcell::budget::{Account, Budget};
use modelcell::error::Error;
use modelcell::headers::{CUSTOM_ATTRIBUTES, INFERENCE_ID, TARGET_VARIANT, check};
use modelcell::hooks::Payload;
use modelcell::invoke::{Target, guest_request};
use modelcell::load::Source;
use modelcell::manage::{LoadRequest, find_source};
use modelcell::repository::ModelName;
use modelcell::response::{self, Reply};
use modelcell::route::{Operation, Route, route};
use modelcell::runtime_api::Echo;
use modelcell::sandbox::printable;
use modelcell_fuzz::{Capped, check_line};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: Capped<{ 16 << 20 }> = Capped;

const TARGET_MODEL: &str = "x-amzn-sagemaker-target-model";

fuzz_target!(|data: &[u8]| {
    let request = Request::parse(data);
    check_route(&request);
    check_invocation(&request);
    check_runtime(&request);
    check_access(&request);
    check_load(&request);
    check_answer(&request);
    check_error(&request);
});

struct Request<'a> {
    method: Method,
    path: &'a str,
    query: Option<&'a str>,
    headers: HeaderMap,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(data: &'a [u8]) -> Self {
        let (line, mut rest) = line(data);
        let line = std::str::from_utf8(line).unwrap_or_default();
        let (method, uri) = line.split_once(' ').unwrap_or(("GET", line));
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (uri, None),
        };
        let mut headers = HeaderMap::new();
        loop {
            let (header, tail) = self::line(rest);
            rest = tail;
            let Some(colon) = header.iter().position(|byte| *byte == b':') else {
                break;
            };
            let (name, value) = header.split_at(colon);
            let value = value[1..].trim_ascii();
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value.try_into()) {
                headers.append(name, value);
            }
        }
        Self {
            method: method.parse().unwrap_or_default(),
            path,
            query,
            headers,
            body: rest,
        }
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(|value| value.as_bytes())
    }

    /// The body as the text that a guest might answer with.
    fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// A name has one route, however it is written.
fn check_route(request: &Request<'_>) {
    let Request { method, path, .. } = request;
    let found = match route(method, path) {
        Ok(found) => found,
        Err(error) => return check_reply(&response::error(&error), &error),
    };
    let Route::Of(endpoint, operation) = &found else {
        return;
    };
    let (name, ending) = match operation {
        Operation::Describe(name) | Operation::Unload(name) => (name, ""),
        Operation::Invoke(name) => (name, "/invoke"),
        _ => return,
    };
    check_name(name);
    let encoded = |name| utf8_percent_encode(name, NON_ALPHANUMERIC);
    let before = endpoint.as_deref().map_or(String::new(), |name| {
        format!("/endpoints/{}", encoded(name))
    });
    let again = route(
        method,
        &format!("{before}/models/{}{ending}", encoded(name)),
    );
    assert_eq!(again.unwrap(), found);
}

/// What a repository takes for a name stays inside of it, and is the only name of its place.
fn check_name(name: &str) {
    let parsed = match ModelName::parse(name) {
        Ok(parsed) => parsed,
        Err(error) => return check_line(&error.to_string()),
    };
    assert_eq!(parsed.as_str(), name);
    assert!(name.len() <= 1024);
    check_line(name);
    let root = Path::new("/models");
    let path = root.join(parsed.as_str());
    let inside = path.strip_prefix(root).unwrap();
    assert!(
        inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
    );
    let parts: Vec<&str> = inside
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .collect();
    assert_eq!(parts.join("/"), name);
}

/// Headers reach the guest as they are, or not at all.
fn check_invocation(request: &Request<'_>) {
    let headers = &request.headers;
    let named = request.header(TARGET_MODEL);
    match Target::of_invocation(headers, request.query) {
        Ok(Target::Named(Some(name))) => {
            assert!(named.is_none_or(|header| header == name.as_bytes()));
            check_name(&name);
        }
        Ok(Target::Named(None)) => assert!(named.is_none()),
        Ok(Target::Loaded(_)) => panic!("no invocation is of a model that must be loaded"),
        Err(error) => {
            assert!(matches!(error, Error::BadRequest(_)), "{error}");
            assert!(named.is_some_and(|header| std::str::from_utf8(header).is_err()));
        }
    }
    let Ok(guest) = guest_request(headers, request.body.to_vec().into()) else {
        assert!(
            headers
                .values()
                .any(|value| std::str::from_utf8(value.as_bytes()).is_err())
        );
        return;
    };
    for (value, name) in [
        (&guest.content_type, "content-type"),
        (&guest.accept, "accept"),
        (&guest.target_model, TARGET_MODEL),
        (&guest.custom_attributes, CUSTOM_ATTRIBUTES.as_str()),
        (&guest.inference_id, INFERENCE_ID.as_str()),
        (&guest.target_variant, TARGET_VARIANT.as_str()),
    ] {
        assert_eq!(value.as_deref().map(str::as_bytes), request.header(name));
    }
    assert_eq!(guest.body.as_slice(), request.body);
}

/// Nobody who does not know a secret has a key.
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    Keys::parse(
        "[keys.a]\naccess-key-id = 'ACCESSKEYID00001'\nsecret-access-key = 'unknown to the fuzzer'\n\
         [keys.b]\ntoken = 'unknown to the fuzzer'",
    )
    .unwrap()
});

fn check_access(request: &Request<'_>) {
    let target = match request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.to_owned(),
    };
    let call = hyper::Request::builder()
        .method(&request.method)
        .uri(target);
    let Ok(mut call) = call.body(()) else {
        return;
    };
    *call.headers_mut() = request.headers.clone();
    // The time that the inputs of the corpus were signed for.
    let now = UNIX_EPOCH + Duration::from_secs(1_795_348_800);
    let denied = match KEYS.check_head(&call, now) {
        Ok(claim) => claim.prove(request.body).unwrap_err(),
        Err(denied) => denied,
    };
    check_line(&denied.to_string());
    assert!(denied.status().is_client_error());
}

/// Headers that pass reach a client again as they came.
fn check_runtime(request: &Request<'_>) {
    if let Err(error) = check(&request.headers) {
        check_line(&error.to_string());
        let told = response::runtime_error(&error);
        assert_eq!(told.headers()["x-amzn-errortype"], "ValidationError");
    }
    let mut reply = response::runtime_error(&Error::NoSuchRoute);
    response::echo(&mut reply, Echo::of(&request.headers));
    assert!(reply.headers().contains_key("x-amzn-requestid"));
}

/// A place with a model, beside what no request may name.
static PLACE: LazyLock<TempDir> = LazyLock::new(|| {
    let place = tempfile::tempdir().unwrap();
    for dir in ["root/model", "secret"] {
        std::fs::create_dir_all(place.path().join(dir)).unwrap();
    }
    std::os::unix::fs::symlink(place.path().join("secret"), place.path().join("root/link"))
        .unwrap();
    place
});

/// A load is of a name in the repository, or of what lies under a root.
fn check_load(request: &Request<'_>) {
    let load = match LoadRequest::parse(&request.headers, request.query, request.body) {
        Ok(load) => load,
        Err(error) => {
            assert_eq!(error.status().0, StatusCode::BAD_REQUEST);
            return check_reply(&response::error(&error), &error);
        }
    };
    assert!((1..=1024).contains(&load.name.len()));
    check_line(&load.name);
    assert!(!load.url.is_empty());
    let root = PLACE.path().join("root");
    // So that an input can name places there, wherever it is.
    let url = load.url.replace("ROOT", &root.display().to_string());
    match find_source(&url, None, std::slice::from_ref(&root)) {
        Ok(Source::Directory(path) | Source::Archive(path)) => {
            assert!(
                path.canonicalize()
                    .unwrap()
                    .starts_with(root.canonicalize().unwrap())
            );
        }
        Ok(Source::Repository(name)) => panic!("there is no repository, but {name}"),
        Err(error) => {
            assert!(error.status().0.is_client_error(), "{error}");
            check_reply(&response::error(&error), &error);
        }
    }
}

/// What a guest answers is sent as it is, or is an error; it never makes headers of its own.
fn check_answer(request: &Request<'_>) {
    let text = request.text();
    let (content_type, attributes) = text.split_once('\0').unwrap_or((&text, ""));
    let payload = Payload {
        body: request.body.to_vec(),
        content_type: content_type.to_owned(),
        custom_attributes: Some(attributes.to_owned()),
    };
    let charge = Account::new(&Budget::new(1 << 30)).charge(0).unwrap();
    let fits = |text: &str| {
        let plain = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        text.len() <= 1024 && text.bytes().all(plain)
    };
    let expected = fits(content_type) && fits(attributes);
    let Ok(reply) = response::payload(payload, charge) else {
        assert!(!expected);
        return;
    };
    assert!(expected);
    let sent = |name| reply.headers().get(name).map(|value| value.as_bytes());
    let content_type = Some(content_type.as_bytes()).filter(|text| !text.is_empty());
    assert_eq!(sent(CONTENT_TYPE), content_type);
    assert_eq!(sent(CUSTOM_ATTRIBUTES), Some(attributes.as_bytes()));
}

/// Whatever an error says, it is a body of JSON that clients can read, and a line in the log.
fn check_error(request: &Request<'_>) {
    let text = request.text();
    check_line(&printable(&text));
    let error = Error::BadRequest(text);
    check_reply(&response::error(&error), &error);
}

fn check_reply(reply: &Reply, error: &Error) {
    assert_eq!(reply.status(), error.status().0);
    assert!(reply.status().is_client_error() || reply.status().is_server_error());
    let json: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(json["code"], reply.status().as_u16());
    let message = json["message"].as_str().unwrap();
    assert!(message.len() <= 1900 + '…'.len_utf8());
    let text = error.to_string();
    assert!(text.starts_with(message.trim_end_matches('…')));
}
