//! What the caller sent.

use crate::media_type::MediaType;
use crate::{Error, Result};

/// What a caller sent, as the host received it.
///
/// In tests, build one with [`Request::new`] and the methods named as the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The body, as it came: not decoded, not decompressed.
    pub body: Vec<u8>,
    /// The `Content-Type` header, verbatim. [`media_type`](Self::media_type) reads it.
    pub content_type: Option<String>,
    /// The `Accept` header, verbatim. `output_fn` gets it as an [`Accept`](crate::Accept).
    pub accept: Option<String>,
    /// The name by which the caller asked for this model, such as `tenant-a/iris.tar.gz`.
    pub target_model: Option<String>,
    /// Attributes whose meaning is between the caller and the model, at most 1,024 characters. To
    /// answer with them, copy them to [`Payload::custom_attributes`](crate::Payload).
    pub custom_attributes: Option<String>,
    /// The caller's own name for this request.
    pub inference_id: Option<String>,
    /// The production variant that the caller asked for.
    pub target_variant: Option<String>,
}

impl Request {
    /// A request with this body and no headers.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// Sets the `Content-Type` header.
    #[must_use]
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// Sets the `Accept` header.
    #[must_use]
    pub fn accept(mut self, value: impl Into<String>) -> Self {
        self.accept = Some(value.into());
        self
    }

    /// Sets the name by which the model was asked for.
    #[must_use]
    pub fn target_model(mut self, value: impl Into<String>) -> Self {
        self.target_model = Some(value.into());
        self
    }

    /// Sets the custom attributes.
    #[must_use]
    pub fn custom_attributes(mut self, value: impl Into<String>) -> Self {
        self.custom_attributes = Some(value.into());
        self
    }

    /// Sets the inference id.
    #[must_use]
    pub fn inference_id(mut self, value: impl Into<String>) -> Self {
        self.inference_id = Some(value.into());
        self
    }

    /// Sets the production variant.
    #[must_use]
    pub fn target_variant(mut self, value: impl Into<String>) -> Self {
        self.target_variant = Some(value.into());
        self
    }

    /// The content type in lower case and without parameters: `text/csv` for
    /// `Text/CSV; charset=utf-8`. A request without content type counts as `application/json`, as
    /// in SageMaker's inference toolkit.
    ///
    /// # Errors
    /// Unsupported content type, if it is a text or JSON type in a character set other than UTF-8
    /// (of which US-ASCII is a part).
    pub fn media_type(&self) -> Result<String> {
        let header = self.content_type.as_deref().unwrap_or_default();
        let media_type = MediaType::parse(header);
        if media_type.essence.is_empty() {
            return Ok("application/json".to_owned());
        }
        let is_text =
            media_type.essence.starts_with("text/") || media_type.essence.ends_with("json");
        match media_type.parameter("charset") {
            Some(charset) if is_text && !is_utf8(charset) => Err(Error::unsupported_content_type(
                format_args!("cannot read the character set {charset:?}: send UTF-8"),
            )),
            _ => Ok(media_type.essence),
        }
    }

    /// The body as text.
    ///
    /// # Errors
    /// Invalid input, if the body is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Error::invalid_input(format_args!("the body is not UTF-8: {error}")))
    }
}

fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_ignores_case_and_parameters() {
        for (header, expected) in [
            ("text/csv", "text/csv"),
            ("Text/CSV; charset=UTF-8", "text/csv"),
            ("text/csv;label_size=1", "text/csv"),
            ("  application/JSON ;charset=\"utf-8\"", "application/json"),
            ("text/csv; charset=us-ascii; header=absent", "text/csv"),
            ("application/x-npy; charset=binary", "application/x-npy"),
            ("", "application/json"),
            (" ; charset=latin1", "application/json"),
        ] {
            let request = Request::new("").content_type(header);
            assert_eq!(request.media_type().unwrap(), expected, "{header:?}");
        }
        assert_eq!(Request::new("").media_type().unwrap(), "application/json");
    }

    #[test]
    fn other_character_sets_are_refused() {
        for header in [
            "text/csv; charset=latin1",
            "application/json;CHARSET=utf-16",
        ] {
            let error = Request::new("")
                .content_type(header)
                .media_type()
                .unwrap_err();
            assert_eq!(error.status(), 415);
            assert!(error.message().contains("send UTF-8"), "{error}");
        }
    }

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(Request::new("ä").text().unwrap(), "ä");
        assert_eq!(Request::new(vec![0xff]).text().unwrap_err().status(), 400);
    }
}
