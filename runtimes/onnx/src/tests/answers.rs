//! Answers in all forms.

use super::{model, send, try_send};

#[test]
fn a_setting_decides_where_the_caller_does_not() {
    for (setting, expected) in [
        (None, "application/json"),
        (Some("Text/CSV"), "text/csv"),
        (Some("image/png"), "application/json"),
    ] {
        let mut model = model("linear");
        model.default_type = crate::answer::default_type(setting);
        let answer = |accept| try_send(&model, "text/csv", ROW.as_bytes(), accept).unwrap();
        assert_eq!(answer("*/*").content_type, expected, "{setting:?}");
        assert_eq!(answer("").content_type, expected, "{setting:?}");
        let json = answer("application/json");
        assert_eq!(json.content_type, "application/json", "{setting:?}");
    }
}

const ROW: &str = "0,1,2,3,4,5,6,7,8,9\n";

fn json(name: &str, body: &str, content_type: &str) -> serde_json::Value {
    let text = send(&model(name), content_type, body, "application/json");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn predictions_come_by_row() {
    let one = json("linear", ROW, "text/csv");
    assert!(one["predictions"][0][0].is_number(), "{one}");

    let named = json("logistic_names", ROW, "text/csv");
    let row = &named["predictions"][0];
    assert!(row["output_label"].is_string(), "{named}");
    assert!(row["output_probability"]["setosa"].is_number(), "{named}");

    let whole = json("logistic", ROW, "text/csv");
    assert!(
        whole["predictions"][0]["output_probability"]["2"].is_number(),
        "{whole}"
    );
}

#[test]
fn columns_are_answered_by_columns() {
    let body = r#"{"inputs": [[0,1,2,3,4,5,6,7,8,9]]}"#;
    let answer = json("logistic_plain", body, "application/json");
    assert!(answer["outputs"]["label"][0].is_i64(), "{answer}");
    assert_eq!(
        answer["outputs"]["probabilities"][0]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let answer = json("linear", body, "application/json");
    assert!(answer["outputs"][0][0].is_number(), "{answer}");
}

#[test]
fn the_protocol_is_answered_in_kind() {
    let body = r#"{"id": "a", "inputs": [{"name": "X", "shape": [1, 10], "datatype": "FP32",
        "data": [0,1,2,3,4,5,6,7,8,9]}], "outputs": [{"name": "output_probability"}]}"#;
    let answer = json("logistic_names", body, "application/json");
    assert_eq!(answer["model_name"], "tenant/model.tar.gz");
    assert_eq!(answer["id"], "a");
    let [output] = answer["outputs"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(output["name"], "output_probability");
    assert_eq!(output["datatype"], "FP32");
    assert_eq!(output["shape"], serde_json::json!([1, 3]));
    assert_eq!(output["parameters"]["labels"][1], "versicolor");
    assert_eq!(output["data"].as_array().unwrap().len(), 3);

    let wrong = body.replace("output_probability", "nothing");
    let error = try_send(
        &model("logistic"),
        "application/json",
        wrong.as_bytes(),
        "*/*",
    );
    assert_eq!(error.unwrap_err().status(), 400);
}

#[test]
fn csv_has_all_outputs_or_the_one_that_is_wanted() {
    let model = model("logistic_names");
    let all = send(&model, "text/csv", ROW, "text/csv");
    let label = send(&model, "text/csv", ROW, "text/csv; output=output_label");
    let scores = send(
        &model,
        "text/csv",
        ROW,
        "text/csv; output=output_probability",
    );
    assert_eq!(all, format!("{},{scores}", label.trim_end()));
    assert_eq!(all.split(',').count(), 4);
}

#[test]
fn arrays_hold_one_output_or_all() {
    let model = model("logistic_names");
    let kind = tract_onnx::prelude::DatumType::F32;
    let accept = "application/x-npy; output=output_probability";
    let one = try_send(&model, "text/csv", ROW.as_bytes(), accept).unwrap();
    assert_eq!(one.content_type, "application/x-npy");
    assert_eq!(crate::npy::read(&one.body, kind).unwrap().shape(), [1, 3]);
    let all = try_send(&model, "text/csv", ROW.as_bytes(), "application/x-npz").unwrap();
    let files = crate::zip::read(&all.body).unwrap();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["output_label.npy", "output_probability.npy"]);
    let error = try_send(&model, "text/csv", ROW.as_bytes(), "image/png").unwrap_err();
    assert_eq!(error.status(), 406);
}
