//! The error that a caller sees: wraps what the stages report, and names whose fault it is.
//!
//! Statuses and the names in `type` are those of multi-model-server, which SageMaker's containers
//! have, where it has one: <https://github.com/awslabs/multi-model-server>, package
//! `com.amazonaws.ml.mms.http`.

use std::time::Duration;

use hyper::StatusCode;

use crate::access::Denied;
use crate::budget::NoRoom;
use crate::hooks::{GuestError, Hook};
use crate::load::LoadError;
use crate::models::ModelsError;
use crate::repository::RepositoryError;
use crate::sandbox::{Breach, CellError, HookFault, LeaseError, LimitKind};

/// Why a request gets no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// No such route.
    #[error("Requested resource is not found, please refer to API document.")]
    NoSuchRoute,
    /// The route has no such method.
    #[error("Requested method is not allowed, please refer to API document.")]
    MethodNotAllowed {
        /// The methods that it has, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// The body is larger than allowed.
    #[error("the request's body is larger than {} (--max-body)", bytesize::ByteSize(*.0))]
    BodyTooLarge(u64),
    /// The body did not arrive in time.
    #[error("the request's body did not arrive in time")]
    BodyTimeout,
    /// The caller has not shown who it is, or may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such endpoint.
    #[error("Endpoint {0} not found.")]
    NoSuchEndpoint(String),
    /// There are endpoints, but none that is meant if none is named.
    #[error("there is no default endpoint here: name one, as in /endpoints/NAME/invocations")]
    NoDefaultEndpoint,
    /// The name or the artifact behind it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A url in a load request that is not allowed.
    #[error("{0}")]
    ForbiddenUrl(String),
    /// A url in a load request that leads nowhere; multi-model-server's wording.
    #[error("{0}")]
    UrlNotFound(String),
    /// The model is not loaded, or cannot be.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// No cell was free in time.
    #[error("all cells of model {0} are busy; try again")]
    Busy(String),
    /// A hook failed.
    #[error("{}", .0.for_caller())]
    Hook(CellError),
    /// The request took longer than allowed.
    #[error("the model did not answer within {}: {hook} was ended (--request-timeout)", humantime::format_duration(*.limit))]
    Deadline {
        /// The hook that was ended.
        hook: crate::hooks::Hook,
        /// The time that was allowed.
        limit: Duration,
    },
    /// A model answered with what HTTP cannot carry.
    #[error("output_fn answered with {0}")]
    BadAnswer(&'static str),
    /// As many requests as allowed are in flight.
    #[error("{0} requests are being served already (--max-requests); try again")]
    TooMany(usize),
    /// Bodies and answers of requests in flight hold all that they may.
    #[error("the host is busy with too much data of other requests (--request-memory); try again")]
    Overloaded,
    /// The metrics could not be written.
    #[error("the metrics could not be written: {0}")]
    Metrics(String),
    /// The server is about to stop.
    #[error("the server is stopping")]
    Stopping,
    /// The connection is about to end, and its client was told so.
    #[error("the connection is about to end; send the request on another one")]
    Late,
}

impl Error {
    /// The status and the `type` of the error's body.
    pub fn status(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest(_) | Self::ForbiddenUrl(_) => (S::BAD_REQUEST, "BadRequestException"),
            Self::Denied(denied) => (denied.status(), denied.code()),
            Self::NoSuchEndpoint(_) | Self::NoDefaultEndpoint => {
                (S::NOT_FOUND, "EndpointNotFoundException")
            }
            Self::NoSuchRoute => (S::NOT_FOUND, "ResourceNotFoundException"),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "MethodNotAllowedException"),
            Self::BodyTooLarge(_) => (S::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException"),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, "RequestTimeoutException"),
            Self::Repository(error) => repository_status(error),
            Self::UrlNotFound(_) => (S::NOT_FOUND, "ModelNotFoundException"),
            Self::Models(error) => models_status(error),
            Self::Metrics(_) => (S::INTERNAL_SERVER_ERROR, "InternalServerException"),
            Self::Busy(_) | Self::TooMany(_) | Self::Overloaded | Self::Stopping | Self::Late => {
                (S::SERVICE_UNAVAILABLE, "ServiceUnavailableException")
            }
            Self::Hook(error) => cell_status(error),
            Self::Deadline { .. } => (S::GATEWAY_TIMEOUT, "ModelTimeoutException"),
            Self::BadAnswer(_) => (S::INTERNAL_SERVER_ERROR, "ModelError"),
        }
    }

    /// When trying again makes sense: wherever the same request may succeed a moment later.
    pub fn retry_after(&self) -> Option<Duration> {
        let (status, _) = self.status();
        let again = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        again.contains(&status).then_some(Duration::from_secs(1))
    }

    /// Whether other models hold the memory that a cell needs.
    pub fn is_full(&self) -> bool {
        let fault = match self {
            Self::Hook(error) => &error.fault,
            _ => return false,
        };
        matches!(fault, HookFault::NoRoom(NoRoom::Full { .. }))
    }

    /// The error of a request of `model` that got no cell.
    pub fn from_lease(model: &str, error: LeaseError, limit: Duration) -> Self {
        match error {
            LeaseError::Busy => Self::Busy(model.to_owned()),
            LeaseError::Start(error) => Self::from_cell(error, limit),
        }
    }

    /// The error of a request that was allowed `limit` and failed in a hook.
    pub fn from_cell(error: CellError, limit: Duration) -> Self {
        match error.fault {
            HookFault::Deadline => Self::Deadline {
                hook: error.hook,
                limit,
            },
            _ => Self::Hook(error),
        }
    }
}

