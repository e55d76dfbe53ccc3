//! The request in the form that is signed, from what is on the wire, as botocore makes it for every
//! service but S3.

use std::borrow::Cow;

use hyper::header::HOST;
use hyper::{HeaderMap, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::headers::SignedHeaders;
use crate::access::denied::{Denied, shown};

/// All but the characters that nobody needs to encode: <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The canonical request up to the digest of the body, which is the last line.
pub fn head<B>(request: &Request<B>, signed: &SignedHeaders<'_>) -> Result<Vec<u8>, Denied> {
    let mut out = format!(
        "{}\n{}\n{}\n",
        request.method(),
        path(request.uri().path()),
        query(request.uri().query().unwrap_or_default()),
    )
    .into_bytes();
    for name in signed.names() {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        append_values(&mut out, name, request.headers(), request.uri())?;
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed.text().as_bytes());
    out.push(b'\n');
    Ok(out)
}

/// The path without empty and dot segments, encoded once more.
fn path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    let plain = format!("/{}{end}", segments.join("/"));
    percent_encode(plain.as_bytes(), RESERVED_IN_PATH).to_string()
}

/// The parameters, encoded in the one way that is right, and sorted. What the query means counts,
/// not how it is written: clients sign `%20` and send `+`.
fn query(query: &str) -> String {
    if query.is_empty() {
        return String::new();
    }
    let encode = |text: &str| {
        let text = text.replace('+', " ");
        let bytes: Cow<'_, [u8]> = percent_decode(text.as_bytes()).into();
        percent_encode(&bytes, RESERVED).to_string()
    };
    let parameter = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (encode(name), encode(value))
    };
    let mut parameters: Vec<_> = query.split('&').map(parameter).collect();
    parameters.sort();
    let parameters = parameters
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    parameters.collect::<Vec<_>>().join("&")
}

/// The values of a signed header, with commas in between.
fn append_values(
    out: &mut Vec<u8>,
    name: &str,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), Denied> {
    let mut values = headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        // In HTTP/2 the host is no header.
        let authority = uri.authority().filter(|_| name == HOST.as_str());
        let authority = authority.ok_or_else(|| {
            Denied::Invalid(format!(
                "The request has no '{}' header, which is a 'SignedHeader' in the AWS \
                 Authorization. Does a proxy remove it?",
                shown(name)
            ))
        })?;
        out.extend_from_slice(authority.as_str().as_bytes());
    }
    while let Some(value) = values.next() {
        append_folded(out, value.as_bytes());
        if values.peek().is_some() {
            out.push(b',');
        }
    }
    Ok(())
}

/// Appends a value without white space around it, and with single spaces in it.
fn append_folded(out: &mut Vec<u8>, value: &[u8]) {
    let words = value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    for (n, word) in words.enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}
