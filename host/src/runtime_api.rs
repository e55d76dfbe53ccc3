//! SageMaker's runtime API, so that its clients work unchanged: what InvokeEndpoint says beside the
//! container contract, and how its errors are told.
//!
//! The wire format is that of botocore's model of the service `sagemaker-runtime`; statuses and codes
//! are in <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>.

use std::fmt::Write;

use hyper::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::load::LoadError;
use crate::models::ModelsError;
use crate::repository::RepositoryError;
use crate::response;

/// The longest message. Clients print it whole.
const MESSAGE_LIMIT: usize = 2048;

/// An error as SageMaker's clients read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeError {
    /// Which exception a client raises; sent in a header.
    #[serde(skip)]
    pub code: &'static str,
    /// The HTTP status.
    #[serde(skip)]
    pub status: StatusCode,
    message: String,
    #[serde(flatten)]
    original: Option<Original>,
}

/// What the container of a real endpoint would have answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Original {
    original_status_code: u16,
    original_message: String,
    /// There is no log group here. Programs that read the field find it empty.
    log_stream_arn: &'static str,
}

impl From<&Error> for RuntimeError {
    fn from(error: &Error) -> Self {
        let (status, kind) = error.status();
        let of = |code, status| Self {
            code,
            status,
            message: shortened(message(error)),
            original: None,
        };
        match error {
            Error::Denied(denied) => of(denied.code(), denied.status()),
            Error::NoSuchRoute | Error::MethodNotAllowed { .. } => {
                of("UnknownOperationException", status)
            }
            _ if is_callers_fault(error) => of("ValidationError", StatusCode::BAD_REQUEST),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => of("ServiceUnavailable", status),
            _ if status == StatusCode::TOO_MANY_REQUESTS => of("ModelNotReadyException", status),
            // 530 is none of HTTP's own, but what AWS has.
            _ if status == StatusCode::BAD_GATEWAY => of(
                "InternalDependencyException",
                StatusCode::from_u16(530).unwrap_or(status),
            ),
            _ if kind == "InternalServerException" || kind == "InsufficientStorage" => {
                of("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => model_error(error, status),
        }
    }
}

/// What AWS checks before the container sees anything: the request, and that there is such a model.
fn is_callers_fault(error: &Error) -> bool {
    let of_repository = |error: &RepositoryError| {
        matches!(
            error,
            RepositoryError::BadName(_)
                | RepositoryError::Leaves(_)
                | RepositoryError::Ambiguous(_)
                | RepositoryError::NotFound(_)
                // AWS says so, too, when the endpoint's role may not read an artifact.
                | RepositoryError::Denied { .. }
                | RepositoryError::ListDenied(_)
        )
    };
    match error {
        Error::BadRequest(_)
        | Error::BodyTooLarge(_)
        | Error::BodyTimeout
        | Error::NoSuchEndpoint(_)
        | Error::NoDefaultEndpoint
        | Error::Models(ModelsError::NotFound(_)) => true,
        Error::Repository(error) => of_repository(error),
        Error::Models(ModelsError::Load(error)) => match &**error {
            LoadError::Repository(error) => of_repository(error),
            error => matches!(error, LoadError::NotFound(_)),
        },
        _ => false,
    }
}

/// The error's own words, after AWS's where it has some for the same.
fn message(error: &Error) -> String {
    let missing = match error {
        Error::Repository(RepositoryError::NotFound(name)) => Some(name),
        Error::Models(ModelsError::NotFound(name)) => Some(name),
        Error::Models(ModelsError::Load(load)) => match &**load {
            LoadError::NotFound(name) | LoadError::Repository(RepositoryError::NotFound(name)) => {
                Some(name)
            }
            _ => None,
        },
        _ => None,
    };
    match (missing, error) {
        (Some(name), _) => format!(
            "Failed to download model data (model: {name}). Please ensure that there is an artifact \
             of this name in the endpoint's repository"
        ),
        (None, Error::BodyTooLarge(limit)) => {
            format!("HTTP content length exceeded {limit} bytes (--max-body)")
        }
        (None, Error::NoSuchRoute) => {
            "There is no such operation here: this host has InvokeEndpoint alone \
             (POST /endpoints/NAME/invocations), which answers at once and as a whole"
                .into()
        }
        _ => error.to_string(),
    }
}

/// The model is to blame, or what it was given: AWS passes on what the container answered.
fn model_error(error: &Error, status: StatusCode) -> RuntimeError {
    let original_message = response::error_text(error);
    let side = match status.is_client_error() {
        true => "client",
        false => "server",
    };
    let mut message = format!("Received {side} error ({}) from primary", status.as_u16());
    // Writing to a string cannot fail.
    let _ = write!(message, " with message \"{original_message}\"");
    RuntimeError {
        code: "ModelError",
        status: StatusCode::FAILED_DEPENDENCY,
        message: shortened(message),
        original: Some(Original {
            original_status_code: status.as_u16(),
            original_message,
            log_stream_arn: "",
        }),
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
        message.push('…');
    }
    message
}

/// What of a request comes back in its answer, whatever became of it.
pub struct Echo {
    /// A name for this request, for the log and for whoever asks about it.
    pub request_id: String,
    /// The variant that the caller asked for. There is one alone, which has the name of AWS's consoles
    /// if nobody asks.
    pub variant: String,
    /// The caller's own name for the request.
    pub inference_id: Option<String>,
}

impl Echo {
    /// Of a request with these headers. What is not valid there is left out.
    pub fn of(headers: &HeaderMap) -> Self {
        let valid = |name| match crate::headers::text(headers, name) {
            Ok(Some(text)) if text.len() <= 64 => Some(text.to_owned()),
            _ => None,
        };
        Self {
            request_id: request_id(),
            variant: valid(&crate::headers::TARGET_VARIANT)
                .filter(|name| crate::headers::is_name(name))
                .unwrap_or_else(|| "AllTraffic".into()),
            inference_id: valid(&crate::headers::INFERENCE_ID),
        }
    }
}

/// A random UUID (version 4 of RFC 9562).
fn request_id() -> String {
    let mut bytes = [0; 16];
    // The kernel has randomness since before this process began.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let bits = u128::from_be_bytes(bytes);
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::access::Denied;
    use crate::budget::NoRoom;
    use crate::hooks::{GuestError, Hook};
    use crate::repository::{Outage, SetupFault};
    use crate::sandbox::{CellError, HookFault};
    use crate::workspace::disk::DiskFull;

    fn load(error: LoadError) -> Error {
        Error::Models(ModelsError::Load(error.into()))
    }

    fn hook(fault: HookFault) -> Error {
        let hook = Hook::PredictFn;
        Error::from_cell(CellError { hook, fault }, Duration::from_secs(1))
    }

    #[test]
    fn each_error_has_the_exception_that_aws_has_for_it() {
        let name = || "m".to_owned();
        let unsupported = GuestError::UnsupportedAccept("csv alone".into());
        for (error, code, status, original) in [
            (Error::BadRequest(name()), "ValidationError", 400, None),
            (Error::NoSuchEndpoint(name()), "ValidationError", 400, None),
            (Error::BodyTooLarge(1), "ValidationError", 400, None),
            (
                load(RepositoryError::NotFound(name()).into()),
                "ValidationError",
                400,
                None,
            ),
            (
                ModelsError::NotFound(name()).into(),
                "ValidationError",
                400,
                None,
            ),
            (
                ModelsError::NotReady(name()).into(),
                "ModelNotReadyException",
                429,
                None,
            ),
            (Error::Busy(name()), "ServiceUnavailable", 503, None),
            (Error::Stopping, "ServiceUnavailable", 503, None),
            (Error::TooMany(1), "ServiceUnavailable", 503, None),
            (
                load(RepositoryError::from(Outage::Throttled).into()),
                "ServiceUnavailable",
                503,
                None,
            ),
            (
                load(LoadError::NoRoom(NoRoom::InUse { budget: 1 })),
                "ServiceUnavailable",
                503,
                None,
            ),
            (
                RepositoryError::from(SetupFault::Clock).into(),
                "InternalDependencyException",
                530,
                None,
            ),
            (
                load(LoadError::Internal(name())),
                "InternalFailure",
                500,
                None,
            ),
            (
                load(LoadError::DiskFull(DiskFull::Device)),
                "InternalFailure",
                500,
                None,
            ),
            (
                load(LoadError::InvalidArtifact(name())),
                "ModelError",
                424,
                Some(400),
            ),
            (
                load(LoadError::NoRoom(NoRoom::Alone {
                    needed: 2,
                    budget: 1,
                })),
                "ModelError",
                424,
                Some(507),
            ),
            (
                hook(HookFault::Returned(unsupported)),
                "ModelError",
                424,
                Some(406),
            ),
            (hook(HookFault::Deadline), "ModelError", 424, Some(504)),
            (Error::NoSuchRoute, "UnknownOperationException", 404, None),
        ] {
            let told = RuntimeError::from(&error);
            assert_eq!((told.code, told.status.as_u16()), (code, status), "{error}");
            let original_status = told.original.map(|o| o.original_status_code);
            assert_eq!(original_status, original, "{error}");
        }
    }

    #[test]
    fn a_model_error_carries_what_the_container_would_have_answered() {
        let invalid = GuestError::InvalidInput("row 2 has 3 columns".into());
        let told = RuntimeError::from(&hook(HookFault::Returned(invalid)));
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["OriginalStatusCode"], 400);
        assert_eq!(json["LogStreamArn"], "");
        let original = json["OriginalMessage"].as_str().unwrap();
        let original: serde_json::Value = serde_json::from_str(original).unwrap();
        assert_eq!(original["type"], "InvalidInputException");
        let message = json["Message"].as_str().unwrap();
        assert!(message.starts_with("Received client error (400) from primary with message"));
        assert!(message.contains("row 2 has 3 columns"));
    }

    #[test]
    fn a_denial_is_told_as_it_is() {
        let told = RuntimeError::from(&Error::Denied(Denied::Missing));
        assert_eq!(told.code, "MissingAuthenticationTokenException");
        assert_eq!(told.status.as_u16(), 403);
    }

    #[test]
    fn request_ids_are_uuids_of_version_4() {
        let id = request_id();
        assert_ne!(id, request_id());
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes().get(14), Some(&b'4'));
        assert!(matches!(
            id.as_bytes().get(19),
            Some(b'8' | b'9' | b'a' | b'b')
        ));
    }
}