fn repository_status(error: &RepositoryError) -> (StatusCode, &'static str) {
    use RepositoryError as R;
    use StatusCode as S;
    match error {
        R::BadName(_) | R::Leaves(_) | R::Ambiguous(_) => (S::BAD_REQUEST, "BadRequestException"),
        R::NotFound(_) => (S::NOT_FOUND, "ModelNotFoundException"),
        R::Denied { .. } | R::ListDenied(_) => (S::FORBIDDEN, "AccessDeniedException"),
        R::Setup(_) | R::Damaged(..) => (S::BAD_GATEWAY, "BadGatewayException"),
        R::Deadline => (S::GATEWAY_TIMEOUT, "ModelTimeoutException"),
        R::Full(_) => (S::INSUFFICIENT_STORAGE, "InsufficientStorage"),
        R::Changing | R::Io(_) | R::Outage(_) => {
            (S::SERVICE_UNAVAILABLE, "ServiceUnavailableException")
        }
    }
}

fn models_status(error: &ModelsError) -> (StatusCode, &'static str) {
    match error {
        ModelsError::NotFound(_) => (StatusCode::NOT_FOUND, "ModelNotFoundException"),
        ModelsError::AlreadyRegistered(_) => (StatusCode::CONFLICT, "ConflictStatusException"),
        // SageMaker's own status and name: the load goes on, so the caller should come again.
        ModelsError::NotReady(_) => (StatusCode::TOO_MANY_REQUESTS, "ModelNotReadyException"),
        ModelsError::Load(error) => load_status(error),
        ModelsError::UnloadTimeout(_) => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException"),
    }
}

fn load_status(error: &LoadError) -> (StatusCode, &'static str) {
    match error {
        LoadError::NotFound(_) => (StatusCode::NOT_FOUND, "ModelNotFoundException"),
        LoadError::Repository(error) => repository_status(error),
        LoadError::InvalidArtifact(_) | LoadError::NoRuntime(_) => {
            (StatusCode::BAD_REQUEST, "InvalidModelException")
        }
        LoadError::ModelFn(error) => cell_status(error),
        LoadError::NoRoom(no_room) => no_room_status(no_room),
        LoadError::Deadline(_) => (StatusCode::GATEWAY_TIMEOUT, "ModelTimeoutException"),
        LoadError::DiskFull(_) | LoadError::Storage(_) => {
            (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage")
        }
        LoadError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException"),
    }
}

fn cell_status(error: &CellError) -> (StatusCode, &'static str) {
    match (&error.hook, &error.fault) {
        // Whatever the guest blames, no caller sent anything to model_fn that could be wrong.
        (Hook::ModelFn, HookFault::Returned(_)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "ModelError")
        }
        (_, fault) => fault_status(fault),
    }
}

fn fault_status(fault: &HookFault) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match fault {
        HookFault::Returned(GuestError::UnsupportedContentType(_)) => {
            (S::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException")
        }
        HookFault::Returned(GuestError::UnsupportedAccept(_)) => {
            (S::NOT_ACCEPTABLE, "NotAcceptableException")
        }
        HookFault::Returned(GuestError::InvalidInput(_)) => {
            (S::BAD_REQUEST, "InvalidInputException")
        }
        HookFault::Returned(GuestError::Failed(_)) | HookFault::Trapped(_) => {
            (S::INTERNAL_SERVER_ERROR, "ModelError")
        }
        // multi-model-server answers a MemoryError of a handler so.
        HookFault::Limit(Breach {
            kind: LimitKind::Memory,
            ..
        })
        | HookFault::HostOutOfMemory => (S::INSUFFICIENT_STORAGE, "OutOfMemoryError"),
        HookFault::Limit(_) => (S::INTERNAL_SERVER_ERROR, "ModelError"),
        HookFault::NoRoom(no_room) => no_room_status(no_room),
        HookFault::Deadline | HookFault::HookDeadline(_) => {
            (S::GATEWAY_TIMEOUT, "ModelTimeoutException")
        }
        HookFault::Start(_) => (S::INTERNAL_SERVER_ERROR, "InternalServerException"),
    }
}

/// 507 is what SageMaker's platform understands: it unloads other models. Where models in use will be
/// done in a moment, trying again is all that a caller can do.
fn no_room_status(no_room: &NoRoom) -> (StatusCode, &'static str) {
    match no_room {
        NoRoom::Alone { .. } | NoRoom::Full { .. } => (
            StatusCode::INSUFFICIENT_STORAGE,
            "InsufficientMemoryException",
        ),
        NoRoom::InUse { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailableException",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::{Outage, SetupFault};
    use crate::workspace::disk::DiskFull;

    #[test]
    fn what_may_pass_says_when_to_try_again() {
        let denied = RepositoryError::ListDenied("s3://bucket/".into());
        for (error, status, retry) in [
            (RepositoryError::NotFound("m".into()), 404, false),
            (denied, 403, false),
            (SetupFault::Clock.into(), 502, false),
            (Outage::Throttled.into(), 503, true),
            (RepositoryError::Changing, 503, true),
            (RepositoryError::Deadline, 504, false),
            (DiskFull::Device.into(), 507, false),
        ] {
            let error = Error::Repository(error);
            assert_eq!(error.status().0.as_u16(), status, "{error}");
            assert_eq!(error.retry_after().is_some(), retry, "{error}");
        }
    }
}
