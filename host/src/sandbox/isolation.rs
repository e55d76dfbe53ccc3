//! How a model's requests are kept apart, and how a request comes by its cell.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::counts::Kind;

/// What keeps one request of a model from another.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Nothing: a cell serves one request after another.
    Model,
    /// Each request has a cell of its own, in the state that `model_fn` left.
    #[default]
    Request,
}

/// How a request came by its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A cell, or its memory, was there.
    Ready,
    /// It had to be made.
    Made,
    /// All that the model, or the host, may have were in use, and one became free in time.
    Waited,
    /// None became free in time, or too many waited.
    Refused,
}

impl Kind for Outcome {
    const ALL: &'static [Self] = &[Self::Ready, Self::Made, Self::Waited, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Made => "made",
            Self::Waited => "waited",
            Self::Refused => "refused",
        }
    }
}
