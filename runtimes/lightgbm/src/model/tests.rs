use std::fs;
use std::path::PathBuf;

use modelcell_guest::ndarray::{Array2, ArrayD};
use modelcell_guest::{Error, npy, testing};

use super::*;

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("fixtures").join(name)
}

fn model(name: &str) -> LightGbm {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("model.txt");
    fs::copy(fixture(&format!("4.7.0/{name}.txt")), to).unwrap();
    testing::load(folder.path()).unwrap()
}

/// The first rows, all of them with numbers that JSON has.
fn rows(count: usize) -> Array2<f64> {
    let all: ArrayD<f64> = npy::read(fixture("rows.npy")).unwrap();
    let values: Vec<f64> = all.iter().copied().take(count * 12).collect();
    assert!(values.iter().any(|value| value.is_nan()));
    Array2::from_shape_vec((count, 12), values).unwrap()
}

fn expected(name: &str, count: usize) -> Vec<f64> {
    let all: ArrayD<f64> = npy::read(fixture(&format!("4.7.0/{name}.npy"))).unwrap();
    all.iter().copied().take(count).collect()
}

fn text(row: &[f64], missing: &str, between: &str) -> String {
    let cell = |value: &f64| match value.is_nan() {
        true => missing.to_owned(),
        false => value.to_string(),
    };
    row.iter().map(cell).collect::<Vec<_>>().join(between)
}

fn lines(rows: &Array2<f64>, line: impl Fn(&[f64]) -> String) -> Vec<String> {
    let rows = rows.rows();
    rows.into_iter()
        .map(|row| line(row.as_slice().unwrap()))
        .collect()
}

fn ask(model: &LightGbm, request: Request) -> String {
    let reply = testing::invoke(model, request).unwrap();
    String::from_utf8(reply.body).unwrap()
}

fn refused(model: &LightGbm, request: Request) -> Error {
    testing::invoke(model, request).unwrap_err()
}

fn assert_close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() <= 1e-14 * theirs.abs(),
            "{ours}, {theirs}"
        );
    }
}

#[test]
fn every_content_type_gives_the_same() {
    let (model, rows) = (model("regression"), rows(20));
    let json = lines(&rows, |row| format!("[{}]", text(row, "null", ",")));
    let bodies = [
        (
            Some("text/csv"),
            lines(&rows, |row| text(row, "", ","))
                .join("\n")
                .into_bytes(),
        ),
        (None, format!("[{}]", json.join(",")).into_bytes()),
        (Some("application/x-npy"), npy::to_bytes(&rows)),
    ];
    for (content_type, body) in bodies {
        let mut request = Request::new(body);
        request.content_type = content_type.map(str::to_owned);
        let predictions: Vec<f64> = serde_json::from_str(&ask(&model, request)).unwrap();
        assert_close(&predictions, &expected("regression", 20));
    }
}

/// A number beside the one that was sent may lie on the other side of a threshold.
#[test]
fn numbers_are_read_to_the_bit() {
    let (model, rows) = (model("regression"), rows(600));
    let csv = lines(&rows, |row| text(row, "", ",")).join("\n");
    let json = lines(&rows, |row| format!("[{}]", text(row, "null", ","))).join(",");
    for request in [
        Request::new(csv).content_type("text/csv"),
        Request::new(format!("[{json}]")),
    ] {
        let table = model.input_fn(request).unwrap();
        for (read, sent) in table.values.iter().zip(&rows) {
            assert!(
                read == sent || (read.is_nan() && sent.is_nan()),
                "{read}, {sent}"
            );
        }
    }
}

/// What a sparse row leaves out is 0 and not missing.
#[test]
fn absent_features_are_zero() {
    let model = model("regression");
    let dense = Request::new("0,0,0,-5,0,0,0,0,0,0,0,0").content_type("text/csv");
    let missing = Request::new(",,,-5,,,,,,,,").content_type("text/csv");
    let sparse = Request::new("0 3:-5 11:0").content_type("text/libsvm");
    let answer = ask(&model, sparse);
    assert_eq!(answer, ask(&model, dense));
    assert_ne!(answer, ask(&model, missing));
}

