//! The contract with guests as the host sees it: the bindings of `wit/inference.wit`, the names of
//! the hooks and how long each took.
//!
//! The bindings are generated, so this module curates what the rest of the host may name.

use std::fmt;
use std::time::Duration;

mod bindings {
    #![allow(
        missing_docs,
        reason = "generated from wit/, which documents each item"
    )]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "model",
        exports: { default: async },
    });
}

pub use bindings::exports::modelcell::inference::hooks::{Error as GuestError, Payload, Request};
pub(crate) use bindings::{Model as GuestModel, ModelPre as GuestModelPre};

/// The interface that a component must export.
pub const INTERFACE: &str = "modelcell:inference/hooks@0.2.0";

/// Where a guest finds its model's files.
pub const MODEL_DIR: &str = "/opt/ml/model";

/// The four hooks, by the names that SageMaker authors know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Loads the model; runs once, before a snapshot is taken, or else once for each cell.
    ModelFn,
    /// Decodes a request's body.
    InputFn,
    /// Predicts.
    PredictFn,
    /// Encodes the prediction.
    OutputFn,
}

impl Hook {
    /// All hooks, in the order in which they run.
    pub const ALL: [Self; 4] = [
        Self::ModelFn,
        Self::InputFn,
        Self::PredictFn,
        Self::OutputFn,
    ];

    /// The name in documentation, logs and the SDK: `predict_fn`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModelFn => "model_fn",
            Self::InputFn => "input_fn",
            Self::PredictFn => "predict_fn",
            Self::OutputFn => "output_fn",
        }
    }

    /// The name of the function in WIT: `predict-fn`.
    pub const fn wit_name(self) -> &'static str {
        match self {
            Self::ModelFn => "model-fn",
            Self::InputFn => "input-fn",
            Self::PredictFn => "predict-fn",
            Self::OutputFn => "output-fn",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long the hooks of one request took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookTimes {
    /// Time in `input_fn`.
    pub input_fn: Duration,
    /// Time in `predict_fn`.
    pub predict_fn: Duration,
    /// Time in `output_fn`.
    pub output_fn: Duration,
}

impl HookTimes {
    /// Time in all hooks together.
    pub fn total(&self) -> Duration {
        self.input_fn + self.predict_fn + self.output_fn
    }
}
