//! Write a model for Modelcell: four hooks in plain Rust, compiled to a WebAssembly component.
//!
//! A whole model. It reads a matrix from its artifact, takes rows of numbers as CSV, JSON or NPY and
//! answers in whichever of the three the caller asks for:
//!
//! ```
//! use std::path::Path;
//!
//! use modelcell_guest::ndarray::{Array2, Ix2};
//! use modelcell_guest::{Context, Model, Result, export, npy};
//!
//! struct Linear {
//!     weights: Array2<f32>,
//! }
//!
//! #[export]
//! impl Model for Linear {
//!     type Input = Array2<f32>;
//!     type Prediction = Array2<f32>;
//!
//!     fn model_fn(model_dir: &Path) -> Result<Self> {
//!         let weights = npy::read(model_dir.join("weights.npy"))?.into_dimensionality::<Ix2>()?;
//!         Ok(Self { weights })
//!     }
//!
//!     fn predict_fn(&self, rows: Array2<f32>) -> Result<Array2<f32>> {
//!         let features = self.weights.nrows();
//!         (rows.ncols() == features)
//!             .then(|| rows.dot(&self.weights))
//!             .invalid_input(format!("expected {features} features, found {}", rows.ncols()))
//!     }
//! }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib`; unit-test it natively
//! with [`testing`].
//!
//! In the order in which a request meets them:
//!
//! - [`Model`]: the four hooks, and [`export`], which makes a type the component's model;
//! - [`Request`]: what the caller sent; [`Decode`] turns it into the model's input;
//! - [`Encode`] turns the prediction into a [`Payload`], as [`Accept`] asks; [`Json`] does both for
//!   types of your own;
//! - [`Error`], [`Result`] and [`Context`]: why a hook gave no result, and the HTTP status of that;
//! - [`npy`]: arrays in files, for a model's own data; [`csv`]: rows with another delimiter;
//! - [`CleanHeap`]: an allocator for models whose `model_fn` frees much of what it allocates;
//! - [`testing`]: drives a model through its hooks in a unit test.
//!
//! What `model_fn` leaves in memory is frozen, and each request begins with a copy of it: see
//! [Snapshots](#snapshots).
//!
#![doc = include_str!("../SNAPSHOTS.md")]

mod accept;
mod alloc;
pub mod csv;
mod decode;
mod element;
mod encode;
mod error;
mod glue;
mod json;
mod media_type;
mod model;
pub mod npy;
mod payload;
mod request;
mod tensor;
pub mod testing;

pub use accept::Accept;
pub use alloc::CleanHeap;
pub use decode::Decode;
pub use element::Element;
pub use encode::Encode;
pub use error::{Context, Error, Result};
pub use json::Json;
pub use model::Model;
pub use modelcell_guest_macros::export;
pub use ndarray;
pub use payload::Payload;
pub use request::Request;

/// What the expansion of `#[export]` uses. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::glue::bindings;
    pub use crate::glue::bindings::export_component;
    pub use crate::glue::{Component, Exported, Slot};
}
