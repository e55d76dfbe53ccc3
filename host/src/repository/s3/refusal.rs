//! What it means when S3 does not do what it is asked.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::repository::{ModelName, Outage, RepositoryError, SetupFault};

/// What S3 was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// An artifact.
    Artifact(&'a ModelName),
    /// Which version of an artifact there is. Answers to such a request (HEAD) carry no code.
    Version(&'a ModelName),
    /// The list of artifacts.
    List,
}

/// What comes in place of what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The object is of the version that the request names.
    NotModified,
    /// There is no such object.
    Missing,
    /// The object is not of the version that the request names.
    Replaced,
    /// Something is wrong.
    Fault(RepositoryError),
}

impl Refusal {
    /// The error of a request for `name` that names no version.
    pub(super) fn into_error(self, name: &ModelName) -> RepositoryError {
        match self {
            Self::Missing => RepositoryError::NotFound(name.to_string()),
            Self::Replaced => RepositoryError::Changing,
            Self::NotModified => SetupFault::NotS3.into(),
            Self::Fault(error) => error,
        }
    }
}

/// An answer that is no success.
struct Answer<'a> {
    status: u16,
    /// Empty if there is none, as in answers to HEAD.
    code: &'a str,
    /// It says in which region the bucket lies.
    names_region: bool,
}

/// Tells what `error` means and logs what only the operator may see of it. `place` is the repository
/// as callers may see it.
pub(super) fn refusal<E>(error: &SdkError<E>, subject: Subject<'_>, place: &str) -> Refusal
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let detail = DisplayErrorContext(error).to_string();
    let refusal = match error.raw_response() {
        Some(response) => {
            let answer = Answer {
                status: response.status().as_u16(),
                code: error
                    .as_service_error()
                    .and_then(|e| e.code())
                    .unwrap_or(""),
                names_region: response.headers().get("x-amz-bucket-region").is_some(),
            };
            answered(&answer, subject, place)
        }
        None if lacks_credentials(error) => fault(SetupFault::NoCredentials),
        // The type of this cause belongs to a library that is not used here otherwise.
        None if detail.contains("invalid peer certificate") => fault(SetupFault::Certificate),
        None => Refusal::Fault(Outage::Unreachable.into()),
    };
    if let Refusal::Fault(fault) = &refusal {
        tracing::warn!(repository = place, %fault, detail, "S3 did not do what it was asked");
    }
    refusal
}

fn answered(answer: &Answer<'_>, subject: Subject<'_>, place: &str) -> Refusal {
    match (answer.status, answer.code, subject) {
        (304, ..) => Refusal::NotModified,
        (412 | 416, ..) => Refusal::Replaced,
        (_, "NoSuchBucket" | "InvalidBucketName", _) => fault(SetupFault::NoBucket),
        (404, _, Subject::Version(_)) => Refusal::Missing,
        (404, code, Subject::Artifact(_)) if !code.is_empty() => Refusal::Missing,
        // A name that no object can have.
        (_, "KeyTooLongError" | "XMinioInvalidObjectName", Subject::Artifact(_)) => {
            Refusal::Missing
        }
        _ => Refusal::Fault(
            setup(answer)
                .map(RepositoryError::from)
                .or_else(|| outage(answer).map(RepositoryError::from))
                .unwrap_or_else(|| denied(answer.status, subject, place)),
        ),
    }
}

fn fault(fault: SetupFault) -> Refusal {
    Refusal::Fault(fault.into())
}

fn setup(answer: &Answer<'_>) -> Option<SetupFault> {
    Some(match answer.code {
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "NotSignedUp"
        | "UnrecognizedClientException" => SetupFault::UnknownCredentials,
        "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired" => {
            SetupFault::ExpiredCredentials
        }
        "SignatureDoesNotMatch" => SetupFault::Signature,
        "RequestTimeTooSkewed" => SetupFault::Clock,
        "InvalidObjectState" => SetupFault::Archived,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => SetupFault::Region,
        _ => match answer.status {
            301 | 307 | 400 if answer.names_region => SetupFault::Region,
            // S3 says what is missing.
            200..=399 | 404 => SetupFault::NotS3,
            _ => return None,
        },
    })
}

