//! The hooks.

use std::path::Path;

use crate::{Accept, Payload, Request, Result};

/// A model: the four hooks that the host calls, under the names that SageMaker authors know.
///
/// The host makes cells of the component, sandboxes that share nothing. Each begins with what
/// `model_fn` left in memory, and serves requests, one at a time: `input_fn`, `predict_fn` and
/// `output_fn` in this order. Which request meets which cell, and whether a cell lives on after a
/// request, is up to the host ([Snapshots](crate#snapshots)), so nothing that belongs to one request
/// may be kept in a static or behind a lock for the next.
///
/// Put [`export`](crate::export) on the impl block. It also supplies `input_fn` and `output_fn` if
/// the block leaves them out.
///
/// A hook that fails returns an [`Error`](crate::Error), whose kind decides the status that the
/// caller gets. A hook that panics ends the request with status 500; the panic's message goes to
/// the log, never to the caller.
pub trait Model: Sized + 'static {
    /// What `input_fn` makes of a request and `predict_fn` takes. It never leaves the component, so
    /// it can be any type.
    type Input: 'static;
    /// What `predict_fn` returns and `output_fn` encodes. It can be any type.
    type Prediction: 'static;

    /// Loads the model.
    ///
    /// `model_dir` is the directory with the artifact's files, read-only. Do all preparation here:
    /// the other hooks run for every request, and find what this one left. An error fails the load,
    /// and its text goes to whoever asked for it.
    fn model_fn(model_dir: &Path) -> Result<Self>;

    /// Decodes a request.
    ///
    /// With [`export`](crate::export) it may be left out: `Input` is then decoded by
    /// [`Decode`](crate::Decode).
    fn input_fn(&self, request: Request) -> Result<Self::Input>;

    /// Predicts.
    ///
    /// Check here that the input fits the model (the number of features, say) and return
    /// [`Error::invalid_input`](crate::Error::invalid_input) if it does not.
    fn predict_fn(&self, input: Self::Input) -> Result<Self::Prediction>;

    /// Encodes a prediction as `accept` asks.
    ///
    /// With [`export`](crate::export) it may be left out: `Prediction` is then encoded by
    /// [`Encode`](crate::Encode).
    fn output_fn(&self, prediction: Self::Prediction, accept: &Accept) -> Result<Payload>;
}
