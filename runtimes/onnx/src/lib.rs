//! Runtime for ONNX models: networks, and scikit-learn pipelines converted by skl2onnx.
//!
//! An artifact holds `model.onnx`, or one other file `*.onnx`. In the order in which things happen:
//!
//! - [`OnnxModel::read`]: the file is checked, changed where that helps, and planned by tract
//!   with its operators and ours;
//! - [`OnnxModel::decode`]: a request in CSV, JSON, NPY or NPZ becomes tensors;
//! - [`OnnxModel::predict`]: the plan runs;
//! - [`OnnxModel::encode`]: its outputs become an answer.
//!
//! What is supported is listed in `docs/onnx.md`.

mod answer;
mod check;
mod file;
mod memory;
mod model;
mod npy;
mod ops;
mod plan;
mod request;
mod rewrite;
mod scalar;
mod signature;
mod zip;

use std::path::Path;

use modelcell_guest::{Accept, Model, Payload, Request, Result, export};

pub use answer::Answer;
pub use model::OnnxModel;
pub use request::Call;

/// An error of tract's, with all that was going on.
fn failed(error: tract_onnx::prelude::TractError) -> modelcell_guest::Error {
    modelcell_guest::Error::failed(format_args!("{error:#}"))
}

#[export]
impl Model for OnnxModel {
    type Input = Call;
    type Prediction = Answer;

    /// Loads the artifact's model, and prints a line that describes it.
    fn model_fn(model_dir: &Path) -> Result<Self> {
        let mut model = file::load(model_dir)?;
        let default_type = std::env::var("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT").ok();
        model.default_type = answer::default_type(default_type.as_deref());
        println!("{}", model.description());
        memory::clear_stack();
        Ok(model)
    }

    fn input_fn(&self, request: Request) -> Result<Call> {
        self.decode(&request)
    }

    fn predict_fn(&self, call: Call) -> Result<Answer> {
        self.predict(call)
    }

    fn output_fn(&self, answer: Answer, accept: &Accept) -> Result<Payload> {
        self.encode(&answer, accept)
    }
}

#[cfg(test)]
mod tests;
