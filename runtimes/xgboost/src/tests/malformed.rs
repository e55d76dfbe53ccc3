//! Model files that are broken, by accident or on purpose: errors that say where, and nothing else.

use std::fs;

use serde_json::{Value, json};

use super::agreement::fixtures;
use crate::Booster;
use crate::saved::tree::TreeColumns;
use crate::saved::trees::TreesBuilder;

fn file(name: &str) -> Vec<u8> {
    fs::read(fixtures().join("models").join(name)).unwrap()
}

fn parse(bytes: &[u8]) -> Result<Booster, String> {
    Booster::parse("model", bytes, bytes.len() as u64).map_err(|error| error.message().to_owned())
}

/// A model of each format.
const FORMATS: [&str; 5] = [
    "3.2.0/stump.json",
    "3.2.0/vector-leaf.ubj",
    "1.0.2/dart.bin",
    "1.2.1/logistic.state",
    "2.1.4/gblinear.ubj",
];

#[test]
fn files_that_are_cut_off_are_errors() {
    for name in FORMATS {
        let bytes = file(name);
        assert!(parse(&bytes).is_ok(), "{name}");
        // Behind the trees of a binary model there are settings that do not matter.
        let end = match name.rsplit_once('.').unwrap().1 {
            "bin" => bytes.len() * 4 / 5,
            "state" => bytes.len() * 2 / 5,
            _ => bytes.len(),
        };
        for length in 0..end {
            let error = parse(&bytes[..length]).err();
            assert!(error.is_some(), "{name} cut off at {length}");
        }
        for length in end..bytes.len() {
            let _ = parse(&bytes[..length]);
        }
    }
}

#[test]
fn files_with_a_wrong_byte_do_no_harm() {
    let rows = [0.5, f32::NAN, -3.0, 1e30, 7.0, 0.0, 2.0, 31.0].repeat(9);
    for name in FORMATS {
        let bytes = file(name);
        for index in 0..bytes.len() {
            for wrong in [bytes[index] ^ 1 << (index % 8), b'9'] {
                let mut bytes = bytes.clone();
                bytes[index] = wrong;
                if let Ok(booster) = parse(&bytes)
                    && booster.outputs() < 100
                {
                    let scores = booster.predict(&rows, 8);
                    assert_eq!(scores.rows, 9, "{name}, byte {index}");
                }
            }
        }
    }
}

/// A small model after a change to the value at `place`.
fn changed(name: &str, place: &str, value: Value) -> Result<Booster, String> {
    let mut model: Value = serde_json::from_slice(&file(name)).unwrap();
    *model.pointer_mut(place).unwrap() = value;
    parse(model.to_string().as_bytes())
}

const TREE: &str = "/learner/gradient_booster/model/trees/2";

#[test]
fn trees_that_are_none_are_refused() {
    for (column, value, message) in [
        // A stump has nodes 0, 1 and 2.
        (
            "left_children",
            json!([0, -1, -1]),
            "node 0: two paths lead to it",
        ),
        (
            "left_children",
            json!([2, -1, -1]),
            "node 2: two paths lead to it",
        ),
        (
            "left_children",
            json!([1, 0, -1]),
            "node 1: it has a child number -1",
        ),
        (
            "left_children",
            json!([3, -1, -1]),
            "node 3: there is no such node: the tree has 3",
        ),
        (
            "left_children",
            json!([-2, -1, -1]),
            "node 0: it has a child number -2",
        ),
        (
            "left_children",
            json!([1]),
            "node 1: there is no such node: the tree has 1",
        ),
        (
            "left_children",
            json!([]),
            "node 0: there is no such node: the tree has 0",
        ),
        (
            "right_children",
            json!([2147483647, -1, -1]),
            "node 2147483647: there is no such",
        ),
        (
            "right_children",
            json!([]),
            "node 0: right_children ends before it",
        ),
        (
            "split_indices",
            json!([8, 0, 0]),
            "node 0: it splits on feature 8, but there are 8",
        ),
        ("split_indices", json!([-1, 0, 0]), "split_indices: byte"),
        ("split_indices", json!([0.5, 0, 0]), "0.5 is not a u32"),
        ("split_indices", json!(["0", 0, 0]), "expected a number"),
        (
            "split_conditions",
            json!([0.5]),
            "node 1: split_conditions ends before it",
        ),
        ("split_conditions", json!({}), "split_conditions: byte"),
        (
            "default_left",
            json!([]),
            "node 0: default_left ends before it",
        ),
        ("default_left", json!([256, 0, 0]), "256 is not a u8"),
        (
            "split_type",
            json!([1, 0, 0]),
            "node 0: it splits on categories, but has none",
        ),
        (
            "split_type",
            json!([2, 0, 0]),
            "node 0: its split_type is 2",
        ),
        (
            "tree_param",
            json!({"size_leaf_vector": "3"}),
            "its leaves have 3 numbers, those of",
        ),
        (
            "tree_param",
            json!({"size_leaf_vector": "-1"}),
            "size_leaf_vector is \"-1\": invalid",
        ),
    ] {
        let place = format!("{TREE}/{column}");
        let error = changed("3.2.0/stump.json", &place, value).err().unwrap();
        assert!(error.starts_with("model: tree 2"), "{error}");
        assert!(error.contains(message), "{error} is not about {message}");
    }
}

