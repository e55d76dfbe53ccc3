//! Runtime for ONNX models: networks, and scikit-learn pipelines converted by skl2onnx.

mod check;
mod model;
mod npy;
mod ops;
mod plan;
mod rewrite;
mod scalar;
mod signature;
mod zip;

pub use model::OnnxModel;

/// An error of tract's, with all that was going on.
fn failed(error: tract_onnx::prelude::TractError) -> modelcell_guest::Error {
    modelcell_guest::Error::failed(format_args!("{error:#}"))
}

#[cfg(test)]
mod tests;
