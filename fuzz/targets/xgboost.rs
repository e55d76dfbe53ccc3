//! XGBoost's model files, in each of its formats: an error, or a model that predicts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcell_fuzz::Capped;
use runtime_xgboost::Booster;

#[global_allocator]
static ALLOCATOR: Capped<{ 64 << 20 }> = Capped;

/// Features up to which a row is made, however many a model says that it has.
const FEATURES: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Ok(booster) = Booster::parse("model", data, data.len() as u64) else {
        return;
    };
    let features = booster.features();
    assert!(!booster.describe().is_empty());
    if features > FEATURES {
        return;
    }
    let values = [0.0, 1.0, -1.5, f32::NAN, f32::MAX, 7.0];
    let rows: Vec<f32> = values.into_iter().cycle().take(3 * features).collect();
    let scores = booster.predict(&rows, features);
    assert_eq!(scores.columns, booster.outputs().max(1));
});
