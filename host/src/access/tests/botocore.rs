//! Requests that botocore has signed; `sign_with_botocore.py` makes them.

use serde::Deserialize;

use super::{ID, NOW, SECRET, Wire};

#[derive(Deserialize)]
struct Fixtures {
    access_key_id: String,
    secret: String,
    seconds: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    expected: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn cases() -> Vec<(Wire, String, String)> {
    let fixtures: Fixtures = serde_json::from_str(include_str!("botocore.json")).unwrap();
    let (id, secret) = (fixtures.access_key_id, fixtures.secret);
    assert_eq!(
        (id.as_str(), secret.as_str(), fixtures.seconds),
        (ID, SECRET, NOW)
    );
    let wire = |case: Case| {
        let wire = Wire {
            method: case.method,
            target: case.target,
            headers: case.headers,
            body: bytes(&case.body),
        };
        (wire, case.expected, case.name)
    };
    fixtures.cases.into_iter().map(wire).collect()
}

#[test]
fn what_botocore_signs_is_proven() {
    let cases = cases();
    assert!(cases.len() > 30);
    for (wire, expected, name) in cases {
        match wire.check() {
            Ok(key) => assert_eq!((expected.as_str(), key.name()), ("ok", "test"), "{name}"),
            Err(denied) => assert_eq!(expected, denied.code(), "{name}: {denied}"),
        }
    }
}

/// The request is refused once it is changed.
fn refused(wire: &Wire, change: impl FnOnce(&mut Wire)) {
    let mut changed = wire.clone();
    change(&mut changed);
    assert_ne!(changed, *wire);
    assert!(changed.check().is_err(), "{changed:?}");
}

fn good() -> impl Iterator<Item = Wire> {
    let good = |(wire, expected, _)| (expected == "ok").then_some(wire);
    cases().into_iter().filter_map(good)
}

#[test]
fn method_target_and_body_cannot_be_changed() {
    for wire in good() {
        refused(&wire, |wire| wire.method = "PUT".into());
        refused(&wire, |wire| {
            let end = wire.target.find('?').unwrap_or(wire.target.len());
            wire.target.insert(end, 'x');
        });
        refused(&wire, |wire| {
            let mark = if wire.target.contains('?') { '&' } else { '?' };
            wire.target.extend([mark, 'x']);
        });
        refused(&wire, |wire| wire.body.push(b'x'));
        for at in 0..wire.body.len() {
            refused(&wire, |wire| wire.body[at] ^= 1);
        }
    }
}

#[test]
fn signed_headers_cannot_be_changed() {
    for wire in good() {
        let authorization = wire.get("authorization").to_owned();
        let signed = authorization.split("SignedHeaders=").nth(1).unwrap();
        for name in signed.split(',').next().unwrap().split(';') {
            refused(&wire, |wire| {
                wire.set(name, &format!("{}x", wire.get(name)))
            });
            refused(&wire, |wire| {
                wire.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name))
            });
            refused(&wire, |wire| wire.headers.push((name.into(), "x".into())));
        }
    }
}

#[test]
fn no_byte_of_the_authorization_can_be_changed() {
    for wire in good() {
        let authorization = wire.get("authorization").to_owned();
        for at in 0..authorization.len() {
            let mut other = authorization.clone().into_bytes();
            other[at] ^= 1;
            let other = String::from_utf8(other).unwrap();
            refused(&wire, |wire| wire.set("authorization", &other));
        }
    }
}
