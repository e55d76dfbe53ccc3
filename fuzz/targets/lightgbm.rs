//! LightGBM's text files: an error, or a model that predicts.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcell_fuzz::Capped;
use runtime_lightgbm::Booster;

#[global_allocator]
static ALLOCATOR: Capped<{ 64 << 20 }> = Capped;

/// Features up to which a row is made, however many a model says that it has.
const FEATURES: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Ok(booster) = Booster::parse("model", Cursor::new(data)) else {
        return;
    };
    let features = booster.features();
    assert!(!booster.description().is_empty());
    if features > FEATURES {
        return;
    }
    let values = [0.0, 1.0, -1.5, f64::NAN, f64::MAX, 1e-36];
    let rows: Vec<f64> = values.into_iter().cycle().take(3 * features).collect();
    let predictions = booster.predict(&rows).unwrap();
    assert_eq!(predictions.len(), 3 * booster.outputs());
});
