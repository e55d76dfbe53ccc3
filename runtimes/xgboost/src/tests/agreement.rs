//! Each model of the fixtures predicts what the XGBoost that trained it predicted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::Booster;
use modelcell_guest::ndarray::{Array2, Ix2};
use modelcell_guest::npy;

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(super) fn rows() -> Array2<f32> {
    let rows = npy::read(fixtures().join("rows.npy")).unwrap();
    rows.into_dimensionality::<Ix2>().unwrap()
}

/// Model files, and beside each the predictions for its name.
fn models() -> Vec<(PathBuf, PathBuf)> {
    let mut models = Vec::new();
    for folder in fs::read_dir(fixtures().join("models")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().unwrap() != "npy" {
                let expected = file.with_extension("npy");
                models.push((file, expected));
            }
        }
    }
    models.sort();
    models
}

/// Float32 rounding: sums and links may differ in the last bits.
fn agree(ours: f32, theirs: f32, scale: f32) -> bool {
    ours == theirs
        || (ours.is_nan() && theirs.is_nan())
        || (ours - theirs).abs() <= 1e-6 * theirs.abs().max(scale)
}

/// Until XGBoost 1.2 the trees were summed first and the bias was added then. Where both nearly cancel
/// each other, only what is lost of them agrees.
fn scale(model: &Path) -> f32 {
    let version = model.parent().and_then(Path::file_name).unwrap();
    if ["1.0.2", "1.2.1"].contains(&version.to_str().unwrap()) {
        1.0
    } else {
        0.0
    }
}

#[test]
fn all_models_agree_with_the_library() {
    let rows = rows();
    let (count, width) = rows.dim();
    assert!(count >= 1000 && rows.iter().any(|value| value.is_nan()));
    let values = rows.as_slice().unwrap();
    let models = models();
    assert!(models.len() > 150, "{}", models.len());
    let mut failures = Vec::new();
    for (model, expected) in &models {
        let name = model.strip_prefix(fixtures()).unwrap().display();
        let booster = Booster::parse("model", File::open(model).unwrap(), 0).unwrap();
        let expected: Vec<f32> = npy::read(expected).unwrap().into_iter().collect();
        let scores = booster.predict(values, width);
        assert_eq!(scores.values.len(), expected.len(), "{name}");
        assert_eq!(scores.columns * count, expected.len(), "{name}");
        let wrong = scores.values.iter().zip(&expected).enumerate();
        let wrong: Vec<_> = wrong
            .filter(|&(_, (&ours, &theirs))| !agree(ours, theirs, scale(model)))
            .collect();
        if let Some((index, (ours, theirs))) = wrong.first() {
            let wrongs = wrong.len();
            failures.push(format!("{name}: {wrongs}, at {index} {ours} not {theirs}"));
        }
        // One by one, rows go another way through the trees.
        for (row, scores) in values.chunks(width).zip(scores.iter()).step_by(7) {
            let alone = booster.predict(row, width);
            for (alone, batch) in alone.values.iter().zip(scores) {
                assert_eq!(alone.to_bits(), batch.to_bits(), "{name}");
            }
        }
    }
    assert!(failures.is_empty(), "{:#?}", failures);
}
