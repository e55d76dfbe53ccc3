//! A guest that does what it is told, good or bad.
//!
//! `model_fn` obeys the lines of the data file `behaviour`, if the artifact has one. The other hooks
//! obey the request's body: `HOOK:ACTION`, with `input`, `predict` or `output` for the hook, such as
//! `predict:sleep 200`. What an action finds out is the answer's body. A body that names no hook is
//! answered with `ok`, and `echo` with all that the guest sees of the request, as JSON.

mod action;

use std::io::ErrorKind;
use std::path::Path;

use modelcell_guest::{Accept, Model, Payload, Request, Result, export};
use serde_json::json;

use action::act;

/// The model; its state is that of the process.
pub struct Misbehave;

/// What passes between the hooks.
pub struct Answer {
    request: Request,
    text: String,
}

impl Answer {
    /// Obeys the body if it is for this hook.
    fn obey(mut self, hook: &str) -> Result<Self> {
        if let Some((for_hook, action)) = self.request.text()?.split_once(':')
            && for_hook == hook
        {
            self.text = act(action)?;
        }
        Ok(self)
    }

    fn echo(&self, accept: &Accept) -> String {
        let request = &self.request;
        json!({
            "body": String::from_utf8_lossy(&request.body),
            "content_type": request.content_type,
            "accept": request.accept,
            "accept_of_output_fn": accept.header(),
            "target_model": request.target_model,
            "custom_attributes": request.custom_attributes,
            "inference_id": request.inference_id,
            "target_variant": request.target_variant,
        })
        .to_string()
    }
}

#[export]
impl Model for Misbehave {
    type Input = Answer;
    type Prediction = Answer;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        match std::fs::read_to_string(model_dir.join("behaviour")) {
            Ok(actions) => {
                actions
                    .lines()
                    .try_for_each(|action| act(action).map(drop))?;
                Ok(Self)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self),
            Err(error) => Err(error.into()),
        }
    }

    fn input_fn(&self, request: Request) -> Result<Answer> {
        let text = "ok".to_owned();
        Answer { request, text }.obey("input")
    }

    fn predict_fn(&self, input: Answer) -> Result<Answer> {
        input.obey("predict")
    }

    fn output_fn(&self, prediction: Answer, accept: &Accept) -> Result<Payload> {
        match prediction.request.text()? {
            "echo" => Ok(Payload::new("application/json", prediction.echo(accept))
                .with_custom_attributes("set by the guest")),
            "output:bad-content-type" => Ok(Payload::new("text/\nplain", "")),
            "output:no-content-type" => Ok(Payload::new("", "bare")),
            "output:bad-attributes" => Ok(Payload::text("").with_custom_attributes("two\nlines")),
            _ => Ok(Payload::text(prediction.obey("output")?.text)),
        }
    }
}
