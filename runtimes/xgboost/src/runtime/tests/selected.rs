//! Answers by key, as the container computes them of a prediction.

use serde_json::{Value, json};

use super::*;

const ALL: &str =
    "predicted_label, labels,probability,probabilities, raw_score,RAW_SCORES,predicted_score";

/// The answer for the first row, and what the library predicted for it.
fn answer_of(model: &str, keys: &str, accept: &str) -> Result<(String, Vec<f64>)> {
    let test = format!(
        "selected-{}-{}",
        model.replace(['/', '.'], "-"),
        accept.len()
    );
    let folder = Folder::new(&test, &[("xgboost-model", &format!("{model}.json"))]);
    let model_loaded = folder.load(&[("SAGEMAKER_INFERENCE_OUTPUT", keys)])?;
    let request = Request::new(csv(&rows(1)))
        .content_type("text/csv")
        .accept(accept);
    let payload = testing::invoke(&model_loaded, request)?;
    let expected = expected(&format!("{model}.npy"), 1);
    let expected = expected.into_iter().map(f64::from).collect();
    Ok((String::from_utf8(payload.body).unwrap(), expected))
}

fn assert_like(ours: &Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            assert!(
                (ours - theirs).abs() <= 1e-6 * theirs.abs(),
                "{ours}, {theirs}"
            );
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter()
                .zip(theirs)
                .for_each(|(ours, theirs)| assert_like(ours, theirs));
        }
        _ => assert_eq!(ours, theirs),
    }
}

#[test]
fn each_objective_has_its_keys() {
    let none = Value::Null;
    for (model, make) in [
        (
            "3.2.0/binary-logistic",
            (|p: &[f64]| {
                json!([
                    u8::from(p[0] > 0.5),
                    [0, 1],
                    p[0],
                    [1.0 - p[0], p[0]],
                    p[0],
                    [1.0 - p[0], p[0]],
                    null,
                ])
            }) as fn(&[f64]) -> Value,
        ),
        ("3.2.0/binary-logitraw", |p| {
            json!([
                u8::from(p[0] > 0.0),
                [0, 1],
                null,
                null,
                p[0],
                [1.0 - p[0], p[0]],
                null,
            ])
        }),
        ("3.2.0/binary-hinge", |p| {
            json!([p[0], [0, 1], null, null, p[0], [1.0 - p[0], p[0]], null,])
        }),
        ("3.2.0/multi-softmax", |p| {
            json!([p[0], [0, 1, 2], null, null, p[0], [1.0 - p[0], p[0]], null,])
        }),
        ("3.2.0/multi-softprob", |p| {
            let best = p.iter().copied().fold(0.0, f64::max);
            let label = p.iter().position(|&p| p == best).unwrap();
            json!([label, [0, 1, 2], best, p, best, p, null])
        }),
        ("3.2.0/reg-gamma", |p| {
            json!([null, null, null, null, null, null, p[0]])
        }),
    ] {
        let (answer, expected) = answer_of(model, ALL, "application/json").unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let answer = &answer["predictions"][0];
        let keys = [
            "predicted_label",
            "labels",
            "probability",
            "probabilities",
            "raw_score",
            "raw_scores",
            "predicted_score",
        ];
        for (key, theirs) in keys.iter().zip(make(&expected).as_array().unwrap()) {
            let ours = answer.get(*key).unwrap();
            // What a key does not apply to is NaN in Python, for which JSON has no word.
            if theirs == &none {
                assert!(ours.is_null(), "{model}, {key}: {ours}");
            } else {
                assert_like(ours, theirs);
            }
        }
    }
}

#[test]
fn csv_has_the_keys_in_their_order() {
    let keys = "labels,predicted_label,predicted_score";
    let (answer, expected) = answer_of("3.2.0/binary-logistic", keys, "text/csv").unwrap();
    let label = u8::from(expected[0] > 0.5);
    assert_eq!(answer, format!("\"[0, 1]\",{label},nan"));
}

#[test]
fn the_description_leaves_out_what_has_no_names() {
    let folder = Folder::new("described", &[("xgboost-model", LOGISTIC)]);
    let ending = "application/x-recordio-protobuf";
    let line = folder
        .load(&[("SAGEMAKER_INFERENCE_OUTPUT", "labels")])
        .unwrap()
        .describe();
    assert!(line.ends_with(ending), "{line}");
    for nothing in ["", ","] {
        let plain = folder
            .load(&[("SAGEMAKER_INFERENCE_OUTPUT", nothing)])
            .unwrap();
        let line = plain.describe();
        assert!(line.ends_with("application/x-npy"), "{line}");
        let request = Request::new(csv(&rows(1))).content_type("text/csv");
        let expected = expected("3.2.0/binary-logistic.npy", 1);
        assert_close(&numbers(&answer(&plain, request)), &expected);
    }
}

#[test]
fn other_objectives_have_no_keys() {
    let error = answer_of("3.2.0/survival-aft", ALL, "text/csv").unwrap_err();
    assert_eq!(error.status(), 500);
    assert!(
        error
            .message()
            .contains("survival:aft has no selectable outputs")
    );
}