#[test]
fn answers_are_what_the_caller_asks_for() {
    let body = lines(&rows(2), |row| text(row, "", ",")).join("\n");
    let request = |accept: &str| {
        Request::new(body.clone())
            .content_type("text/csv")
            .accept(accept)
    };
    let (one, many) = (model("regression"), model("multiclass"));

    let number: Vec<f64> = serde_json::from_str(&ask(&one, request("application/json"))).unwrap();
    assert_close(&number, &expected("regression", 2));
    let list: Vec<[f64; 3]> = serde_json::from_str(&ask(&many, request("*/*"))).unwrap();
    assert_close(list.as_flattened(), &expected("multiclass", 6));

    let [a, b] = number.as_slice() else {
        panic!("{number:?}")
    };
    for accept in ["text/csv", "csv", "text/csv, */*;q=0.1"] {
        assert_eq!(ask(&one, request(accept)), format!("{a}\n{b}\n"));
    }
    let [[a, b, c], [d, e, f]] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(
        ask(&many, request("text/csv")),
        format!("{a},{b},{c}\n{d},{e},{f}\n")
    );
    assert_eq!(
        ask(&many, request("application/jsonlines")),
        format!("{{\"score\":[{a},{b},{c}]}}\n{{\"score\":[{d},{e},{f}]}}\n")
    );
    let reply = testing::invoke(&many, request("application/x-npy")).unwrap();
    let array: ArrayD<f64> = npy::from_bytes(&reply.body).unwrap();
    assert_eq!(array.shape(), [2, 3]);
    let reply = testing::invoke(&many, request("application/x-recordio-protobuf")).unwrap();
    assert_eq!(reply.content_type, "application/x-recordio-protobuf");
    assert_eq!(refused(&many, request("image/png")).status(), 406);
}

#[test]
fn the_number_of_features_is_checked() {
    let model = model("regression");
    for (content_type, body, found) in [
        ("text/csv", "1,2,3", 3),
        ("application/json", "[[1,2,3,4,5,6,7,8,9,10,11,12,13]]", 13),
    ] {
        let error = refused(&model, Request::new(body).content_type(content_type));
        assert_eq!(error.status(), 400);
        let expected = format!("expected 12 features, row 1 has {found}");
        assert_eq!(error.message(), expected);
    }
}

#[test]
fn operators_read_what_a_model_is() {
    for (name, expected) in [
        ("regression", "gbdt, regression, 8 trees, 12 features"),
        ("rf", "rf, binary, 8 trees, 12 features, 2 classes"),
        ("dart", "dart, binary, 8 trees, 12 features, 2 classes"),
        ("goss", "gbdt, regression, 8 trees, 12 features"),
        ("custom", "gbdt, custom, 8 trees, 12 features"),
        (
            "linear_multiclass",
            "gbdt, multiclass, 24 linear trees, 12 features, 3 classes",
        ),
    ] {
        let expected = format!("lightgbm v4: {expected}");
        assert_eq!(model(name).booster().description(), expected);
    }
}

#[test]
fn operators_set_what_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("4.7.0/binary.txt"), folder.path().join("m.txt")).unwrap();
    let settings = |name: &str| match name {
        "SAGEMAKER_INFERENCE_OUTPUT" => Some("predicted_label, labels".to_owned()),
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT" => Some("application/jsonlines".to_owned()),
        _ => None,
    };
    let model = LightGbm::load(folder.path(), settings).unwrap();
    let body = lines(&rows(1), |row| text(row, "", ",")).join("\n");
    let label = u8::from(expected("binary", 1)[0] > 0.5);
    assert_eq!(
        ask(&model, Request::new(body).content_type("text/csv")),
        format!("{{\"predicted_label\":{label},\"labels\":[0,1]}}\n")
    );
}

#[test]
fn settings_that_say_nothing_are_not_set() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("4.7.0/binary.txt"), folder.path().join("m.txt")).unwrap();
    for (keys, last) in [
        ("", "application/x-npy"),
        (", ,", "application/x-npy"),
        ("labels", "application/x-recordio-protobuf"),
    ] {
        let settings = |name: &str| (name == "SAGEMAKER_INFERENCE_OUTPUT").then(|| keys.to_owned());
        let model = LightGbm::load(folder.path(), settings).unwrap();
        let line = model.describe();
        assert!(line.ends_with(last), "{line}");
        let body = lines(&rows(1), |row| text(row, "", ",")).join("\n");
        let answer = ask(&model, Request::new(body).content_type("text/csv"));
        assert_eq!(answer.contains("labels"), keys == "labels", "{answer}");
    }
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("churn.lgb"), "tree\nversion=v2\n").unwrap();
    let error = testing::load::<LightGbm>(folder.path()).err().unwrap();
    assert_eq!(error.status(), 500);
    assert!(
        error
            .message()
            .starts_with("churn.lgb: the version is \"v2\""),
        "{error}"
    );
}