#[test]
fn sets_of_categories_are_checked() {
    for (column, value, message) in [
        (
            "categories",
            json!([]),
            "leads out of the list of categories",
        ),
        (
            "categories_segments",
            json!([]),
            "categories_segments ends before it",
        ),
        (
            "categories_sizes",
            json!([9_223_372_036_854_775_807_i64]),
            "leads out of the list",
        ),
        ("categories_sizes", json!([-1]), "leads out of the list"),
        (
            "categories_nodes",
            json!([3, 2]),
            "categories_nodes is not in ascending order",
        ),
        (
            "categories_nodes",
            json!([]),
            "it splits on categories, but has none",
        ),
    ] {
        let place = format!("{TREE}/{column}");
        let error = changed("3.2.0/categories-sets.json", &place, value)
            .err()
            .unwrap();
        assert!(error.contains(message), "{error} is not about {message}");
    }
    for category in [-1, 1 << 24] {
        let place = format!("{TREE}/categories/0");
        let error = changed("3.2.0/categories-sets.json", &place, json!(category))
            .err()
            .unwrap();
        assert!(error.contains("is not from 0 to 2^24 - 1"), "{error}");
    }
}

#[test]
fn few_bytes_do_not_become_many() {
    // A hundred sets of the largest category take 200 MiB as bits.
    let mut tree = TreeColumns::default();
    for node in 0..100 {
        tree.category_nodes.push(node);
        tree.category_starts.push(node.into());
        tree.category_counts.push(1);
        tree.categories.push((1 << 24) - 1);
    }
    assert_eq!(tree.prepare_sets(100 << 19).unwrap(), 100 << 19);
    let error = tree.prepare_sets((100 << 19) - 1).unwrap_err();
    assert!(
        error.contains("node 99, its sets of categories are too large"),
        "{error}"
    );

    // Nodes that name the same categories.
    tree.category_starts.fill(0);
    tree.category_counts.fill(2);
    let error = tree.prepare_sets(100 << 19).unwrap_err();
    assert!(
        error.contains("up to node 50, categories_sizes are more"),
        "{error}"
    );
}

#[test]
fn leaves_have_vectors_of_their_own() {
    let mut tree = TreeColumns::default();
    tree.left = vec![1, -1, -1];
    tree.right = vec![2, 0, 1];
    tree.feature = vec![0; 3];
    tree.condition = vec![0.0; 3];
    tree.default_left = vec![0; 3];
    tree.leaf_weights = vec![0.5; 4];
    tree.leaf_size = 2;
    TreesBuilder::default().add(&mut tree).unwrap();
    // The same vector twice is more than the file has.
    tree.right = vec![2, 0, 0];
    tree.leaf_weights.truncate(2);
    let error = TreesBuilder::default().add(&mut tree).unwrap_err();
    assert_eq!(
        error.message(),
        "tree 0, node 2: its leaf vector belongs to other leaves, too"
    );
}

