//! Tests of whole models: those that XGBoost trained, and what is left of them when they are broken.

mod agreement;
mod later;
mod malformed;
