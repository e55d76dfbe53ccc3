//! Runtime for LightGBM models: the text files that LightGBM saves, served as they are.
//!
//! An artifact holds one file as `booster.save_model("model.txt")` writes it, of any name: it is told by
//! its first line, `tree`. Format versions v3 and v4 are read, those of LightGBM 3 and 4. All objectives are
//! served, and all ways of boosting, categorical splits, linear trees and types of missing values. (With
//! early stopping `save_model` writes the best iteration and those before; that is what is served.)
//!
//! **Requests** are rows of numbers in the order of the training data, in any format of
//! [`modelcell_tabular`]; without a content type they are JSON. An empty cell, `null` or NaN is a missing
//! value; features that a sparse format leaves out are 0, and libsvm's indices are counted from 0, both as
//! in LightGBM. Categories are numbers. Where the model was trained on a data frame with columns of
//! categories, these are numbered from 0 in the order in which the file's last line, `pandas_categorical`,
//! lists them. (That is what `Series.cat.codes` gives if the categories are in this order; its -1 for a
//! missing value may be sent as it is.)
//!
//! **Answers** are what `Booster.predict` gives: a number for each row (for two classes the probability of the
//! second one), or the probabilities of all classes; JSON unless the caller asks for something else. The
//! settings of SageMaker's XGBoost container work here too: `SAGEMAKER_INFERENCE_OUTPUT` with its keys,
//! `SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT` and `SAGEMAKER_BATCH`.
//!
//! - [`Booster`] is the model: it reads the file ([`Booster::parse`]) and predicts;
//! - [`LightGbm`] is the four hooks around it.
//!
//! Predictions agree with LightGBM's to the last bits: the trees compare and add as it does, in its order, and
//! only the exponentials come from another library.

mod blocks;
mod booster;
mod find;
mod header;
mod leaves;
mod lines;
mod model;
mod objective;
mod read;
mod selected;
mod tree;

pub use booster::Booster;
pub use model::{LightGbm, Prediction};

/// What was read of a model file and freed is not to be a part of every model.
#[cfg(target_os = "wasi")]
#[global_allocator]
static HEAP: modelcell_guest::CleanHeap = modelcell_guest::CleanHeap;
