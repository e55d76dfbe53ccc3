//! The headers of SageMaker's InvokeEndpoint, and what their values may be:
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName};

use crate::error::Error;

/// Which model of a multi-model endpoint.
pub const TARGET_MODEL: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-model");
/// The caller's own name for a request.
pub const INFERENCE_ID: HeaderName = HeaderName::from_static("x-amzn-sagemaker-inference-id");
/// Opaque text between caller and model.
pub const CUSTOM_ATTRIBUTES: HeaderName =
    HeaderName::from_static("x-amzn-sagemaker-custom-attributes");
/// Which variant of an endpoint.
pub const TARGET_VARIANT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-variant");

/// A header of InvokeEndpoint.
struct Member {
    header: HeaderName,
    /// The name of the parameter, as AWS's messages have it.
    name: &'static str,
    /// Bytes.
    longest: usize,
    allowed: Allowed,
}

/// Which characters a value may have.
#[derive(Clone, Copy)]
enum Allowed {
    /// Visible ASCII and spaces.
    Printable,
    /// Letters, digits, and hyphens between them, as in the names of resources.
    Name,
    /// Any text, but nothing but spaces.
    Text,
}

const MEMBERS: [Member; 6] = [
    member(CONTENT_TYPE, "contentType", 1024, Allowed::Printable),
    member(ACCEPT, "accept", 1024, Allowed::Printable),
    member(
        CUSTOM_ATTRIBUTES,
        "customAttributes",
        1024,
        Allowed::Printable,
    ),
    member(TARGET_MODEL, "targetModel", 1024, Allowed::Text),
    member(TARGET_VARIANT, "targetVariant", 63, Allowed::Name),
    member(INFERENCE_ID, "inferenceId", 64, Allowed::Printable),
];

/// Headers of what Modelcell does not have. To pass over them would be to do something else than what
/// was asked for.
const FOREIGN: [(HeaderName, &str); 4] = [
    (
        HeaderName::from_static("x-amzn-sagemaker-target-container-hostname"),
        "TargetContainerHostname names a container of a multi-container endpoint, and this endpoint has one alone: leave it out",
    ),
    (
        HeaderName::from_static("x-amzn-sagemaker-inference-component"),
        "InferenceComponentName names an inference component, and this endpoint has none: name a model with TargetModel",
    ),
    (
        HeaderName::from_static("x-amzn-sagemaker-enable-explanations"),
        "EnableExplanations needs an explainer, and this endpoint has none: leave it out",
    ),
    (
        HeaderName::from_static("x-amzn-sagemaker-session-id"),
        "SessionId needs a stateful model, and here nothing outlives a request: leave it out",
    ),
];

const fn member(
    header: HeaderName,
    name: &'static str,
    longest: usize,
    allowed: Allowed,
) -> Member {
    Member {
        header,
        name,
        longest,
        allowed,
    }
}

/// Checks the headers of a request to SageMaker's runtime API.
///
/// # Errors
///
/// [`Error::BadRequest`] in AWS's words, where it has some.
pub fn check(headers: &HeaderMap) -> Result<(), Error> {
    for (header, why) in &FOREIGN {
        if headers.contains_key(header) {
            return Err(Error::BadRequest((*why).to_owned()));
        }
    }
    for member in &MEMBERS {
        if headers.get_all(&member.header).iter().nth(1).is_some() {
            let text = format!("the header {} is there more than once", member.header);
            return Err(Error::BadRequest(text));
        }
        if let Some(value) = text(headers, &member.header)? {
            member.check(value).map_err(Error::BadRequest)?;
        }
    }
    Ok(())
}

impl Member {
    fn check(&self, value: &str) -> Result<(), String> {
        let violated = |constraint: &str| {
            // A value that is too long would drown the rest of the message.
            let end = value.floor_char_boundary(100);
            Err(format!(
                "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: {constraint}",
                value.get(..end).unwrap_or_default(),
                self.name
            ))
        };
        if value.len() > self.longest {
            return violated(&format!(
                "Member must have length less than or equal to {}",
                self.longest
            ));
        }
        let (allowed, pattern) = match self.allowed {
            Allowed::Printable => (
                value.bytes().all(|b| matches!(b, b' '..=b'~')),
                r"Member must satisfy regular expression pattern: \p{ASCII}*",
            ),
            Allowed::Name => (
                is_name(value),
                r"Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*",
            ),
            Allowed::Text => (
                !value.trim().is_empty(),
                r"Member must satisfy regular expression pattern: \A\S[\p{Print}]*\z",
            ),
        };
        match allowed {
            true => Ok(()),
            false => violated(pattern),
        }
    }
}

/// Whether `text` can be the name of an endpoint or a variant, but for its length.
pub fn is_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && ends(text.chars().next())
        && ends(text.chars().next_back())
}

/// The text of a header.
///
/// # Errors
///
/// [`Error::BadRequest`] if it is not UTF-8.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    headers
        .get(name)
        .map(|value| {
            std::str::from_utf8(value.as_bytes())
                .map_err(|_| Error::BadRequest(format!("the header {name} is not UTF-8")))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn message(name: &str, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        let name = HeaderName::try_from(name).unwrap();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        check(&headers).err().map(|error| error.to_string())
    }

    #[test]
    fn values_within_the_constraints_pass() {
        let long = "a".repeat(1024);
        for (name, value) in [
            ("content-type", "text/csv; charset=utf-8"),
            ("accept", "*/*"),
            ("x-amzn-sagemaker-custom-attributes", &long),
            ("x-amzn-sagemaker-target-model", "tenant-ä/m.tar.gz"),
            ("x-amzn-sagemaker-target-variant", "blue-2"),
            ("x-amzn-sagemaker-inference-id", "id 7"),
            ("x-unknown", ""),
        ] {
            assert_eq!(message(name, value), None, "{name}: {value}");
        }
    }

    #[test]
    fn others_are_named_with_what_they_violate() {
        let long = "a".repeat(1025);
        for (name, value, expected) in [
            (
                "accept",
                &*long,
                "at 'accept' failed to satisfy constraint: Member must have length",
            ),
            (
                "x-amzn-sagemaker-target-variant",
                "-a",
                "at 'targetVariant' failed",
            ),
            (
                "x-amzn-sagemaker-target-variant",
                "",
                "at 'targetVariant' failed",
            ),
            (
                "x-amzn-sagemaker-target-model",
                "",
                "at 'targetModel' failed",
            ),
            (
                "x-amzn-sagemaker-custom-attributes",
                "ä",
                "at 'customAttributes' failed",
            ),
            ("x-amzn-sagemaker-session-id", "NEW_SESSION", "SessionId"),
            (
                "x-amzn-sagemaker-inference-component",
                "c",
                "InferenceComponentName",
            ),
        ] {
            let message = message(name, value).unwrap();
            assert!(message.contains(expected), "{message}");
            assert!(message.len() < 400, "{message}");
        }
    }
}
