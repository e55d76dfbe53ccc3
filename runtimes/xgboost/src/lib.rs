//! Runtime for XGBoost models: the files that XGBoost saves, served as they are.
//!
//! In the order in which a model meets them:
//!
//! - `runtime`: the hooks, [`XGBoost`];
//! - `files` and `settings`: which files of the artifact are models, and what the operator has set;
//! - `format`, `saved` and `read`: a model file's format, what it says, and how it is read piece by
//!   piece;
//! - `booster`, [`Booster`]: what it comes to, ready to predict, with its `objective`;
//! - `ensemble`: several of them together;
//! - `selected`: answers by key.

mod booster;
mod ensemble;
mod files;
mod format;
mod objective;
mod read;
mod runtime;
mod saved;
mod selected;
mod settings;

pub use booster::Booster;
pub use objective::Objective;
pub use runtime::{Prediction, XGBoost};

#[cfg(test)]
mod tests;

/// What was read of a model file and freed is not to be a part of every model.
#[cfg(target_os = "wasi")]
#[global_allocator]
static HEAP: modelcell_guest::CleanHeap = modelcell_guest::CleanHeap;
