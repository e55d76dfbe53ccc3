//! Which headers are signed, and which must be.
//!
//! AWS asks for `host`, the date and every `x-amz-*` header; the host takes its orders from
//! `X-Amzn-SageMaker-*`, so those, too. A client cannot be made to sign `Content-Type` and `Accept`:
//! AWS's SDK for PHP leaves both out. The others sign them, and as the list of signed headers is
//! itself signed, nobody can take a header from it. `X-Amzn-Trace-Id` is signed by none, and load
//! balancers set it, as they do other `x-amzn-*` headers, which the host does not look at.

use hyper::header::{HOST, HeaderMap};

use crate::access::denied::{Denied, shown};

/// Beginnings of the names of headers that must be signed wherever they are.
const MUST: [&str; 2] = ["x-amz-", "x-amzn-sagemaker-"];

/// But for these, which are added on the way (the first by CloudFront) and change nothing.
const NEED_NOT: [&str; 2] = ["x-amz-cf-id", "x-amz-user-agent"];

/// The most bytes of all names together: each header of a request is looked for among them, before
/// anybody has proven anything.
const LIMIT: usize = 8192;

/// The names of the signed headers.
pub struct SignedHeaders<'a> {
    text: &'a str,
}

impl<'a> SignedHeaders<'a> {
    /// Takes the names: in lower case, sorted, each once.
    pub fn parse(text: &'a str) -> Result<Self, Denied> {
        if text.len() > LIMIT {
            return Err(Denied::Incomplete(format!(
                "SignedHeaders must have at most {LIMIT} characters."
            )));
        }
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        if upper || !text.split(';').is_sorted_by(|a, b| a < b) {
            return Err(Denied::Incomplete(
                "SignedHeaders must be in lower case, sorted, and name each header once.".into(),
            ));
        }
        Ok(Self { text })
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.text.split(';')
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    pub fn has(&self, name: &str) -> bool {
        self.names().any(|signed| signed == name)
    }

    /// Refuses a request with headers that must be signed and are not. Each of them stands for one
    /// value: in a signature two headers are the same as one with a comma.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        if !self.has("host") {
            return Err(Denied::Invalid(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into(),
            ));
        }
        let must = |name: &str| MUST.iter().any(|start| name.starts_with(start));
        for name in headers.keys() {
            let need_not = NEED_NOT.contains(&name.as_str());
            if name != HOST && (need_not || !must(name.as_str())) {
                continue;
            }
            if !self.has(name.as_str()) {
                return Err(Denied::Invalid(format!(
                    "'{}' must be a 'SignedHeader' in the AWS Authorization.",
                    shown(name.as_str())
                )));
            }
            if headers.get_all(name).iter().nth(1).is_some() {
                return Err(twice(name.as_str()));
            }
        }
        Ok(())
    }
}

/// The refusal of a header that is there more than once.
pub fn twice(name: &str) -> Denied {
    Denied::Incomplete(format!(
        "The request has more than one '{}' header.",
        shown(name)
    ))
}

/// What `x-amz-content-sha256` says of the body: its digest in hexadecimal.
pub fn content_digest(headers: &HeaderMap) -> Result<Option<String>, Denied> {
    let Some(value) = headers.get("x-amz-content-sha256") else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or_default().trim();
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if value.len() == 64 && value.bytes().all(digit) {
        return Ok(Some(value.to_owned()));
    }
    Err(Denied::Invalid(format!(
        "x-amz-content-sha256 must be the SHA-256 of the body in lower-case hexadecimal; '{}' is \
         not supported.",
        shown(value)
    )))
}
