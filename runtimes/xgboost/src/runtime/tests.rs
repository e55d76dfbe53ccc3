use std::fs;
use std::path::{Path, PathBuf};

use modelcell_guest::ndarray::{Array2, Ix2};
use modelcell_guest::{npy, testing};

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A folder as an artifact unpacks to, with models of the fixtures. Gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("runtime-xgboost-{}-{test}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        for (name, model) in files {
            let model = fixtures().join("models").join(model);
            fs::copy(model, folder.0.join(name)).unwrap();
        }
        folder
    }

    fn load(&self, settings: &[(&str, &str)]) -> Result<XGBoost> {
        let setting = |asked: &str| {
            let found = settings.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        };
        XGBoost::load(&self.0, Settings::new(setting))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first rows of the fixtures.
fn rows(count: usize) -> Array2<f32> {
    let rows = npy::read(fixtures().join("rows.npy")).unwrap();
    let rows = rows.into_dimensionality::<Ix2>().unwrap();
    rows.select(
        modelcell_guest::ndarray::Axis(0),
        &(0..count).collect::<Vec<_>>(),
    )
}

/// What the library predicted for them.
fn expected(model: &str, count: usize) -> Vec<f32> {
    let predictions = npy::read(fixtures().join("models").join(model)).unwrap();
    let predictions: Vec<f32> = predictions.into_iter().collect();
    predictions[..count * predictions.len() / 1024].to_vec()
}

fn csv(rows: &Array2<f32>) -> String {
    let cell = |value: &f32| {
        if value.is_nan() {
            String::new()
        } else {
            value.to_string()
        }
    };
    let line = |row: Vec<String>| row.join(",");
    let lines = rows
        .outer_iter()
        .map(|row| line(row.iter().map(cell).collect()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Indices from 1, missing values left out.
fn libsvm(rows: &Array2<f32>) -> String {
    let mut text = String::new();
    for row in rows.outer_iter() {
        text.push('0');
        for (index, value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            text.push_str(&format!(" {}:{value}", index + 1));
        }
        text.push('\n');
    }
    text
}

fn answer(model: &XGBoost, request: Request) -> String {
    let payload = testing::invoke(model, request).unwrap();
    String::from_utf8(payload.body).unwrap()
}

fn numbers(text: &str) -> Vec<f32> {
    let numbers = text
        .split([',', '[', ']', '\n', ' '])
        .filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().unwrap()).collect()
}

fn assert_close(ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() <= 1e-6 * theirs.abs(),
            "{ours}, {theirs}"
        );
    }
}

const LOGISTIC: &str = "3.2.0/binary-logistic.json";

#[test]
fn every_content_type_gives_the_same() {
    let folder = Folder::new("types", &[("xgboost-model", LOGISTIC)]);
    let model = testing::load::<XGBoost>(&folder.0).unwrap();
    let rows = rows(40);
    let expected = expected("3.2.0/binary-logistic.npy", 40);
    let list: Vec<Vec<Option<f32>>> = rows
        .outer_iter()
        .map(|row| {
            row.iter()
                .map(|&value| Some(value).filter(|value| !value.is_nan()))
                .collect()
        })
        .collect();
    for (content_type, body) in [
        (Some("text/csv"), csv(&rows).into_bytes()),
        (Some("text/libsvm"), libsvm(&rows).into_bytes()),
        (None, libsvm(&rows).into_bytes()),
        (Some("application/json"), serde_json::to_vec(&list).unwrap()),
        (Some("application/x-npy"), npy::to_bytes(&rows)),
    ] {
        let mut request = Request::new(body);
        request.content_type = content_type.map(str::to_owned);
        let answer = answer(&model, request);
        assert_close(&numbers(&answer), &expected);
    }
}

#[test]
fn wrong_requests_say_what_is_wrong() {
    let folder = Folder::new("wrong", &[("xgboost-model", LOGISTIC)]);
    let model = folder.load(&[]).unwrap();
    for (content_type, body, status, message) in [
        ("text/csv", "1,2,3", 400, "8 features"),
        ("text/csv", "1,2,3,4,5,6,7,8,9", 400, "8 features"),
        ("text/libsvm", "0 1:1 9:1", 400, "8"),
        (
            "text/csv",
            "1,2,3,4,5,6,7,8\n1,2,3,4,inf,6,7,8",
            400,
            "row 2, column 5: the number",
        ),
        ("text/csv", "1,2,3,4,5,6,7,-1e39", 400, "row 1, column 8"),
        ("text/csv", "1,2,3,4,x,6,7,8", 400, "row 1, column 5"),
        ("image/png", "1,2,3,4,5,6,7,8", 415, "image/png"),
    ] {
        let request = Request::new(body).content_type(content_type);
        let error = testing::invoke(&model, request).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(
            error.message().contains(message),
            "{error} is not about {message}"
        );
    }
    let request = Request::new("1,2,3,4,5,6,7,8")
        .content_type("text/csv")
        .accept("image/png");
    assert_eq!(testing::invoke(&model, request).unwrap_err().status(), 406);
}

#[test]
fn several_models_predict_together() {
    let names = [
        "3.2.0/linear.json",
        "3.0.5/linear.ubj",
        "3.2.0/reg-absoluteerror.json",
    ];
    let folder = Folder::new(
        "mean",
        &[
            ("xgboost-model-0", names[0]),
            ("xgboost-model-1", names[1]),
            ("b.bst", names[2]),
        ],
    );
    fs::write(folder.0.join("README.md"), "none").unwrap();
    fs::write(folder.0.join(".DS_Store"), "none").unwrap();
    let rows = rows(20);
    let request = || Request::new(csv(&rows)).content_type("text/csv");
    let all: Vec<Vec<f32>> = [
        "3.2.0/linear.npy",
        "3.0.5/linear.npy",
        "3.2.0/reg-absoluteerror.npy",
    ]
    .iter()
    .map(|name| expected(name, 20))
    .collect();
    let mean: Vec<f32> = (0..20)
        .map(|row| (all[2][row] + all[0][row] + all[1][row]) / 3.0)
        .collect();
    let model = folder.load(&[]).unwrap();
    let ours = numbers(&answer(&model, request()));
    for (ours, theirs) in ours.iter().zip(&mean) {
        assert!(
            (ours - theirs).abs() <= 2e-6 * theirs.abs().max(0.1),
            "{ours}, {theirs}"
        );
    }
    assert!(
        model
            .ensemble
            .describe()
            .ends_with("; the mean of 3 models")
    );

    let first = folder
        .load(&[("SAGEMAKER_INFERENCE_ENSEMBLE", "false")])
        .unwrap();
    assert_close(&numbers(&answer(&first, request())), &all[2]);
}

#[test]
fn classes_are_voted_on() {
    let softmax = "3.2.0/multi-softmax.json";
    let folder = Folder::new("vote", &[("a", softmax), ("b", softmax), ("c", softmax)]);
    let model = folder.load(&[]).unwrap();
    assert!(
        model
            .ensemble
            .describe()
            .ends_with("3 classes; 3 models that vote")
    );
    let request = Request::new(csv(&rows(50))).content_type("text/csv");
    let expected = expected("3.2.0/multi-softmax.npy", 50);
    assert_close(&numbers(&answer(&model, request)), &expected);
}

/// What the host takes for XGBoost's by its content.
#[test]
fn a_model_may_be_named_as_notes_are() {
    let models = [("model.txt", LOGISTIC), ("b.log", "2.1.4/logistic.state")];
    for model in models {
        let folder = Folder::new("notes", &[model]);
        fs::write(folder.0.join("README.txt"), "about the learner").unwrap();
        let line = folder.load(&[]).unwrap().describe();
        assert!(
            line.contains("binary:logistic") && !line.contains("models"),
            "{line}"
        );
    }
}

#[test]
fn artifacts_without_a_model_say_so() {
    let load = |folder: &Folder| folder.load(&[]).err().unwrap().message().to_owned();
    let none = Folder::new("none", &[]);
    assert!(load(&none).contains("no model file"));

    let different = [("a", LOGISTIC), ("b", "3.2.0/multi-softprob.json")];
    let message = "b: it has 8 features and 3 outputs, but a has 8 and 1";
    assert!(load(&Folder::new("different", &different)).starts_with(message));

    let broken = Folder::new("broken", &[("a", LOGISTIC)]);
    fs::write(broken.0.join("b.json"), "{").unwrap();
    assert_eq!(load(&broken), "b.json: byte 1: the file ends too early");
    assert!(testing::load::<XGBoost>("no/such/folder").is_err());
}

#[test]
fn the_description_is_one_line() {
    for (model, line) in [
        (
            LOGISTIC,
            "xgboost 3.2.0: gbtree, binary:logistic, 4 trees, 8 features, 2 classes",
        ),
        (
            "3.2.0/targets.ubj",
            "xgboost 3.2.0: gbtree, reg:squarederror, 9 trees, 8 features, 3 outputs",
        ),
        (
            "1.0.2/gblinear.bin",
            "xgboost 1.0.0: gblinear, binary:logistic, 8 features, 2 classes",
        ),
        (
            "1.2.1/dart.json",
            "xgboost 1.2.1: dart, binary:logistic, 5 trees, 8 features, 2 classes",
        ),
    ] {
        let folder = Folder::new("line", &[("model", model)]);
        assert_eq!(folder.load(&[]).unwrap().ensemble.describe(), line);
    }
}

mod selected;
