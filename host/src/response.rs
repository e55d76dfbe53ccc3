//! Everything that goes back over HTTP: the only place that builds responses.

use bytes::Bytes;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::budget::Charge;
use crate::error::Error;
use crate::headers::{CUSTOM_ATTRIBUTES, INFERENCE_ID};
use crate::hooks::Payload;
use crate::runtime_api::{Echo, RuntimeError};

/// A response whose body is in memory.
pub type Reply = Response<Bytes>;

/// The name of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Which exception a client of AWS's raises.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Milliseconds: what AWS's clients look at instead of `Retry-After`.
const AMZ_RETRY_AFTER: HeaderName = HeaderName::from_static("x-amz-retry-after");

/// Which variant answered.
const INVOKED_VARIANT: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");

/// The longest content type and custom attributes of an answer, in bytes, as SageMaker has it.
const HEADER_LIMIT: usize = 1024;

/// The longest error text, in bytes. SageMaker's clients see about 2,000 of an error's body.
const MESSAGE_LIMIT: usize = 1900;

/// The body of errors, as multi-model-server has it.
#[derive(Serialize)]
struct ErrorBody<'a> {
    code: u16,
    r#type: &'a str,
    message: &'a str,
}

/// 200 without a body, as SageMaker wants `/ping`.
pub fn empty() -> Reply {
    Response::new(Bytes::new())
}

/// A JSON body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    // Serializing plain structures to memory cannot fail.
    json_text(status, serde_json::to_vec(body).unwrap_or_default())
}

fn json_text(status: StatusCode, text: Vec<u8>) -> Reply {
    let mut reply = Response::new(Bytes::from(text));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Metrics in the text format of Prometheus.
pub fn metrics(text: Vec<u8>) -> Reply {
    let mut reply = Response::new(Bytes::from(text));
    let content_type = HeaderValue::from_static(crate::metrics::CONTENT_TYPE);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// A model's answer, whose body is charged to `charge` until it is sent.
///
/// # Errors
///
/// [`Error::BadAnswer`] if the model's headers are not valid in HTTP, or too long.
pub fn payload(payload: Payload, charge: Charge) -> Result<Reply, Error> {
    let body = Bytes::from_owner(Charged {
        body: payload.body,
        _charge: charge,
    });
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    if !payload.content_type.is_empty() {
        let value = header_value(payload.content_type).ok_or(Error::BadAnswer(
            "a content type that is too long or not valid in HTTP",
        ))?;
        headers.insert(CONTENT_TYPE, value);
    }
    if let Some(attributes) = payload.custom_attributes {
        let value = header_value(attributes).ok_or(Error::BadAnswer(
            "custom attributes that are too long or not valid in HTTP",
        ))?;
        headers.insert(CUSTOM_ATTRIBUTES, value);
    }
    Ok(reply)
}

/// A body and what it holds of the memory for requests in flight.
struct Charged {
    body: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn header_value(text: String) -> Option<HeaderValue> {
    if text.len() > HEADER_LIMIT {
        return None;
    }
    HeaderValue::try_from(text).ok()
}

/// An error of the container contract.
pub fn error(error: &Error) -> Reply {
    let (status, _) = error.status();
    let mut reply = json_text(status, error_text(error).into());
    error_headers(reply.headers_mut(), error);
    reply
}

/// The body of an error of the container contract.
pub fn error_text(error: &Error) -> String {
    let (status, kind) = error.status();
    let mut message = error.to_string();
    if message.len() > MESSAGE_LIMIT {
        message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
        message.push('…');
    }
    let body = ErrorBody {
        code: status.as_u16(),
        r#type: kind,
        message: &message,
    };
    // Serializing plain structures to memory cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}

/// An error of the runtime API.
pub fn runtime_error(error: &Error) -> Reply {
    let told = RuntimeError::from(error);
    let mut reply = json(told.status, &told);
    let headers = reply.headers_mut();
    headers.insert(ERROR_TYPE, HeaderValue::from_static(told.code));
    error_headers(headers, error);
    reply
}

/// Adds what the runtime API says with each answer.
pub fn echo(reply: &mut Reply, echo: Echo) {
    let answered = reply.status().is_success();
    let headers = reply.headers_mut();
    let mut add = |name, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    add(REQUEST_ID, echo.request_id);
    if answered {
        add(INVOKED_VARIANT, echo.variant);
    }
    if let Some(id) = echo.inference_id {
        add(INFERENCE_ID, id);
    }
}

fn error_headers(headers: &mut HeaderMap, error: &Error) {
    if let Some(after) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        headers.insert(AMZ_RETRY_AFTER, HeaderValue::from(after.as_millis() as u64));
    }
    match error {
        Error::MethodNotAllowed { allow } => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        // The rest of the body is not read, so nothing more can come over this connection.
        Error::BodyTooLarge(_)
        | Error::BodyTimeout
        | Error::Overloaded
        | Error::TooMany(_)
        | Error::Stopping
        | Error::Late => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
}
