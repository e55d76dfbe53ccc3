//! Files as XGBoost 3.4 writes them, made of older ones: this version is not among the fixtures'.

use std::fs;

use serde_json::{Value, json};

use super::agreement::{fixtures, rows};
use crate::Booster;

fn model(name: &str) -> Value {
    let bytes = fs::read(fixtures().join("models/3.2.0").join(name)).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn predict(model: &Value) -> Vec<f32> {
    let text = model.to_string();
    let booster = Booster::parse("model", text.as_bytes(), 0).unwrap();
    let rows = rows();
    booster
        .predict(rows.as_slice().unwrap(), rows.ncols())
        .values
}

#[test]
fn dart_is_a_tree_booster_with_weights() {
    let older = model("dart-softprob.json");
    let mut later = older.clone();
    let booster = &mut later["learner"]["gradient_booster"];
    let weights = booster["weight_drop"].clone();
    let mut trees = booster["gbtree"].clone();
    trees["model"]["weight_drop"] = weights;
    *booster = trees;
    assert_eq!(predict(&later), predict(&older));

    // The weights of the last trees are 1 if they are left out.
    let list = &mut later["learner"]["gradient_booster"]["model"]["weight_drop"];
    let weights = list.as_array_mut().unwrap();
    weights.truncate(4);
    let short = predict(&later);
    let list = &mut later["learner"]["gradient_booster"]["model"]["weight_drop"];
    list.as_array_mut().unwrap().extend(vec![json!(1.0); 5]);
    assert_eq!(short, predict(&later));
    assert_ne!(short, predict(&older));
}

#[test]
fn vector_leaves_have_weights() {
    let mut weighted = model("vector-leaf.json");
    let half = vec![json!(0.5); 3];
    weighted["learner"]["gradient_booster"]["model"]["weight_drop"] = json!(half);
    weighted["learner"]["learner_model_param"]["base_score"] = json!("[0,0,0]");
    let halves = predict(&weighted);
    weighted["learner"]["gradient_booster"]["model"]["weight_drop"] = json!([]);
    let wholes = predict(&weighted);
    for (half, whole) in halves.iter().zip(wholes) {
        assert_eq!(half * 2.0, whole);
    }
}

#[test]
fn quantiles_do_not_cross() {
    let mut model = model("reg-quantileerror.json");
    // So that they do.
    model["learner"]["learner_model_param"]["base_score"] = json!("[3,0,1]");
    let crossed = predict(&model);
    assert!(crossed.chunks(3).any(|row| !row.is_sorted()));
    model["version"] = json!([3, 4, 0]);
    let sorted = predict(&model);
    for (crossed, sorted) in crossed.chunks(3).zip(sorted.chunks(3)) {
        let mut crossed = crossed.to_vec();
        crossed.sort_by(f32::total_cmp);
        assert_eq!(crossed, sorted);
    }
}

/// The attribute outlives a load and a save with a version that takes all trees.
#[test]
fn trees_are_limited_in_older_files_only() {
    let mut model = model("dart-softprob.json");
    let all = predict(&model);
    model["learner"]["attributes"]["best_ntree_limit"] = json!("1");
    assert_eq!(predict(&model), all);
    model["version"] = json!([2, 0, 0]);
    assert_eq!(predict(&model), all);
    model["version"] = json!([1, 7, 6]);
    assert_ne!(predict(&model), all);
}

#[test]
fn several_expectiles_are_refused() {
    let mut model = model("reg-quantileerror.json");
    model["learner"]["objective"]["name"] = json!("reg:expectileerror");
    let text = model.to_string();
    let error = Booster::parse("model", text.as_bytes(), 0).err().unwrap();
    assert!(error.message().contains("with several outputs"), "{error}");
}
