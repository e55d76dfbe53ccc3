//! Requests in all forms, and what is wrong with them.

use super::graph::{matrix, node, read};
use super::{bytes, model, send, try_send};
use crate::OnnxModel;

const JSON: &str = "application/json";
const ROW: &str = "[0,1,2,3,4,5,6,7,8,9]";

fn outputs(model: &OnnxModel, content_type: &str, body: &str) -> String {
    send(model, content_type, body, "text/csv")
}

/// The status and the text of a request that is refused.
fn refusal(model: &OnnxModel, content_type: &str, body: &str) -> (u16, String) {
    let error = try_send(model, content_type, body.as_bytes(), JSON).unwrap_err();
    (error.status(), error.message().to_owned())
}

#[test]
fn a_row_is_the_same_in_every_form() {
    let model = model("logistic_plain");
    let expected = outputs(&model, "text/csv", "0,1,2,3,4,5,6,7,8,9\n");
    for body in [
        format!("[{ROW}]"),
        ROW.to_owned(),
        format!(r#"{{"instances": [{ROW}]}}"#),
        format!(r#"{{"instances": [{{"X": {ROW}}}]}}"#),
        format!(r#"{{"inputs": [{ROW}]}}"#),
        format!(r#"{{"inputs": {{"X": [{ROW}]}}}}"#),
        format!(
            r#"{{"inputs": [{{"name": "X", "shape": [1, 10], "datatype": "FP32", "data": {ROW}}}]}}"#
        ),
        format!(
            r#"{{"inputs": [{{"name": "X", "shape": [1, 10], "datatype": "INT64", "data": [{ROW}]}}]}}"#
        ),
    ] {
        assert_eq!(outputs(&model, JSON, &body), expected, "{body}");
    }
    let array = crate::ops::tensor(&[10], (0..10).map(|n| n as f64).collect()).unwrap();
    let body = crate::npy::write(&array).unwrap();
    let answer = try_send(&model, "application/x-npy", &body, "text/csv").unwrap();
    assert_eq!(answer.body, expected.as_bytes());
}

#[test]
fn columns_of_different_types_go_by_name_or_in_order() {
    let model = model("titanic");
    let expected = outputs(
        &model,
        "text/csv",
        "22,7.5,Southampton,3\n,80,Cherbourg,1\n",
    );
    assert_eq!(
        outputs(
            &model,
            "text/csv",
            "town,deck,fare,age\nSouthampton,3,7.5,22\nCherbourg,1,80,\n"
        ),
        expected
    );
    assert_eq!(
        outputs(
            &model,
            "text/csv",
            "22,7.5,\"Southampton\",3\r\n,80,Cherbourg,1\r\n"
        ),
        expected
    );
    for body in [
        r#"{"instances": [{"age": 22, "fare": 7.5, "town": "Southampton", "deck": 3},
                          {"age": null, "fare": 80, "town": ["Cherbourg"], "deck": [1]}]}"#,
        r#"[[22, 7.5, "Southampton", 3], [null, 80, "Cherbourg", 1]]"#,
        r#"{"inputs": {"age": [22, null], "fare": [[7.5], [80]], "town": ["Southampton", "Cherbourg"],
                       "deck": [3, 1]}}"#,
        r#"{"id": "7", "inputs": [
            {"name": "town", "shape": [2], "datatype": "BYTES", "data": ["Southampton", "Cherbourg"]},
            {"name": "age", "shape": [2, 1], "datatype": "FP32", "data": [[22], [null]]},
            {"name": "fare", "shape": [2, 1], "datatype": "FP64", "data": [7.5, 80]},
            {"name": "deck", "shape": [2, 1], "datatype": "INT32", "data": [3, 1]}]}"#,
    ] {
        assert_eq!(outputs(&model, JSON, body), expected, "{body}");
    }
}

#[test]
fn errors_in_csv_say_where() {
    let numbers = model("logistic_plain");
    for (body, expected) in [
        ("1,2,3\n", "row 1: expected 10 columns, found 3"),
        (
            "1,2,3,4,5,6,7,8,9,0\n1,2,3\n",
            "row 2: expected 10 columns, found 3",
        ),
        (
            "1,2,3,4,5,6,7,8,9,0\n1,2,red,4,5,6,7,8,9,0\n",
            "row 2, column 3: expected a 32-bit float, found \"red\"",
        ),
        (
            "1,2,3,4,5,6,7,8,9,1e39\n",
            "row 1, column 10: expected a 32-bit float, found \"1e39\"",
        ),
        ("", "the body has no rows"),
    ] {
        assert_eq!(
            refusal(&numbers, "text/csv", body),
            (400, expected.to_owned()),
            "{body}"
        );
    }
    let (status, text) = refusal(&model("titanic"), "text/csv", "22,7.5,Southampton,3.5\n");
    assert_eq!(
        (status, text.as_str()),
        (
            400,
            "row 1, column 4: expected a 64-bit integer, found \"3.5\""
        )
    );
    let (status, text) = refusal(&model("titanic"), "text/csv", "22,7.5\n");
    assert_eq!(
        (status, text.as_str()),
        (
            400,
            "row 1: expected 4 columns (inputs `age`, `fare`, `town`, `deck`), found 2"
        )
    );
}

