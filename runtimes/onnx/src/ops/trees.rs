//! Tree ensembles: TreeEnsembleClassifier, TreeEnsembleRegressor, and TreeEnsemble, which has replaced
//! them.
//!
//! They have a layout of their own beside that of `runtimes/forest`, which knows neither the modes `==`
//! and `!=` nor leaves with several weights, both of which files may hold here.

mod attributes;
mod classifier;
mod forest;
mod layout;
mod regressor;

pub(crate) use classifier::TreeEnsembleClassifier;
pub(crate) use regressor::TreeEnsembleRegressor;
