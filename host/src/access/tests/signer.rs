//! Requests that AWS's signer for Rust has signed.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SessionTokenMode};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;

use super::{ID, NOW, SECRET, Wire, at, keys};

fn unsigned(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Wire {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Wire {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(owned).collect(),
        body: body.to_vec(),
    }
}

fn sign_at(mut wire: Wire, region: &str, seconds: u64, digest: PayloadChecksumKind) -> Wire {
    let identity = Credentials::new(ID, SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = digest;
    settings.session_token_mode = SessionTokenMode::Exclude;
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sagemaker")
        .time(at(seconds))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let headers = wire.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let url = format!("http://127.0.0.1:8080{}", wire.target);
    let body = SignableBody::Bytes(&wire.body);
    let request = SignableRequest::new(&wire.method, url, headers, body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let added: Vec<_> = instructions
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    wire.headers.extend(added);
    wire.set("host", "127.0.0.1:8080");
    wire
}

fn sign_now(wire: Wire) -> Wire {
    sign_at(wire, "us-east-1", NOW, PayloadChecksumKind::NoHeader)
}

#[test]
fn what_the_signer_signs_is_proven() {
    let model = ("x-amzn-sagemaker-target-model", "a  b.tar.gz");
    for wire in [
        unsigned("GET", "/models", &[], b""),
        unsigned(
            "POST",
            "/invocations",
            &[("content-type", "text/csv"), model],
            b"1,2",
        ),
        unsigned(
            "POST",
            "/endpoints/churn/invocations",
            &[model],
            &[0, 255, 10],
        ),
        unsigned("DELETE", "/models/a%2Fb%20c//d/../e@f", &[], b""),
        unsigned("GET", "/models?b=2&a=%20%C3%BC&a=1&c", &[], b""),
        unsigned("GET", "/models", &[("x-two", "b  c"), ("x-two", "a")], b""),
    ] {
        for digest in [
            PayloadChecksumKind::NoHeader,
            PayloadChecksumKind::XAmzSha256,
        ] {
            let signed = sign_at(wire.clone(), "us-east-1", NOW, digest);
            assert_eq!(signed.check().unwrap().name(), "test", "{signed:?}");
        }
    }
}

/// Five minutes either way, to the second.
#[test]
fn the_clock_may_be_off_by_five_minutes() {
    let wire = sign_now(unsigned("GET", "/models", &[], b""));
    for now in [NOW - 300, NOW, NOW + 300] {
        wire.check_at(&keys(), now).unwrap();
    }
    let refusal = |now| {
        let denied = wire.check_at(&keys(), now).unwrap_err();
        assert_eq!(denied.code(), "InvalidSignatureException");
        denied.to_string()
    };
    assert_eq!(
        refusal(NOW + 301),
        "Signature expired: 20261122T214448Z is now earlier than 20261122T214449Z \
         (20261122T214949Z - 5 min.)"
    );
    assert_eq!(
        refusal(NOW - 301),
        "Signature not yet current: 20261122T214448Z is still later than 20261122T214447Z \
         (20261122T213947Z + 5 min.)"
    );
}

/// The signing key that is kept is used only for its own day and region, and never as a proof.
#[test]
fn a_kept_signing_key_serves_its_day_and_region_only() {
    let keys = keys();
    let day = 24 * 60 * 60;
    for _ in 0..2 {
        for (region, seconds) in [
            ("us-east-1", NOW),
            ("us-east-1", NOW),
            ("eu-west-1", NOW),
            ("eu-west-1", NOW + day),
            ("us-east-1", NOW),
        ] {
            let wire = unsigned("GET", "/models", &[], b"");
            let wire = sign_at(wire, region, seconds, PayloadChecksumKind::NoHeader);
            wire.check_at(&keys, seconds).unwrap();
            let mut forged = wire.clone();
            forged.body = b"x".to_vec();
            assert!(forged.check_at(&keys, seconds).is_err());
            let mut elsewhere = wire;
            let authorization = elsewhere.get("authorization").replace(region, "us-west-2");
            elsewhere.set("authorization", &authorization);
            assert!(elsewhere.check_at(&keys, seconds).is_err());
        }
    }
}

/// Nobody in between may say what the host does.
#[test]
fn headers_that_order_the_host_about_must_be_signed() {
    let wire = sign_now(unsigned("POST", "/invocations", &[("x-two", "a")], b"1"));
    for name in [
        "X-Amzn-SageMaker-Target-Model",
        "X-Amzn-SageMaker-Target-Variant",
        "X-Amzn-SageMaker-Custom-Attributes",
        "X-Amz-Anything",
        "X-Amz-Content-SHA256",
    ] {
        let mut changed = wire.clone();
        changed.set(name, "x");
        let (code, message) = changed.refusal();
        assert_eq!(code, "InvalidSignatureException");
        let name = name.to_lowercase();
        assert_eq!(
            message,
            format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")
        );
    }
}

#[test]
fn headers_of_load_balancers_and_clients_need_not_be_signed() {
    let mut wire = sign_now(unsigned("POST", "/invocations", &[], b"1"));
    for name in [
        "user-agent",
        "accept",
        "content-type",
        "x-amzn-trace-id",
        "x-amzn-oidc-data",
        "x-amz-cf-id",
        "x-amz-user-agent",
        "x-forwarded-for",
        "amz-sdk-request",
        "date",
    ] {
        wire.set(name, "x");
    }
    wire.check().unwrap();
}

/// One header of two values and two of one are signed alike, so neither may stand for the other.
#[test]
fn an_order_is_given_once() {
    let model = ("x-amzn-sagemaker-target-model", "a,b");
    let mut wire = sign_now(unsigned("POST", "/invocations", &[model], b"1"));
    wire.check().unwrap();
    wire.set(model.0, "a");
    wire.headers.push((model.0.to_owned(), "b".to_owned()));
    let (code, message) = wire.refusal();
    assert_eq!(code, "IncompleteSignatureException");
    assert!(message.contains("more than one 'x-amzn-sagemaker-target-model'"));
}

/// HTTP/2 has the host in the URI.
#[test]
fn the_authority_is_the_host() {
    let mut wire = sign_now(unsigned("POST", "/invocations", &[], b"1"));
    wire.headers.retain(|(name, _)| name != "host");
    let (code, message) = wire.refusal();
    assert_eq!(code, "InvalidSignatureException");
    assert!(message.contains("no 'host' header"), "{message}");
    wire.target = "http://127.0.0.1:8080/invocations".into();
    wire.check().unwrap();
    let mut other = wire.clone();
    other.target = "http://127.0.0.1:8081/invocations".into();
    other.check().unwrap_err();
    let authorization = wire.get("authorization").replace("host;", "host;missing;");
    wire.set("authorization", &authorization);
    assert!(wire.refusal().1.contains("no 'missing' header"));
}

#[test]
fn a_space_may_be_sent_as_plus() {
    let mut wire = sign_now(unsigned(
        "GET",
        "/models?next_page_token=a%20b%2Bc",
        &[],
        b"",
    ));
    wire.target = "/models?next_page_token=a+b%2bc".into();
    wire.check().unwrap();
    wire.target = "/models?next_page_token=a+b+c".into();
    wire.check().unwrap_err();
}

#[test]
fn a_signature_is_of_one_key() {
    let mut wire = sign_now(unsigned("GET", "/models", &[], b""));
    let keys = super::Keys::parse(&format!(
        "[keys.a]\naccess-key-id = \"{ID}\"\nsecret-access-key = \"{SECRET}x\"\n\
         [keys.b]\naccess-key-id = \"MODELCELLOTHER000001\"\nsecret-access-key = \"{SECRET}\"\n"
    ))
    .unwrap();
    let denied = wire.check_at(&keys, NOW).unwrap_err();
    assert_eq!(denied.code(), "InvalidSignatureException");
    let authorization = wire
        .get("authorization")
        .replace(ID, "MODELCELLOTHER000002");
    wire.set("authorization", &authorization);
    let denied = wire.check_at(&keys, NOW).unwrap_err();
    assert_eq!(denied.code(), "UnrecognizedClientException");
}
