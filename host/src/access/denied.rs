//! Why a request is refused, as AWS says it.

use hyper::StatusCode;

/// The characters of what a caller sent that a message repeats at most.
const SHOWN: usize = 64;

/// Why a request is refused. The text is for the caller; it has no secret and no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Neither a signature nor a token.
    #[error(
        "Missing Authentication Token: sign the request (AWS Signature Version 4, service \
         'sagemaker') or send 'Authorization: Bearer TOKEN'"
    )]
    Missing,
    /// The proof is not in the form that it must have; what is wrong with it.
    #[error("{0}")]
    Incomplete(String),
    /// No key has this access key id or this token.
    #[error("The security token included in the request is invalid.")]
    Unknown,
    /// The signature is not that of this request, or not of this time.
    #[error("{0}")]
    Invalid(String),
    /// The key is known, but not allowed this.
    #[error(
        "User: {user} is not authorized to perform: {action} on resource: {resource} because {reason}"
    )]
    Forbidden {
        /// The key's name.
        user: String,
        /// What was asked for, such as `sagemaker:InvokeEndpoint`.
        action: &'static str,
        /// What it was asked of, such as `endpoint/churn`.
        resource: String,
        /// Which setting of the key stands against it.
        reason: &'static str,
    },
}

impl Denied {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Incomplete(_) => StatusCode::BAD_REQUEST,
            Self::Missing | Self::Unknown | Self::Invalid(_) | Self::Forbidden { .. } => {
                StatusCode::FORBIDDEN
            }
        }
    }

    /// AWS's code, for `x-amzn-errortype` and `type`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::Unknown => "UnrecognizedClientException",
            Self::Invalid(_) => "InvalidSignatureException",
            Self::Forbidden { .. } => "AccessDeniedException",
        }
    }
}

/// The start of what a caller sent, without what could forge a line of a log.
pub(super) fn shown(text: &str) -> String {
    let printable = |c: char| {
        if c == ' ' || c.is_ascii_graphic() {
            c
        } else {
            '?'
        }
    };
    let mut out: String = text.chars().take(SHOWN).map(printable).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_sent_is_shown_short_and_in_one_line() {
        assert_eq!(shown("us-east-1"), "us-east-1");
        assert_eq!(shown("a\r\nb\u{202e}c é"), "a??b?c ?");
        assert_eq!(shown(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(65)), format!("{}...", "x".repeat(64)));
    }
}
