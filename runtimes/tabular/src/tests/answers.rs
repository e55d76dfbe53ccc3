use modelcell_guest::{Accept, npy};

use super::fixture;
use crate::{Answers, Scores, Selected, Style, Value, selected_keys};

fn scalars() -> Scores<f32> {
    Scores::new(1, vec![0.25, 0.1, 1e-8, 3.0])
}

fn matrix() -> Scores<f32> {
    Scores::new(2, vec![0.25, 0.75, 0.1, 0.9])
}

fn multi() -> Answers {
    Answers::default()
}

fn single() -> Answers {
    Answers {
        style: Style::SingleModel,
        ..Answers::default()
    }
}

fn batch(answers: Answers) -> Answers {
    Answers {
        batch: true,
        ..answers
    }
}

fn body(answers: &Answers, scores: Scores<f32>, accept: &str) -> Vec<u8> {
    let payload = answers.scores(scores, &Accept::new(Some(accept))).unwrap();
    assert_eq!(payload.content_type, accept);
    payload.body
}

fn text(answers: &Answers, scores: Scores<f32>, accept: &str) -> String {
    String::from_utf8(body(answers, scores, accept)).unwrap()
}

#[test]
fn csv() {
    let csv = "text/csv";
    assert_eq!(text(&multi(), scalars(), csv), "0.25,0.1,1e-8,3.0");
    assert_eq!(text(&multi(), matrix(), csv), "[0.25, 0.75],[0.1, 0.9]");
    assert_eq!(text(&single(), scalars(), csv), "0.25\n0.1\n1e-8\n3.0\n");
    assert_eq!(text(&single(), matrix(), csv), "0.25,0.75\n0.1,0.9\n");
    let exact = Scores::new(2, vec![0.25, 0.75, 0.5, 3.0]);
    assert_eq!(body(&single(), exact, csv), fixture("exact.csv"));
    for answers in [
        batch(multi()),
        batch(Answers {
            default_accept: csv.to_owned(),
            ..multi()
        }),
    ] {
        assert_eq!(text(&answers, scalars(), csv), "0.25\n0.1\n1e-8\n3.0\n");
        assert_eq!(text(&answers, matrix(), csv), "[0.25, 0.75]\n[0.1, 0.9]\n");
    }
    let odd = Scores::new(1, vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    assert_eq!(text(&multi(), odd, csv), "nan,inf,-inf");
}

#[test]
fn plain() {
    let plain = Answers {
        style: Style::Plain,
        ..Answers::default()
    };
    for (scores, csv, json) in [
        (scalars(), "0.25\n0.1\n1e-8\n3.0\n", "[0.25,0.1,1e-8,3.0]"),
        (matrix(), "0.25,0.75\n0.1,0.9\n", "[[0.25,0.75],[0.1,0.9]]"),
    ] {
        assert_eq!(text(&plain, scores.clone(), "text/csv"), csv);
        assert_eq!(text(&batch(plain.clone()), scores.clone(), "text/csv"), csv);
        assert_eq!(text(&plain, scores, "application/json"), json);
    }
}

#[test]
fn json() {
    let json = "application/json";
    assert_eq!(text(&multi(), scalars(), json), "[0.25,0.1,1e-8,3.0]");
    assert_eq!(text(&multi(), matrix(), json), "[[0.25,0.75],[0.1,0.9]]");
    assert_eq!(
        text(&single(), Scores::new(1, vec![0.25, f32::NAN]), json),
        r#"{"predictions":[{"score":0.25},{"score":null}]}"#
    );
    assert_eq!(
        text(&single(), matrix(), json),
        r#"{"predictions":[{"score":[0.25,0.75]},{"score":[0.1,0.9]}]}"#
    );
    for answers in [multi(), single()] {
        assert_eq!(
            text(&answers, matrix(), "application/jsonlines"),
            "{\"score\":[0.25,0.75]}\n{\"score\":[0.1,0.9]}\n"
        );
    }
}

/// Byte for byte what the container's own writer makes.
#[test]
fn recordio() {
    let recordio = "application/x-recordio-protobuf";
    assert_eq!(body(&multi(), scalars(), recordio), fixture("scalars.pb"));
    assert_eq!(body(&single(), matrix(), recordio), fixture("matrix.pb"));
    let payload = multi()
        .selected(&selected(), &Accept::new(Some(recordio)))
        .unwrap();
    assert_eq!(payload.body, fixture("selected.pb"));
    let wide = Selected {
        keys: selected().keys,
        rows: vec![
            vec![Value::Whole(1), Value::Numbers(vec![0.25_f64, 0.75])],
            vec![Value::Number(1.0), Value::Numbers(vec![0.1, 0.9])],
        ],
    };
    let payload = multi()
        .selected(&wide, &Accept::new(Some(recordio)))
        .unwrap();
    assert_eq!(payload.body, fixture("selected.pb"));
    assert_eq!(payload.content_type, recordio);
}

#[test]
fn arrays() {
    let scalar = npy::from_bytes::<f32>(&body(&multi(), scalars(), "application/x-npy")).unwrap();
    assert_eq!(scalar.shape(), [4]);
    let wide = Scores::new(2, vec![0.1_f64, 0.2, 0.3, 0.4]);
    let payload = multi()
        .scores(wide, &Accept::new(Some("application/x-npy")))
        .unwrap();
    let array = npy::from_bytes::<f64>(&payload.body).unwrap();
    assert_eq!(array.shape(), [2, 2]);
    assert_eq!(array[[1, 0]], 0.3);
}

#[test]
fn wide_floats_keep_their_digits() {
    let payload = multi()
        .scores(
            Scores::new(1, vec![0.1_f32 as f64, 1.0 / 3.0]),
            &Accept::default(),
        )
        .unwrap();
    assert_eq!(payload.body, b"0.10000000149011612,0.3333333333333333");
}

fn selected() -> Selected<f32> {
    Selected {
        keys: selected_keys("predicted_label, probabilities"),
        rows: vec![
            vec![Value::Whole(1), Value::Numbers(vec![0.25, 0.75])],
            vec![Value::Number(1.0), Value::Numbers(vec![0.1, 0.9])],
        ],
    }
}

#[test]
fn selected_outputs() {
    let write = |answers: &Answers, selected: &Selected<f32>, accept| {
        let payload = answers
            .selected(selected, &Accept::new(Some(accept)))
            .unwrap();
        String::from_utf8(payload.body).unwrap()
    };
    // The expected texts are those of the container's tests, but for the number of digits.
    let csv = "1,\"[0.25, 0.75]\"\n1.0,\"[0.1, 0.9]\"";
    assert_eq!(write(&multi(), &selected(), "text/csv"), csv);
    assert_eq!(
        write(&batch(single()), &selected(), "text/csv"),
        format!("{csv}\n")
    );
    let rows = [
        r#"{"predicted_label":1,"probabilities":[0.25,0.75]}"#,
        r#"{"predicted_label":1.0,"probabilities":[0.1,0.9]}"#,
    ];
    assert_eq!(
        write(&multi(), &selected(), "application/json"),
        format!(r#"{{"predictions":[{},{}]}}"#, rows[0], rows[1])
    );
    assert_eq!(
        write(&multi(), &selected(), "application/jsonlines"),
        format!("{}\n{}\n", rows[0], rows[1])
    );
    let odd = Selected {
        keys: selected_keys("labels,nonsense"),
        rows: vec![vec![Value::Wholes(vec![0, 1]), Value::Missing]],
    };
    assert_eq!(write(&multi(), &odd, "text/csv"), "\"[0, 1]\",nan");
    assert_eq!(
        write(&multi(), &odd, "application/jsonlines"),
        "{\"labels\":[0,1],\"nonsense\":null}\n"
    );
    let error = multi()
        .selected(&odd, &Accept::new(Some("application/x-npy")))
        .unwrap_err();
    assert_eq!(error.status(), 406);
}

#[test]
fn keys_as_the_container_reads_them() {
    assert_eq!(
        selected_keys(" Predicted_Label,probability ,raw score,,probability"),
        ["predicted_label", "probability", "rawscore"]
    );
}

#[test]
fn the_default_and_refusals() {
    let chosen = |default: &str, accept: Option<&str>| {
        let answers = Answers {
            default_accept: default.to_owned(),
            ..multi()
        };
        answers
            .scores(scalars(), &Accept::new(accept))
            .map(|payload| payload.content_type)
    };
    for accept in [None, Some(""), Some("*/*")] {
        assert_eq!(chosen("text/csv", accept).unwrap(), "text/csv");
        assert_eq!(
            chosen("Application/JSON", accept).unwrap(),
            "application/json"
        );
        assert_eq!(chosen("image/png", accept).unwrap(), "text/csv");
    }
    assert_eq!(
        chosen("text/csv", Some("application/*")).unwrap(),
        "application/json"
    );
    assert_eq!(chosen("application/json", Some("CSV")).unwrap(), "text/csv");
    assert_eq!(
        chosen("text/csv", Some("json")).unwrap(),
        "application/json"
    );
    let error = chosen("text/csv", Some("image/png")).unwrap_err();
    assert_eq!(error.status(), 406);
    assert_eq!(
        error.message(),
        "cannot answer as \"image/png\": ask for text/csv, application/json, application/jsonlines, \
         application/x-recordio-protobuf or application/x-npy"
    );
}

#[test]
fn types_are_listed_with_the_default_first() {
    let json = Answers {
        default_accept: "application/json".to_owned(),
        ..multi()
    };
    assert_eq!(
        json.types(false),
        "application/json, text/csv, application/jsonlines, application/x-recordio-protobuf, \
         application/x-npy"
    );
    assert_eq!(
        multi().types(true),
        "text/csv, application/json, application/jsonlines, application/x-recordio-protobuf"
    );
}

#[test]
fn settings() {
    let with = |default: Option<&str>, batch: Option<&str>| {
        Answers::default().with_settings(|name| {
            match name {
                "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT" => default,
                "SAGEMAKER_BATCH" => batch,
                _ => None,
            }
            .map(str::to_owned)
        })
    };
    assert_eq!(with(None, None), Answers::default());
    assert_eq!(with(None, Some("true")), batch(multi()));
    assert_eq!(with(None, Some("False")), multi());
    let json = with(Some("application/json"), Some(""));
    assert_eq!(
        text(&json, scalars(), "application/json"),
        "[0.25,0.1,1e-8,3.0]"
    );
    let payload = json.scores(scalars(), &Accept::default()).unwrap();
    assert_eq!(payload.content_type, "application/json");
}
