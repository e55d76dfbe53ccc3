use modelcell_guest::ndarray::Array2;
use modelcell_guest::{Request, npy, testing};
use serde::Deserialize;

use super::*;

fn model() -> BreastCancer {
    testing::load(concat!(env!("CARGO_MANIFEST_DIR"), "/model")).unwrap()
}

/// Rows that the model was not trained on, and what XGBoost predicts for them.
#[derive(Deserialize)]
struct Expected {
    inputs: Vec<Vec<Option<f32>>>,
    predictions: Vec<[f32; 1]>,
}

impl Expected {
    fn read() -> Self {
        serde_json::from_str(include_str!("../expected.json")).unwrap()
    }

    fn rows(&self) -> Array2<f32> {
        let values = self.inputs.iter().flatten();
        let values = values.map(|value| value.unwrap_or(f32::NAN)).collect();
        Array2::from_shape_vec((self.inputs.len(), 30), values).unwrap()
    }

    /// Exactly: the trees compare and add in XGBoost's order, and the last step is its own too. Only
    /// the exponential comes from the system's library, which may round its last bit differently.
    fn assert_agreement(&self, predictions: &[f32]) {
        assert_eq!(predictions.len(), self.predictions.len());
        for (row, (ours, [theirs])) in predictions.iter().zip(&self.predictions).enumerate() {
            assert!(
                (ours - theirs).abs() <= f32::EPSILON / 2.0,
                "row {row}: {ours}, {theirs}"
            );
        }
    }
}

#[test]
fn agrees_with_xgboost() {
    let expected = Expected::read();
    assert!(expected.inputs.iter().flatten().any(Option::is_none));
    let predictions = model().predict_fn(expected.rows()).unwrap();
    expected.assert_agreement(predictions.as_slice().unwrap());
}

#[test]
fn every_content_type_gives_the_same() {
    let expected = Expected::read();
    let cell = |value: &Option<f32>| value.map_or(String::new(), |value| value.to_string());
    let line = |row: &Vec<_>| row.iter().map(cell).collect::<Vec<_>>().join(",");
    let csv: Vec<String> = expected.inputs.iter().map(line).collect();
    for (content_type, body) in [
        ("text/csv", csv.join("\n").into_bytes()),
        (
            "application/json",
            serde_json::to_vec(&expected.inputs).unwrap(),
        ),
        ("application/x-npy", npy::to_bytes(&expected.rows())),
    ] {
        let request = Request::new(body).content_type(content_type);
        let reply = testing::invoke(&model(), request).unwrap();
        let predictions: Vec<f32> = serde_json::from_slice(&reply.body).unwrap();
        expected.assert_agreement(&predictions);
    }
}

#[test]
fn the_sample_request_is_one_row() {
    let request = Request::new(include_bytes!("../request.csv"))
        .content_type("text/csv")
        .accept("text/csv");
    let reply = testing::invoke(&model(), request).unwrap();
    let probability: f32 = String::from_utf8(reply.body)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(probability > 0.9, "{probability}");
}

#[test]
fn the_number_of_features_is_checked() {
    for (body, message) in [
        ("[[1, 2, 3]]", "expected 30 features, got 3"),
        (&format!("{:?}", [0; 31]), "expected 30 features, got 31"),
    ] {
        let error = testing::invoke(&model(), Request::new(body)).unwrap_err();
        assert_eq!((error.status(), error.message()), (400, message));
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = testing::load::<BreastCancer>("no/such/folder")
        .err()
        .unwrap();
    assert_eq!(error.status(), 500);
    assert!(error.message().starts_with("model.json: "), "{error}");
}
