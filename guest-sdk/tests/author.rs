//! The crate as an author meets it: models written with `#[export]`, driven natively.

use std::path::Path;

use modelcell_guest::__private::Component;
use modelcell_guest::__private::bindings::exports::modelcell::inference::hooks::{
    self, Guest as _,
};
use modelcell_guest::ndarray::{Array1, Array2, Axis};
use modelcell_guest::{
    Accept, Context as _, Decode as _, Error, Json, Model, Payload, Request, Result, export,
    testing,
};

/// Sums each row; input and output by default.
struct Sum {
    bias: f32,
}

#[export]
impl Model for Sum {
    type Input = Array2<f32>;
    type Prediction = Array1<f32>;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        let bias = std::fs::read_to_string(model_dir.join("bias.txt")).context("bias.txt")?;
        let bias = bias.trim().parse().context("bias.txt")?;
        Ok(Self { bias })
    }

    fn predict_fn(&self, rows: Array2<f32>) -> Result<Array1<f32>> {
        Ok(rows.sum_axis(Axis(1)) + self.bias)
    }
}

#[allow(clippy::unwrap_used, reason = "a test's helper")]
fn model_dir(bias: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bias.txt"), bias).unwrap();
    folder
}

#[test]
fn default_hooks_speak_csv_and_json() {
    let folder = model_dir("0.5\n");
    let model: Sum = testing::load(folder.path()).unwrap();

    let reply = testing::invoke(&model, Request::new("[[1, 2], [3, 4]]")).unwrap();
    assert_eq!(reply, Payload::new("application/json", "[3.5,7.5]"));

    let request = Request::new("1,2\r\n3,4\r\n")
        .content_type("text/csv; charset=utf-8")
        .accept("text/html, text/csv;q=0.9");
    let reply = testing::invoke(&model, request).unwrap();
    assert_eq!(reply, Payload::new("text/csv", "3.5\n7.5\n"));
}

#[test]
fn callers_mistakes_have_their_status() {
    let folder = model_dir("0");
    let model: Sum = testing::load(folder.path()).unwrap();
    let status = |request| testing::invoke(&model, request).unwrap_err().status();
    assert_eq!(status(Request::new("[[1],[2,3]]")), 400);
    assert_eq!(status(Request::new("x").content_type("image/png")), 415);
    assert_eq!(status(Request::new("[1]").accept("image/png")), 406);
}

#[test]
fn a_model_that_cannot_load_says_which_file() {
    let error = testing::load::<Sum>(model_dir("much").path())
        .err()
        .unwrap();
    assert_eq!(error.status(), 500);
    assert_eq!(error.message(), "bias.txt: invalid float literal");
}

/// Writes both hooks, has a state that is neither `Send` nor `Sync`, and types of its own.
struct Greeter(std::rc::Rc<str>);

struct Name(String);

#[export]
impl Model for Greeter {
    type Input = (Name, Option<String>);
    type Prediction = Payload;

    fn model_fn(_: &Path) -> Result<Self> {
        Ok(Self("Hello".into()))
    }

    fn input_fn(&self, request: Request) -> Result<Self::Input> {
        let attributes = request.custom_attributes.clone();
        let name = match request.media_type()?.as_str() {
            "text/plain" => request.text()?.to_owned(),
            _ => Json::<String>::decode(request)?.0,
        };
        Ok((Name(name), attributes))
    }

    fn predict_fn(&self, (name, attributes): Self::Input) -> Result<Payload> {
        if name.0.is_empty() {
            return Err(Error::invalid_input("the name is empty"));
        }
        let mut payload = Payload::text(format!("{}, {}!", self.0, name.0));
        payload.custom_attributes = attributes;
        Ok(payload)
    }

    fn output_fn(&self, payload: Payload, accept: &Accept) -> Result<Payload> {
        accept.choose(&["text/plain"])?;
        Ok(payload)
    }
}

#[test]
fn own_hooks_take_over() {
    let model: Greeter = testing::load("unused").unwrap();
    let request = Request::new("Ada")
        .content_type("text/plain")
        .custom_attributes("trace=7");
    let reply = testing::invoke(&model, request).unwrap();
    assert_eq!(reply.body, b"Hello, Ada!");
    assert_eq!(reply.custom_attributes.as_deref(), Some("trace=7"));
    let reply = testing::invoke(&model, Request::new("\"Ada\"")).unwrap();
    assert_eq!(reply.body, b"Hello, Ada!");
    assert_eq!(
        testing::invoke(&model, Request::new("\"\""))
            .unwrap_err()
            .status(),
        400
    );
}

/// As the host would call it. The rest of the glue needs a host: handles exist only there.
#[test]
fn the_component_loads_its_model_once() {
    let request = hooks::Request {
        body: b"[1]".to_vec(),
        content_type: None,
        accept: None,
        target_model: None,
        custom_attributes: None,
        inference_id: None,
        target_variant: None,
    };
    let message = |error| match error {
        hooks::Error::Failed(message) => message,
        other => panic!("{other:?}"),
    };

    let early = Component::<Sum>::input_fn(request).err().unwrap();
    assert_eq!(message(early), "no model is loaded: call model-fn first");

    let folder = model_dir("1");
    let path = folder.path().to_str().unwrap().to_owned();
    let missing = Component::<Sum>::model_fn(path.clone() + "/none").unwrap_err();
    assert!(message(missing).starts_with("bias.txt: "));
    // A load that failed may be tried again, one that succeeded may not.
    Component::<Sum>::model_fn(path.clone()).unwrap();
    let twice = Component::<Sum>::model_fn(path).unwrap_err();
    assert!(message(twice).contains("called twice"));
}
