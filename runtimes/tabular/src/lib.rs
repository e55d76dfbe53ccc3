//! Tables of numbers from requests, and predictions back to callers: the formats that SageMaker's
//! XGBoost container reads and writes, and JSON and NPY besides.
//!
//! In the order in which a request meets them:
//!
//! - [`Decoder`] turns a request into a [`Table`], or an error that names the row and the column;
//! - [`Scores`] and [`Selected`] are what a runtime predicts;
//! - [`Answers`] writes them as the caller's `Accept` asks.
//!
//! All of it works in `f32` and in `f64` ([`Float`]). Runtimes make a [`Decoder`] and [`Answers`] in
//! `model_fn`; the settings that the container takes from its environment are read once, there.

mod answers;
mod csv;
mod decoder;
mod float;
mod json;
mod libsvm;
mod protobuf;
mod record;
mod recordio;
mod scores;
mod table;
#[cfg(test)]
mod tests;

pub use answers::{Answers, Style};
pub use decoder::{Decoder, REQUEST_TYPES};
pub use float::Float;
pub use scores::{Scores, Selected, Value, highest, selected_keys, selected_setting};
pub use table::{MOST_VALUES, Table};
