//! What goes back to the caller.

use serde::Serialize;

use crate::Result;

/// What goes back to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The response's body.
    pub body: Vec<u8>,
    /// The response's `Content-Type`. An empty string sends no such header.
    pub content_type: String,
    /// Attributes for the caller, at most 1,024 visible ASCII characters. Those of the request are
    /// not echoed by themselves.
    pub custom_attributes: Option<String>,
}

impl Payload {
    /// A body of this content type.
    pub fn new(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            content_type: content_type.into(),
            custom_attributes: None,
        }
    }

    /// A value as `application/json`. NaN and the infinities become `null`, as JSON has no word
    /// for them.
    ///
    /// # Errors
    /// Failed, if the value cannot be written as JSON (a map whose keys are not text, say).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::new("application/json", serde_json::to_vec(value)?))
    }

    /// A text as `text/plain`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new("text/plain; charset=utf-8", text.into())
    }

    /// Adds attributes for the caller.
    #[must_use]
    pub fn with_custom_attributes(mut self, attributes: impl Into<String>) -> Self {
        self.custom_attributes = Some(attributes.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors() {
        let json = Payload::json(&[0.1_f32, f32::NAN]).unwrap();
        assert_eq!(json, Payload::new("application/json", "[0.1,null]"));
        let text = Payload::text("ok").with_custom_attributes("a=1");
        assert_eq!(text.body, b"ok");
        assert_eq!(text.custom_attributes.as_deref(), Some("a=1"));
    }
}
