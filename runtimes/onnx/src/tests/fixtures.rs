//! What onnxruntime says about the same models and the same rows: see tests/fixtures/README.md.

use std::collections::HashMap;

use tract_onnx::tract_hir::internal::{DatumType, Tensor};

use super::{bytes, model, path, try_send};
use crate::OnnxModel;
use crate::ops::values;

type Arrays = HashMap<String, Vec<u8>>;

fn npz(bytes: &[u8]) -> Arrays {
    let files = crate::zip::read(bytes).unwrap().into_iter();
    let name = |name: String| name.trim_end_matches(".npy").to_owned();
    files.map(|(file, data)| (name(file), data)).collect()
}

/// The rows of a fixture, as an NPZ body.
fn rows(name: &str) -> Vec<u8> {
    let own = format!("{name}.in.npz");
    bytes(if path(&own).exists() {
        &own
    } else {
        "numbers.npz"
    })
}

/// Compares floats to a relative error of 1e-5, and everything else exactly.
fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    if !found.datum_type().is_float() {
        assert_eq!(found, expected, "{what}");
        return;
    }
    let (found, expected) = (found.cast_to::<f64>(), expected.cast_to::<f64>());
    let (found, expected) = (found.unwrap(), expected.unwrap());
    let pairs = values::<f64>(&found).unwrap().iter();
    for (place, (found, expected)) in pairs.zip(values::<f64>(&expected).unwrap()).enumerate() {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        let off = (found - expected).abs() / expected.abs().max(1.0);
        assert!(
            same || off <= 1e-5,
            "{what}, value {place}: {found} instead of {expected}"
        );
    }
}

fn assert_agreement(name: &str) {
    let model = model(name);
    let answer = try_send(
        &model,
        "application/x-npz",
        &rows(name),
        "application/x-npz",
    );
    let answer = npz(&answer
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .body);
    let expected = npz(&bytes(&format!("{name}.out.npz")));
    for output in &model.outputs {
        let what = format!("{name}, output {}", output.name);
        let read = |arrays: &Arrays| crate::npy::read(&arrays[&output.name], output.kind).unwrap();
        assert_close(&what, &read(&answer), &read(&expected));
        let labels = expected.get(&format!("{}.labels", output.name));
        assert_eq!(labels.is_some(), output.labels.is_some(), "{what}");
        if let (Some(theirs), Some(ours)) = (labels, &output.labels) {
            let theirs: Vec<String> = match crate::npy::read(theirs, DatumType::String) {
                Ok(theirs) => values::<String>(&theirs).unwrap().to_vec(),
                Err(_) => {
                    let theirs = crate::npy::read(theirs, DatumType::I64).unwrap();
                    values::<i64>(&theirs)
                        .unwrap()
                        .iter()
                        .map(i64::to_string)
                        .collect()
                }
            };
            assert_eq!(ours.texts().collect::<Vec<_>>(), theirs, "{what}");
        }
    }
    assert_rows_agree(name, &model);
}

/// A row by itself gets the answer that it gets among others.
fn assert_rows_agree(name: &str, model: &OnnxModel) {
    let arrays = npz(&rows(name));
    let inputs: Vec<Tensor> = model
        .inputs
        .iter()
        .map(|input| {
            let array = arrays.get(&input.name).or(arrays.values().next()).unwrap();
            crate::npy::read(array, input.kind).unwrap()
        })
        .collect();
    let part = |row: usize| {
        inputs
            .iter()
            .map(|input| input.slice(0, row, row + 1).unwrap())
            .collect()
    };
    let all = model.run(inputs.clone()).unwrap();
    for row in 0..inputs[0].shape()[0].min(4) {
        for (all, one) in all.iter().zip(model.run(part(row)).unwrap()) {
            let what = format!("{name}, row {row}");
            assert_close(&what, &one, &all.slice(0, row, row + 1).unwrap());
        }
    }
}

/// All models of a list. A test each, so that they run side by side and say which is wrong.
macro_rules! fixtures {
    ($($test:ident: $($name:ident)*;)*) => {
        $(
            #[test]
            fn $test() {
                $(assert_agreement(stringify!($name));)*
            }
        )*

        #[test]
        fn no_fixture_is_forgotten() {
            let tested: Vec<&str> = vec![$($(stringify!($name)),*),*];
            for entry in std::fs::read_dir(path("")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if let Some(name) = name.strip_suffix(".onnx") {
                    assert!(tested.contains(&name), "{name}");
                }
            }
        }
    };
}

fixtures! {
    linear_models: linear linear_double ridge poisson logistic logistic_plain logistic_binary
        logistic_names logistic_double logistic_old logistic_ovr linear_svc perceptron lda;
    trees: tree tree_names tree_regressor tree_multi;
    forests: forest forest_binary forest_regressor extra_trees bagging isolation_forest;
    boosting: boosting boosting_binary boosting_regressor ada_boost hist_boosting
        hist_boosting_binary hist_boosting_regressor;
    ensembles: voting_soft stacking;
    support_vectors: svc_rbf svc_linear svc_poly svc_sigmoid svc_probability svc_binary
        svc_binary_probability nu_svc svr_rbf svr_linear svr_poly one_class_svm;
    neighbours: knn knn_names knn_cdist knn_regressor kmeans;
    perceptrons: mlp mlp_tanh mlp_regressor;
    naive_bayes: gaussian_nb multinomial_nb bernoulli_nb;
    scalers: standard_scaler min_max_scaler robust_scaler max_abs_scaler scaler_double binarizer
        normalizer_l1 normalizer_l2 normalizer_max power bins;
    features: polynomial pca truncated_svd k_best;
    imputers: imputer_mean imputer_median imputer_most_frequent imputer_constant;
    encoders: one_hot_text one_hot_whole one_hot_dense ordinal_text ordinal_whole label_encoder;
    pipelines: scaled_logistic pca_svc two_column_groups titanic titanic_forest;
    networks: cnn cnn_dynamo cnn_fixed transformer transformer_dynamo transformer_length mlp_torch
        mlp_dynamo lstm;
    boosters: xgboost_binary xgboost_multi xgboost_regressor lightgbm_binary lightgbm_multi
        lightgbm_regressor;
}
