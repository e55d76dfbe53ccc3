//! Against LightGBM itself: see `fixtures/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use modelcell_guest::npy;

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn numbers(path: &Path) -> Vec<f64> {
    npy::read(path).unwrap().into_raw_vec_and_offset().0
}

fn rows() -> Vec<f64> {
    numbers(&fixtures().join("rows.npy"))
}

/// The model files of a version.
fn models(version: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures().join(version)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    paths.sort();
    paths
}

fn load(path: &Path) -> Booster {
    Booster::parse("model.txt", fs::File::open(path).unwrap()).unwrap()
}

/// Equal to the bit, or as good as: exponentials come from different libraries.
fn assert_agreement(path: &Path, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{}", path.display());
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let same = ours == theirs || (ours.is_nan() && theirs.is_nan());
        assert!(
            same || (ours - theirs).abs() <= tolerance * theirs.abs(),
            "{}, output {at}: {ours}, LightGBM {theirs}",
            path.display()
        );
    }
}

fn agrees(version: &str, least_models: usize) {
    let rows = rows();
    let models = models(version);
    assert!(models.len() >= least_models, "{}", models.len());
    for path in models {
        let booster = load(&path);
        let theirs = numbers(&path.with_extension("npy"));
        assert!(theirs.len() >= 1000 * booster.outputs());
        let exact = booster.objective.transform == crate::objective::Transform::Identity;
        let tolerance = if exact { 0.0 } else { 1e-14 };
        assert_agreement(&path, &booster.predict(&rows).unwrap(), &theirs, tolerance);
    }
}

#[test]
fn agrees_with_the_newest_lightgbm() {
    agrees("4.7.0", 41);
}

#[test]
fn agrees_with_lightgbm_4_0() {
    agrees("4.0.0", 10);
}

#[test]
fn agrees_with_lightgbm_3() {
    agrees("3.3.5", 10);
}

/// The trees compare and add as LightGBM's do, so before the objective's transform nothing differs at all.
#[test]
fn sums_are_exactly_lightgbms() {
    let rows = rows();
    let mut compared = 0;
    for path in ["4.7.0", "4.0.0", "3.3.5"].into_iter().flat_map(models) {
        if let Ok(theirs) = npy::read::<f64>(path.with_extension("raw.npy")) {
            let theirs = theirs.into_raw_vec_and_offset().0;
            let ours = load(&path).predict_raw(&rows).unwrap();
            assert_agreement(&path, &ours, &theirs, 0.0);
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
}

/// Few rows take another way than many.
#[test]
fn a_row_alone_gives_the_same_as_among_others() {
    let rows = rows();
    for path in models("4.7.0") {
        let booster = load(&path);
        let together = booster.predict(&rows).unwrap();
        for (row, expected) in rows
            .chunks(booster.features())
            .zip(together.chunks(booster.outputs()))
        {
            let alone = booster.predict(row).unwrap();
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&alone), bits(expected), "{}", path.display());
        }
    }
}