#[test]
fn models_that_contradict_themselves_are_refused() {
    let parameters = "/learner/learner_model_param";
    for (name, place, value, message) in [
        (
            "3.2.0/stump.json",
            "/learner/objective/name",
            json!("reg:magic"),
            "reg:magic",
        ),
        (
            "3.2.0/stump.json",
            "/learner/objective",
            json!({}),
            "the objective is missing",
        ),
        (
            "3.2.0/stump.json",
            "/learner/gradient_booster/name",
            json!("forest"),
            "\"forest\"",
        ),
        (
            "3.2.0/stump.json",
            "/learner",
            json!([]),
            "expected an object",
        ),
        (
            "3.2.0/stump.json",
            "/version",
            json!(["3"]),
            "version: byte",
        ),
        (
            "3.2.0/stump.json",
            "/learner/gradient_booster/model/tree_info",
            json!([0]),
            "tree_info has 1 entries for 3 trees",
        ),
        (
            "3.2.0/multi-softprob.json",
            "/learner/gradient_booster/model/tree_info/5",
            json!(3),
            "tree 5: it belongs to output 3 of 3",
        ),
        (
            "3.2.0/multi-softprob.json",
            &format!("{parameters}/num_class"),
            json!("0"),
            "num_class is 0",
        ),
        (
            "3.2.0/multi-softprob.json",
            &format!("{parameters}/num_class"),
            json!("2"),
            "base_score has 3 entries, but the model has 2 outputs",
        ),
        (
            "3.2.0/multi-softprob.json",
            &format!("{parameters}/num_class"),
            json!("4000000000"),
            "more than 1048576",
        ),
        (
            "3.2.0/stump.json",
            &format!("{parameters}/num_feature"),
            json!("many"),
            "num_feature is \"many\": invalid digit",
        ),
        (
            "3.2.0/stump.json",
            &format!("{parameters}/num_feature"),
            json!("0"),
            "it splits on feature",
        ),
        (
            "3.2.0/stump.json",
            &format!("{parameters}/base_score"),
            json!("[a]"),
            "base_score is \"[a]\", not a number",
        ),
        (
            "3.2.0/stump.json",
            &format!("{parameters}/base_score"),
            json!("NaN"),
            "base_score is NaN, which reg:squarederror cannot have",
        ),
        (
            "3.2.0/count-poisson.json",
            &format!("{parameters}/base_score"),
            json!("-1"),
            "base_score is -1, which count:poisson cannot have",
        ),
        (
            "3.2.0/gblinear.json",
            &format!("{parameters}/num_feature"),
            json!("7"),
            "there are 9 weights for 7 features and 1 outputs",
        ),
        (
            "3.2.0/dart.json",
            "/learner/gradient_booster/weight_drop",
            json!([1.0]),
            "weight_drop has 1 entries for 5 trees",
        ),
        (
            "3.2.0/dart.json",
            "/learner/gradient_booster/weight_drop",
            json!([]),
            "weight_drop has 0 entries for 5 trees",
        ),
    ] {
        let error = changed(name, place, value).err().unwrap();
        assert!(error.starts_with("model: "), "{error}");
        assert!(error.contains(message), "{error} is not about {message}");
    }
}

#[test]
fn other_files_are_named_as_what_they_are() {
    for (bytes, message) in [
        (b"".as_slice(), "the file is empty"),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "it is a Python pickle"),
        (b"\x80\x03cxgboost.core\nBooster\n", "it is a Python pickle"),
        (b"ccopy_reg\n_reconstructor\n", "it is a Python pickle"),
        (b"{}", "there is no \"learner\" in it"),
        (
            b"{\"learner\":{}} {",
            "the document has ended, but not the file",
        ),
        (b"tree\nversion=v4\n", "byte"),
        (&[b'x'; 500], "neither JSON, UBJSON nor"),
        (&[0; 500], "neither JSON, UBJSON nor"),
    ] {
        let error = parse(bytes).err().unwrap();
        assert!(error.contains(message), "{error} is not about {message}");
    }
}
