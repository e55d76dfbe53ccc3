use modelcell_guest::{npy, testing};
use serde::Deserialize;
use serde_json::Value;

use super::*;

fn model() -> Digits {
    testing::load(concat!(env!("CARGO_MANIFEST_DIR"), "/model")).unwrap()
}

/// Images that the model was not trained on, and what scikit-learn predicts for them.
#[derive(Deserialize)]
struct Expected {
    inputs: Vec<Vec<f32>>,
    predictions: Vec<Vec<f32>>,
    /// For `request.png`.
    request_png: Vec<Vec<f32>>,
}

impl Expected {
    fn read() -> Self {
        serde_json::from_str(include_str!("../expected.json")).unwrap()
    }

    fn pixels(&self) -> Array2<f32> {
        Array2::from_shape_vec((self.inputs.len(), PIXELS), self.inputs.concat()).unwrap()
    }
}

/// Both sides compute in float32, but sum in different orders.
fn assert_agreement(readings: &[Reading], expected: &[Vec<f32>]) {
    assert_eq!(readings.len(), expected.len());
    for (image, (reading, expected)) in readings.iter().zip(expected).enumerate() {
        for (ours, theirs) in reading.probabilities.iter().zip(expected) {
            assert!(
                (ours - theirs).abs() <= 1e-6,
                "image {image}: {ours}, {theirs}"
            );
        }
        assert_eq!(reading.probabilities.len(), 10);
        assert!(
            expected
                .iter()
                .all(|&theirs| theirs <= expected[reading.digit])
        );
    }
}

fn readings(request: Request) -> Readings {
    let model = model();
    model.predict_fn(model.input_fn(request).unwrap()).unwrap()
}

#[test]
fn agrees_with_scikit_learn() {
    let expected = Expected::read();
    let request = Request::new(npy::to_bytes(&expected.pixels())).content_type("application/x-npy");
    assert_agreement(&readings(request).readings, &expected.predictions);
}

#[test]
fn reads_the_sample_picture() {
    let request = Request::new(include_bytes!("../request.png")).content_type("image/png");
    let found = readings(request.clone());
    assert_agreement(&found.readings, &Expected::read().request_png);

    let reply = testing::invoke(&model(), request).unwrap();
    assert_eq!(reply.content_type, "application/json");
    let reading: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reading["digit"], 7);
    assert_eq!(reading["probabilities"].as_array().unwrap().len(), 10);
}

#[test]
fn a_table_gets_a_list() {
    let body = serde_json::to_vec(&Expected::read().inputs[..1]).unwrap();
    let reply = testing::invoke(&model(), Request::new(body.clone())).unwrap();
    let readings: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(readings.as_array().unwrap().len(), 1);

    let reply = testing::invoke(&model(), Request::new(body).accept("text/csv")).unwrap();
    assert_eq!(reply.content_type, "text/csv");
    let line = String::from_utf8(reply.body).unwrap();
    assert_eq!(line.trim_end().split(',').count(), 11, "{line}");
    assert!(
        line.starts_with(&readings[0]["digit"].to_string()),
        "{line}"
    );
}

#[test]
fn bad_input_is_refused() {
    let csv = |pixel: &str| vec![pixel; 64].join(",");
    for (content_type, body, status, message) in [
        (
            "text/csv",
            "1,2,3".to_owned(),
            400,
            "expected 64 pixels, got 3",
        ),
        (
            "text/csv",
            csv("16.5"),
            400,
            "a pixel is 16.5: expected 0 (black) to 16 (white)",
        ),
        (
            "text/csv",
            csv(""),
            400,
            "a pixel is NaN: expected 0 (black) to 16 (white)",
        ),
        ("image/png", String::new(), 400, "not a PNG: "),
        (
            "image/jpeg",
            String::new(),
            415,
            "cannot read image/jpeg: send image/png, ",
        ),
    ] {
        let request = Request::new(body).content_type(content_type);
        let error = testing::invoke(&model(), request).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
    let request = Request::new(csv("0"))
        .content_type("text/csv")
        .accept("image/png");
    assert_eq!(
        testing::invoke(&model(), request).unwrap_err().status(),
        406
    );
}
