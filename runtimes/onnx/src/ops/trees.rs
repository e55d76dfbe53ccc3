//! Tree ensembles: TreeEnsembleClassifier, TreeEnsembleRegressor, and TreeEnsemble, which has replaced
//! them.

mod attributes;
mod classifier;
mod forest;
mod layout;
mod regressor;

pub(crate) use classifier::TreeEnsembleClassifier;
pub(crate) use regressor::TreeEnsembleRegressor;