fn outage(answer: &Answer<'_>) -> Option<Outage> {
    Some(match (answer.status, answer.code) {
        (429, _)
        | (
            _,
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException",
        ) => Outage::Throttled,
        (_, "RequestTimeout") => Outage::Unreachable,
        (status @ 500..=599, _) => Outage::Failed(status),
        _ => return None,
    })
}

fn denied(status: u16, subject: Subject<'_>, place: &str) -> RepositoryError {
    match (status, subject) {
        (403, Subject::Artifact(name) | Subject::Version(name)) => RepositoryError::Denied {
            name: name.to_string(),
            place: place.to_owned(),
        },
        (403, Subject::List) => RepositoryError::ListDenied(place.to_owned()),
        (status, _) => SetupFault::Refused(status).into(),
    }
}

/// Credentials are fetched when a request is signed, so a request fails for want of them.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(status: u16, code: &str) -> Refusal {
        let name = ModelName::parse("m.tar.gz").unwrap();
        let answer = Answer {
            status,
            code,
            names_region: false,
        };
        answered(&answer, Subject::Artifact(&name), "s3://bucket/a/")
    }

    #[test]
    fn each_answer_has_its_meaning() {
        use Outage as O;
        use SetupFault as S;
        assert_eq!(artifact(304, "NotModified"), Refusal::NotModified);
        assert_eq!(artifact(412, "PreconditionFailed"), Refusal::Replaced);
        assert_eq!(artifact(404, "NoSuchKey"), Refusal::Missing);
        assert_eq!(artifact(400, "KeyTooLongError"), Refusal::Missing);
        for (status, code, expected) in [
            (404, "NoSuchBucket", S::NoBucket),
            (403, "InvalidAccessKeyId", S::UnknownCredentials),
            (400, "ExpiredToken", S::ExpiredCredentials),
            (403, "SignatureDoesNotMatch", S::Signature),
            (403, "RequestTimeTooSkewed", S::Clock),
            (301, "PermanentRedirect", S::Region),
            (400, "AuthorizationHeaderMalformed", S::Region),
            (403, "InvalidObjectState", S::Archived),
            (301, "", S::NotS3),
            (404, "", S::NotS3),
            (400, "InvalidRequest", S::Refused(400)),
        ] {
            assert_eq!(artifact(status, code), fault(expected), "{status} {code}");
        }
        for (status, code, expected) in [
            (503, "SlowDown", O::Throttled),
            (429, "", O::Throttled),
            (503, "", O::Failed(503)),
            (500, "InternalError", O::Failed(500)),
            (400, "RequestTimeout", O::Unreachable),
        ] {
            let expected = Refusal::Fault(expected.into());
            assert_eq!(artifact(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn what_is_denied_names_the_permission() {
        let text = |refusal| match refusal {
            Refusal::Fault(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let object = text(artifact(403, "AccessDenied"));
        assert!(object.contains("s3:GetObject") && object.contains("s3:ListBucket"));
        assert!(object.contains("m.tar.gz") && object.contains("s3://bucket/a/*"));
        assert_eq!(text(artifact(403, "")), object);
        let answer = Answer {
            status: 403,
            code: "AccessDenied",
            names_region: false,
        };
        let list = text(answered(&answer, Subject::List, "s3://bucket/a/"));
        assert!(list.contains("s3:ListBucket") && !list.contains("s3:GetObject"));
    }

    #[test]
    fn answers_to_head_mean_what_they_can_without_a_code() {
        let name = ModelName::parse("m.tar.gz").unwrap();
        let version = |status, names_region| {
            let answer = Answer {
                status,
                code: "",
                names_region,
            };
            answered(&answer, Subject::Version(&name), "s3://bucket/")
        };
        assert_eq!(version(404, false), Refusal::Missing);
        assert_eq!(version(301, true), fault(SetupFault::Region));
        assert_eq!(version(400, true), fault(SetupFault::Region));
        assert_eq!(version(400, false), fault(SetupFault::Refused(400)));
    }
}
