//! Drives a model through its hooks natively, so that it is unit-tested with `cargo test`.
//!
//! ```no_run
//! # use std::path::Path;
//! # use modelcell_guest::{Model, Result, export, ndarray::Array2};
//! # struct Iris;
//! # #[export]
//! # impl Model for Iris {
//! #     type Input = Array2<f32>;
//! #     type Prediction = Array2<f32>;
//! #     fn model_fn(_: &Path) -> Result<Self> { Ok(Self) }
//! #     fn predict_fn(&self, rows: Array2<f32>) -> Result<Array2<f32>> { Ok(rows) }
//! # }
//! use modelcell_guest::{Request, testing};
//!
//! let model = testing::load::<Iris>("model")?;
//! let request = Request::new("5.1,3.5,1.4,0.2").content_type("text/csv");
//! let reply = testing::invoke(&model, request)?;
//! assert_eq!(reply.content_type, "application/json");
//!
//! let error = testing::invoke(&model, Request::new("[[1, 2]]")).unwrap_err();
//! assert_eq!(error.status(), 400);
//! # Ok::<(), modelcell_guest::Error>(())
//! ```

use std::path::Path;

use crate::{Accept, Model, Payload, Request, Result};

/// Loads a model from a directory with its files, as the host does from an artifact.
///
/// # Errors
/// Those of `model_fn`.
pub fn load<M: Model>(model_dir: impl AsRef<Path>) -> Result<M> {
    M::model_fn(model_dir.as_ref())
}

/// Sends a request through `input_fn`, `predict_fn` and `output_fn`, as the host does.
///
/// # Errors
/// Those of the hooks; [`Error::status`](crate::Error::status) is what the caller would get.
pub fn invoke<M: Model>(model: &M, request: Request) -> Result<Payload> {
    let accept = Accept::new(request.accept.as_deref());
    let input = model.input_fn(request)?;
    let prediction = model.predict_fn(input)?;
    model.output_fn(prediction, &accept)
}
