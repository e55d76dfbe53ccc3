//! Reads the texts out of a request.

use modelcell_guest::{Context, Error, Request, Result};
use serde_json::Value;

/// Texts to judge.
#[derive(Debug, PartialEq)]
pub struct Texts {
    pub(crate) texts: Vec<String>,
    /// Whether the caller sent one text. The answer is then one object, not a list.
    pub(crate) single: bool,
}

/// Reads `text/plain`, which is one text, or `application/json`: `{"text": "..."}` or a list of
/// texts.
pub(crate) fn read(request: &Request) -> Result<Texts> {
    match request.media_type()?.as_str() {
        "text/plain" => Ok(one(request.text()?.to_owned())),
        "application/json" => {
            from_json(serde_json::from_slice(&request.body).invalid_input("the body is not JSON")?)
        }
        other => Err(Error::unsupported_content_type(format!(
            "cannot read {other}: send text/plain or application/json"
        ))),
    }
}

fn one(text: String) -> Texts {
    Texts {
        texts: vec![text],
        single: true,
    }
}

fn from_json(body: Value) -> Result<Texts> {
    match body {
        Value::Object(mut fields) => match fields.remove("text") {
            Some(Value::String(text)) => Ok(one(text)),
            _ => Err(Error::invalid_input(
                "the object has no text named \"text\"",
            )),
        },
        Value::Array(items) => {
            let texts = items
                .into_iter()
                .enumerate()
                .map(|(index, item)| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(Error::invalid_input(format!(
                        "item {index} of the list is not a text"
                    ))),
                });
            Ok(Texts {
                texts: texts.collect::<Result<_>>()?,
                single: false,
            })
        }
        _ => Err(Error::invalid_input(
            "send {\"text\": \"...\"} or a list of texts",
        )),
    }
}