#[test]
fn errors_in_json_say_where() {
    let numbers = model("logistic_plain");
    for (body, expected) in [
        (
            "[[1, 2]]",
            "input `X`, row 1: expected 10 features, found 2",
        ),
        (
            r#"[[0,1,2,3,4,5,6,7,8,9], [0,1,2,3,"4",5,6,7,8,9]]"#,
            r#"input `X`, row 2, column 5: expected a 32-bit float, found "\"4\"""#,
        ),
        (r#"{"instances": []}"#, "there are no rows"),
        (
            r#"{"instances": [{"Y": 1}]}"#,
            "row 1: input `X` is missing: the model takes `X`",
        ),
        (r#"{"instances": 3}"#, "instances must be a list"),
        (
            r#"{"inputs": [{"name": "X", "shape": [2, 10], "datatype": "FP32", "data": [1]}]}"#,
            "input `X`: its shape [2, 10] does not fit its 1 values",
        ),
        (
            r#"{"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}"#,
            "input `X`: input `X`: expected 10 features, found 2",
        ),
        (
            r#"{"inputs": [{"name": "Z", "shape": [1], "datatype": "FP32", "data": [1]}]}"#,
            "there is no input \"Z\": the model takes `X`",
        ),
        (
            r#"{"inputs": [{"name": "X", "shape": [1], "datatype": "FLOAT", "data": [1]}]}"#,
            "input `X`: there is no datatype \"FLOAT\": there are BOOL, UINT8, UINT16, UINT32, \
             UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES",
        ),
    ] {
        assert_eq!(
            refusal(&numbers, JSON, body),
            (400, expected.to_owned()),
            "{body}"
        );
    }
    for body in ["", "{", "7", "{}", "null"] {
        assert_eq!(refusal(&numbers, JSON, body).0, 400, "{body}");
    }
    assert_eq!(refusal(&numbers, "image/png", "x").0, 415);
    assert_eq!(refusal(&model("titanic"), "application/x-npy", "x").0, 415);
}

#[test]
fn npz_bodies_must_hold_the_inputs() {
    let model = model("titanic");
    let good = bytes("titanic.in.npz");
    assert!(try_send(&model, "application/x-npz", &good, JSON).is_ok());
    let mut files = crate::zip::read(&good).unwrap();
    files.pop();
    let body = crate::zip::write(&files).unwrap();
    let error = try_send(&model, "application/x-npz", &body, JSON).unwrap_err();
    assert_eq!(error.status(), 400);
    assert!(error.message().contains("expected 4 arrays"), "{error}");
}

/// What a request must not bring down: numbers that cannot be sorted, tokens that do not exist.
#[test]
fn strange_values_are_no_traps() {
    let row = "[null, 1e38, -1e38, 0, \"inf\", \"-inf\", 1, 2, 3, 4]";
    for name in [
        "knn",
        "knn_names",
        "svc_probability",
        "forest",
        "mlp",
        "normalizer_l2",
        "bins",
        "pca",
    ] {
        let body = format!("[{row}, {ROW}]");
        let _ = try_send(&model(name), JSON, body.as_bytes(), JSON);
    }
    let (status, text) = refusal(&model("transformer"), JSON, "[[0,1,2,3,4,5,6,50]]");
    assert_eq!(status, 400);
    assert!(text.contains("index 50 is out of range"), "{text}");
}

#[test]
fn models_for_one_row_take_several() {
    let model = model("cnn_fixed");
    assert!(model.description().contains("1 rows at a time"));
    let image = vec![vec![vec![0.5; 12]; 12]; 1];
    let one = serde_json::to_string(&[&image]).unwrap();
    let two = serde_json::to_string(&[&image, &image]).unwrap();
    let one = outputs(&model, JSON, &one);
    assert_eq!(outputs(&model, JSON, &two), format!("{one}{one}"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_cell() {
    let model = model("titanic");
    for rows in [
        "22,7.5,Southampton,3\n",
        "22,7.5,\"Southampton\",3\n",
        "age,fare,town,deck\n22,7.5,Southampton,3\n",
        "\"age\",fare,town,deck\n22,7.5,Southampton,3\n",
    ] {
        let marked = format!("\u{feff}{rows}");
        let expected = outputs(&model, "text/csv", rows);
        assert_eq!(outputs(&model, "text/csv", &marked), expected, "{rows}");
    }
}

#[test]
fn inputs_of_a_model_for_one_row_must_have_as_many() {
    let mut concat = node("Concat", &["a", "b"], "c");
    concat.attribute.push(tract_onnx::pb::AttributeProto {
        name: "axis".to_owned(),
        r#type: tract_onnx::pb::attribute_proto::AttributeType::Int as i32,
        i: 1,
        ..Default::default()
    });
    let inputs = vec![matrix("a", &[1, 4]), matrix("b", &[1, 2])];
    let model = read(vec![concat], inputs, vec![matrix("c", &[1, 6])]);
    let body = r#"{"inputs": {"a": [[1,2,3,4],[1,2,3,4]], "b": [[5,6],[5,6],[5,6]]}}"#;
    assert_eq!(
        refusal(&model, JSON, body),
        (400, "input `b` has 3 rows, and input `a` has 2".to_owned())
    );
    let body = r#"{"inputs": {"a": [[1,2,3,4],[1,2,3,4]], "b": [[5,6],[7,8]]}}"#;
    assert_eq!(
        outputs(&model, JSON, body),
        "1.0,2.0,3.0,4.0,5.0,6.0\n1.0,2.0,3.0,4.0,7.0,8.0\n"
    );
}

#[test]
fn what_the_model_does_wrong_is_not_the_callers_mistake() {
    let mut sum = node("ReduceSum", &["a"], "c");
    sum.attribute.push(tract_onnx::pb::AttributeProto {
        name: "keepdims".to_owned(),
        r#type: tract_onnx::pb::attribute_proto::AttributeType::Int as i32,
        ..Default::default()
    });
    let model = read(
        vec![sum],
        vec![matrix("a", &[1, 2])],
        vec![matrix("c", &[])],
    );
    let (status, text) = refusal(&model, JSON, "[[1, 2], [3, 4]]");
    assert_eq!(status, 500);
    assert!(text.contains("cannot be put together"), "{text}");
}
