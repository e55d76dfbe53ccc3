use modelcell_guest::{Request, testing};
use serde::Deserialize;

use super::*;

fn model() -> Iris {
    testing::load(concat!(env!("CARGO_MANIFEST_DIR"), "/model")).unwrap()
}

/// Flowers that the model was not trained on, and what scikit-learn predicts for them.
#[derive(Deserialize)]
struct Expected {
    inputs: Vec<[f64; 4]>,
    predictions: Vec<[f32; 3]>,
}

#[test]
fn agrees_with_scikit_learn() {
    let expected: Expected = serde_json::from_str(include_str!("../expected.json")).unwrap();
    let flowers = Array2::from(expected.inputs);
    let predictions = model().predict_fn(flowers).unwrap();
    let difference = (predictions - Array2::from(expected.predictions)).mapv(f32::abs);
    // Half a step of float32 below 1.
    assert!(
        difference.iter().all(|&step| step <= f32::EPSILON / 2.0),
        "{difference}"
    );
}

#[test]
fn csv_in_json_out() {
    let request = Request::new(include_bytes!("../request.csv")).content_type("text/csv");
    let reply = testing::invoke(&model(), request).unwrap();
    assert_eq!(reply.content_type, "application/json");
    let probabilities: Vec<[f32; 3]> = serde_json::from_slice(&reply.body).unwrap();
    // A virginica and a setosa.
    assert!(
        probabilities[0][2] > 0.7 && probabilities[1][0] > 0.7,
        "{probabilities:?}"
    );
}

#[test]
fn bad_input_is_refused() {
    for (body, message) in [
        ("5.1,3.5,1.4", "expected 4 features, got 3"),
        ("5.1,3.5,,0.2", "a measurement is missing or not finite"),
    ] {
        let request = Request::new(body).content_type("text/csv");
        let error = testing::invoke(&model(), request).unwrap_err();
        assert_eq!((error.status(), error.message()), (400, message));
    }
}
