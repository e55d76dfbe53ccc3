//! The forms of proof that are taken, and those that are not.

use hyper::StatusCode;

use super::{ID, NOW, TOKEN, Wire, at, keys};

pub const SIGNATURE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn with(headers: &[(&str, &str)]) -> Wire {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Wire {
        method: "POST".into(),
        target: "/invocations".into(),
        headers: headers.iter().map(owned).collect(),
        body: b"1".to_vec(),
    }
}

pub fn authorized(authorization: &str) -> Wire {
    with(&[
        ("host", "127.0.0.1:8080"),
        ("x-amz-date", "20261122T214448Z"),
        ("authorization", authorization),
    ])
}

pub fn header(scope: &str, signed: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={SIGNATURE}")
}

pub fn scope() -> String {
    format!("{ID}/20261122/us-east-1/sagemaker/aws4_request")
}

#[test]
fn without_a_proof_there_is_no_claim() {
    let (code, message) = with(&[]).refusal();
    assert_eq!(code, "MissingAuthenticationTokenException");
    assert!(message.starts_with("Missing Authentication Token"));
}

#[test]
fn a_token_proves_itself() {
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let wire = with(&[("authorization", &format!("{scheme} {TOKEN}"))]);
        let claim = keys().check_head(&wire.request(), at(NOW)).unwrap();
        assert_eq!(claim.key().name(), "test");
        claim.prove(b"anything").unwrap();
        assert!(!claim.signs_body());
    }
}

#[test]
fn an_unknown_token_is_an_unknown_key() {
    let longer = format!("Bearer {TOKEN}x");
    let shorter = format!("Bearer {}", &TOKEN[1..]);
    for authorization in ["Bearer", "Bearer ", "Bearer x", &longer, &shorter] {
        let denied = authorized(authorization).check().unwrap_err();
        assert_eq!(denied.code(), "UnrecognizedClientException");
        assert_eq!(denied.status(), StatusCode::FORBIDDEN);
        assert_eq!(
            denied.to_string(),
            "The security token included in the request is invalid."
        );
    }
}

const INCOMPLETE: &str = "IncompleteSignatureException";
const INVALID: &str = "InvalidSignatureException";

/// The header that is right, with one piece replaced, is refused with this code and these words.
fn refused(from: &str, to: &str, code: &str, words: &str) {
    let good = header(&scope(), "host;x-amz-date");
    assert!(good.contains(from));
    let authorization = good.replace(from, to);
    let (got, message) = authorized(&authorization).refusal();
    assert_eq!(got, code, "{authorization}");
    assert!(message.contains(words), "{authorization}: {message}");
    assert!(!message.contains(SIGNATURE), "{message}");
}

#[test]
fn only_a_whole_signature_of_the_one_algorithm_is_taken() {
    let refused = |from, to, words| refused(from, to, INCOMPLETE, words);
    refused(
        "HMAC-SHA256",
        "ECDSA-P256-SHA256",
        "'AWS4-ECDSA-P256-SHA256'",
    );
    refused("Credential=", "Credentials=", "unknown name");
    refused("Credential=", "Credential", "without an equal-sign");
    refused("Signature=", "SignedHeaders=", "two 'SignedHeaders' parts");
    refused(SIGNATURE, "0, Signature=1", "two 'Signature' parts");
    refused(SIGNATURE, "0,", "without an equal-sign");
    refused(SIGNATURE, "", "requires 'Signature'");
    refused("host;x-amz-date", "", "requires 'SignedHeaders'");
    refused(&scope(), "", "requires 'Credential'");
}

#[test]
fn other_kinds_of_authorization_are_refused_and_not_repeated() {
    for authorization in ["", "Basic dXNlcjpwYXNz", "a-token-without-a-scheme"] {
        let (code, message) = authorized(authorization).refusal();
        assert_eq!(code, INCOMPLETE);
        assert_eq!(
            message,
            "The Authorization header must begin with 'AWS4-HMAC-SHA256' or 'Bearer'."
        );
    }
    let (code, message) = authorized("AWS4-HMAC-SHA256").refusal();
    assert_eq!(code, INCOMPLETE);
    assert!(message.contains("without an equal-sign"), "{message}");
}

#[test]
fn the_scope_must_be_of_the_day_and_the_service() {
    refused("/us-east-1", "", INCOMPLETE, "exactly 5");
    refused("us-east-1", "", INCOMPLETE, "exactly 5");
    refused("aws4_request", "aws4_request/x", INCOMPLETE, "exactly 5");
    refused(
        "sagemaker",
        "s3",
        INVALID,
        "correct service: 'sagemaker', not 's3'",
    );
    refused(
        "aws4_request",
        "aws5",
        INVALID,
        "'aws4_request', not 'aws5'",
    );
    refused("20261122", "20261121", INVALID, "'20261121' != '20261122'");
}

#[test]
fn the_signed_headers_must_be_there_and_in_order() {
    let signed = "host;x-amz-date";
    refused("host;", "", INVALID, "'Host' or ':authority' must be");
    refused(";x-amz-date", "", INVALID, "'x-amz-date' must be");
    refused("host;", "Host;", INCOMPLETE, "in lower case");
    refused(signed, "x-amz-date;host", INCOMPLETE, "sorted");
    refused(
        signed,
        "host;host;x-amz-date",
        INCOMPLETE,
        "each header once",
    );
    refused(
        signed,
        "host;missing;x-amz-date",
        INVALID,
        "no 'missing' header",
    );
}

