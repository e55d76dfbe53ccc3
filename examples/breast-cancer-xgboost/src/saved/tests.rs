use serde_json::{Value, json};

use super::*;

/// A model of one tree:
///
/// ```text
///            0: x1 < 0.5
///           /           \
///      1: leaf -1    2: x0 < 2, missing goes left
///                     /      \
///              3: leaf 0.25   4: leaf 1
/// ```
fn small() -> Value {
    json!({
        "learner": {
            "gradient_booster": {
                "name": "gbtree",
                "model": { "trees": [{
                    "left_children": [1, -1, 3, -1, -1],
                    "right_children": [2, -1, 4, -1, -1],
                    "split_indices": [1, 0, 0, 0, 0],
                    "split_conditions": [0.5, -1.0, 2.0, 0.25, 1.0],
                    "default_left": [0, 0, 1, 0, 0],
                    "split_type": [0, 0, 0, 0, 0],
                }] },
            },
            "learner_model_param": {
                "base_score": "[5E-1]", "num_class": "0", "num_feature": "2", "num_target": "1",
            },
            "objective": { "name": "binary:logistic" },
        },
    })
}

const TREE: &str = "/learner/gradient_booster/model/trees/0";
const PARAM: &str = "/learner/learner_model_param";

/// The small model with one part exchanged.
fn with(pointer: &str, value: Value) -> Value {
    let mut model = small();
    *model.pointer_mut(pointer).unwrap() = value;
    model
}

fn read_value(model: &Value) -> Result<Forest> {
    read(&*serde_json::to_vec(model).unwrap())
}

/// The leaf that a row arrives at. The small model has only one tree, so that is its margin.
fn margin(forest: &Forest, row: [f32; 2]) -> f32 {
    let probability = forest.probability(&row);
    (probability / (1.0 - probability)).ln()
}

#[test]
fn walks_as_xgboost_does() {
    let forest = read_value(&small()).unwrap();
    assert_eq!(forest.features(), 2);
    for (row, leaf) in [
        ([0.0, 0.0], -1.0),
        // What equals a threshold is not below it.
        ([0.0, 0.5], 0.25),
        ([2.0, 0.5], 1.0),
        ([f32::NAN, 0.0], -1.0),
        ([f32::NAN, f32::NAN], 0.25),
        ([9.0, f32::NAN], 1.0),
        ([f32::INFINITY, f32::INFINITY], 1.0),
        ([0.0, f32::NEG_INFINITY], -1.0),
    ] {
        let margin = margin(&forest, row);
        assert!((margin - leaf).abs() < 1e-6, "{row:?}: {margin}, {leaf}");
    }
}

#[test]
fn the_base_score_is_a_probability() {
    for base_score in ["7.5E-1", "[7.5E-1]"] {
        let model = with(&format!("{PARAM}/base_score"), json!(base_score));
        let forest = read_value(&model).unwrap();
        assert!((forest.base_margin - 3.0_f32.ln()).abs() < 1e-6);
    }
}

#[test]
fn pruned_nodes_stay_behind() {
    let model = with(&format!("{TREE}/left_children/2"), json!(-1));
    assert_eq!(read_value(&model).unwrap().nodes.len(), 3);
}

