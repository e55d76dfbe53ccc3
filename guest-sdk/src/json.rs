//! JSON of the author's own shape.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Accept, Context as _, Decode, Encode, Error, Payload, Request, Result};

/// An input or prediction of a type of your own that travels as JSON.
///
/// With `type Input = Json<Review>` and `type Prediction = Json<Verdict>`, where `Review` derives
/// serde's `Deserialize` and `Verdict` its `Serialize`, a model needs no `input_fn` and no
/// `output_fn`.
///
/// # Errors
/// Decoding refuses content types other than `application/json` (415) and bodies that don't fit the
/// type (400, with serde's text, which names the line and column). Encoding refuses callers that
/// don't take `application/json` (406).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Decode for Json<T> {
    fn decode(request: Request) -> Result<Self> {
        match request.media_type()?.as_str() {
            "application/json" => serde_json::from_slice(&request.body)
                .map(Json)
                .invalid_input("the body does not fit"),
            other => Err(Error::unsupported_content_type(format_args!(
                "cannot read {other:?}: send application/json"
            ))),
        }
    }
}

impl<T: Serialize> Encode for Json<T> {
    fn encode(self, accept: &Accept) -> Result<Payload> {
        accept.choose(&["application/json"])?;
        Payload::json(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Review {
        text: String,
    }

    #[test]
    fn there_and_back() {
        let body = r#"{"text":"fine"}"#;
        let review = Json::<Review>::decode(Request::new(body)).unwrap();
        assert_eq!(review.0.text, "fine");
        let payload = review.encode(&Accept::default()).unwrap();
        assert_eq!(payload, Payload::new("application/json", body));
    }

    #[test]
    fn refusals() {
        let status = |request| Json::<Review>::decode(request).unwrap_err().status();
        assert_eq!(status(Request::new("x").content_type("text/csv")), 415);
        let error = Json::<Review>::decode(Request::new(r#"{"txt":""}"#)).unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.message().contains("missing field `text`"), "{error}");
        let error = Json(1).encode(&Accept::new(Some("text/csv"))).unwrap_err();
        assert_eq!(error.status(), 406);
    }
}