#[test]
fn a_signature_that_is_wrong_is_refused() {
    let words = "does not match the signature you provided";
    refused("Signature=0", "Signature=1", INVALID, words);
    refused("cdef", "", INVALID, words);
}

#[test]
fn an_unknown_key_is_not_a_wrong_signature() {
    let other = scope().replace(ID, "MODELCELLTEST0000002");
    let (code, _) = authorized(&header(&other, "host;x-amz-date")).refusal();
    assert_eq!(code, "UnrecognizedClientException");
}

#[test]
fn spaces_and_order_of_the_parts_do_not_matter() {
    let scope = scope();
    for authorization in [
        header(&scope, "host;x-amz-date").replace(", ", ","),
        format!(
            "AWS4-HMAC-SHA256  Signature={SIGNATURE} ,SignedHeaders=host;x-amz-date,Credential={scope}"
        ),
    ] {
        let wire = authorized(&authorization);
        assert!(
            keys().check_head(&wire.request(), at(NOW)).is_ok(),
            "{authorization}"
        );
    }
}

#[test]
fn two_headers_that_should_be_one_are_refused() {
    for (name, value) in [
        ("authorization", header(&scope(), "host;x-amz-date")),
        ("authorization", format!("Bearer {TOKEN}")),
        ("x-amz-date", "20261122T214448Z".into()),
        ("host", "127.0.0.1:8080".into()),
    ] {
        let mut wire = authorized(&header(&scope(), "host;x-amz-date"));
        wire.headers.push((name.into(), value));
        let (code, message) = wire.refusal();
        assert_eq!(code, "IncompleteSignatureException");
        assert!(message.contains("more than one"), "{message}");
    }
}

/// A request of which the header `name` says when it was signed.
fn dated(name: &str, date: &str) -> Wire {
    let names = if name < "host" {
        [name, "host"]
    } else {
        ["host", name]
    };
    let authorization = header(&scope(), &names.join(";"));
    with(&[
        ("host", "a"),
        (name, date),
        ("authorization", &authorization),
    ])
}

#[test]
fn a_date_is_needed_in_the_right_form() {
    for date in [
        "",
        "now",
        "20261122",
        "20261122T214448",
        "20261122t214448z",
        "20261122T2144480",
        "20261122T2144480Z",
        "202611220T214448Z",
        "2026112éT214448Z",
        "20261122T2144+8Z",
        "20261322T214448Z",
        "20260230T214448Z",
        "20261122T254448Z",
        "20261122T214460Z",
        "00001122T214448Z",
        "19691231T235959Z",
        "2026-11-22T21:44:48Z",
        "+0261122T214448Z",
        "Sun, 22 Nov 2026 21:44:48 GMT",
    ] {
        let (code, message) = dated("x-amz-date", date).refusal();
        assert_eq!(code, INCOMPLETE, "{date}: {message}");
        assert!(message.contains("'basic format'"), "{message}");
    }
}

#[test]
fn the_date_may_stand_in_the_header_of_http() {
    for date in [
        "20261122T214448Z",
        "Sun, 22 Nov 2026 21:44:48 GMT",
        "Sun, 22 Nov 2026 21:44:48 +0000",
    ] {
        let wire = dated("date", date);
        assert!(
            keys().check_head(&wire.request(), at(NOW)).is_ok(),
            "{date}"
        );
        let mut unsigned = wire.clone();
        unsigned.set(
            "authorization",
            &wire.get("authorization").replace("date;", ""),
        );
        let (code, message) = unsigned.refusal();
        assert_eq!(code, INVALID);
        assert!(
            message.contains("'date' must be a 'SignedHeader'"),
            "{message}"
        );
    }
    let mut without = dated("date", "");
    without.headers.retain(|(name, _)| name != "date");
    let (code, message) = without.refusal();
    assert_eq!(code, INCOMPLETE);
    assert!(
        message.contains("either a 'X-Amz-Date' or a 'Date'"),
        "{message}"
    );
}

#[test]
fn the_body_must_be_the_one_that_a_header_tells_of() {
    let mut wire = authorized(&header(&scope(), "host;x-amz-content-sha256;x-amz-date"));
    wire.set("x-amz-content-sha256", SIGNATURE);
    let (code, message) = wire.refusal();
    assert_eq!(code, INVALID);
    assert!(
        message.contains("does not match what was computed"),
        "{message}"
    );
}

#[test]
fn bodies_that_are_not_signed_are_refused() {
    for value in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "",
        &SIGNATURE.to_uppercase(),
    ] {
        let mut wire = authorized(&header(&scope(), "host;x-amz-content-sha256;x-amz-date"));
        wire.set("x-amz-content-sha256", value);
        let (code, message) = wire.refusal();
        assert_eq!(code, "InvalidSignatureException");
        assert!(
            message.contains("x-amz-content-sha256 must be"),
            "{message}"
        );
    }
}

#[test]
fn presigned_urls_are_refused_by_name() {
    for query in ["X-Amz-Signature=1", "a=b&x-amz-algorithm=AWS4-HMAC-SHA256"] {
        let mut wire = with(&[]);
        wire.target = format!("/invocations?{query}");
        let (code, message) = wire.refusal();
        assert_eq!(code, "IncompleteSignatureException");
        assert!(message.contains("Presigned"), "{message}");
    }
}