#[test]
fn extreme_margins_stay_finite() {
    for (leaf, probability) in [(1e30, 1.0), (-1e30, 0.0)] {
        let model = with(&format!("{TREE}/split_conditions/1"), json!(leaf));
        let forest = read_value(&model).unwrap();
        let predicted = forest.probability(&[0.0, 0.0]);
        assert!(
            (predicted - probability).abs() < 1e-30,
            "{leaf}: {predicted}"
        );
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    for (part, value, message) in [
        ("left_children/2", json!(5), "tree 0: there is no node 5"),
        (
            "right_children/0",
            json!(i32::MAX),
            "tree 0: there is no node 2147483647",
        ),
        (
            "left_children/2",
            json!(-2),
            "tree 0: node 2 has children -2 and 4",
        ),
        (
            "right_children/2",
            json!(-1),
            "tree 0: node 2 has children 3 and -1",
        ),
        // Cycles and shared children.
        (
            "left_children/0",
            json!(0),
            "tree 0: two paths lead to node 0",
        ),
        (
            "right_children/2",
            json!(0),
            "tree 0: two paths lead to node 0",
        ),
        (
            "right_children/2",
            json!(2),
            "tree 0: two paths lead to node 2",
        ),
        (
            "left_children/2",
            json!(1),
            "tree 0: two paths lead to node 1",
        ),
        (
            "right_children/0",
            json!(1),
            "tree 0: two paths lead to node 1",
        ),
        (
            "split_indices/0",
            json!(2),
            "tree 0: node 0 splits on feature 2 of 2",
        ),
        (
            "split_type/2",
            json!(1),
            "tree 0: node 2 splits on categories",
        ),
        ("left_children", json!([]), "tree 0: there is no node 0"),
        (
            "right_children",
            json!([2]),
            "tree 0: a list ends before node 2",
        ),
        (
            "split_conditions",
            json!([]),
            "tree 0: a list ends before node",
        ),
        (
            "default_left",
            json!([]),
            "tree 0: a list ends before node 0",
        ),
    ] {
        let error = read_value(&with(&format!("{TREE}/{part}"), value))
            .err()
            .unwrap();
        assert!(error.message().starts_with(message), "{part}: {error}");
        assert_eq!(error.status(), 500);
    }
}

#[test]
fn other_models_are_refused() {
    for (part, value, message) in [
        (
            "/learner/gradient_booster",
            json!({ "name": "gblinear", "model": { "weights": [1, 2] } }),
            "booster is \"gblinear\", and this model reads only \"gbtree\"",
        ),
        (
            "/learner/objective/name",
            json!("multi:softprob"),
            "objective is \"multi:softprob\", and this model reads only \"binary:logistic\"",
        ),
        (
            &format!("{PARAM}/num_class"),
            json!("3"),
            "num_class is \"3\"",
        ),
        (
            &format!("{PARAM}/num_target"),
            json!("2"),
            "num_target is \"2\"",
        ),
        (
            &format!("{PARAM}/num_feature"),
            json!("0"),
            "num_feature is 0",
        ),
        (
            &format!("{PARAM}/num_feature"),
            json!("4294967295"),
            "num_feature is 4294967295",
        ),
        (
            &format!("{PARAM}/num_feature"),
            json!("-1"),
            "num_feature is \"-1\": invalid digit",
        ),
        (
            &format!("{PARAM}/base_score"),
            json!("1E0"),
            "base_score is \"1E0\": not between 0 and 1",
        ),
        (
            &format!("{PARAM}/base_score"),
            json!("[NaN]"),
            "base_score is \"[NaN]\": not between",
        ),
        (
            &format!("{PARAM}/base_score"),
            json!("[5E-1,5E-1]"),
            "base_score is \"5E-1,5E-1\": inv",
        ),
    ] {
        let error = read_value(&with(part, value)).err().unwrap();
        assert!(error.message().starts_with(message), "{part}: {error}");
    }
}

#[test]
fn what_is_no_model_file_is_refused() {
    for (file, message) in [
        (&b""[..], "EOF while parsing"),
        (b"\x7bL\0\0", "key must be a string"),
        (b"[]", "invalid length 0"),
        (b"{}", "missing field `learner`"),
        (
            br#"{"learner": {"gradient_booster": {"name": 3}}}"#,
            "invalid type: integer `3`",
        ),
    ] {
        let error = read(file).err().unwrap();
        assert!(error.message().starts_with(message), "{error}");
    }
    let wrong_type = with(&format!("{TREE}/left_children/1"), json!("one"));
    let error = read_value(&wrong_type).err().unwrap();
    assert!(
        error.message().starts_with("invalid type: string \"one\""),
        "{error}"
    );
}

#[test]
fn nodes_are_compact() {
    assert_eq!(size_of::<Node>(), 12);
}
