use super::{decode, ten};
use crate::Decoder;
use crate::record::put_label;
use crate::recordio;

fn problem(content_type: &str, body: impl Into<Vec<u8>>) -> String {
    let error = decode::<f32>(&ten(), content_type, body).unwrap_err();
    assert_eq!(error.status(), 400, "{error}");
    error.message().to_owned()
}

const LIBSVM: &str = "text/libsvm";
const RECORDIO: &str = "application/x-recordio-protobuf";
const JSON: &str = "application/json";

#[test]
fn content_types() {
    for content_type in ["application/x-parquet", "image/png", "x"] {
        let error = decode::<f32>(&ten(), content_type, "").unwrap_err();
        assert_eq!(error.status(), 415);
        for known in ["text/csv", "text/libsvm", "application/x-recordio-protobuf"] {
            assert!(error.message().contains(known), "{error}");
        }
    }
    for content_type in [
        "text/csv;label_size=2",
        "text/csv; charset=latin1",
        "text/csv; label_size=-1",
    ] {
        assert_eq!(
            decode::<f32>(&ten(), content_type, "1")
                .unwrap_err()
                .status(),
            415
        );
    }
}

#[test]
fn nothing_is_no_input() {
    for content_type in [
        "text/csv",
        LIBSVM,
        RECORDIO,
        JSON,
        "application/jsonlines",
        "application/x-npy",
    ] {
        assert_eq!(
            problem(content_type, ""),
            "the body is empty: send at least one row"
        );
    }
    for content_type in ["text/csv", LIBSVM, "application/jsonlines"] {
        let problem = problem(content_type, "\n \n");
        assert!(
            problem.contains("send at least one row") || problem.contains("features"),
            "{problem}"
        );
    }
    assert!(problem(LIBSVM, "# only a comment").contains("send at least one row"));
    assert!(problem(JSON, r#"{"instances":[],"keys":[]}"#).contains("send at least one row"));
}

#[test]
fn wrong_numbers_of_features() {
    let nine = "1,2,3,4,5,6,7,8,9";
    assert_eq!(
        problem("text/csv", nine),
        "expected 10 features, row 1 has 9"
    );
    assert_eq!(
        problem(JSON, format!("[{nine}]")),
        "expected 10 features, row 1 has 9"
    );
    assert_eq!(
        problem("text/csv", format!("{nine},10\n{nine},10\n{nine}")),
        "row 3 has 9 values, row 1 has 10"
    );
    assert_eq!(
        problem("text/csv", "a,b,c,d,e,f,g,h,i,j\n1,2,3,4,5,6,7,8,9,10"),
        "row 1, column 1: expected a 32-bit float, found \"a\" (send the rows without a header line)"
    );
    assert_eq!(
        problem(LIBSVM, "0:1\n10:1"),
        "row 2: index 10 is beyond the 10 features, whose indices are counted from 0"
    );
    assert_eq!(
        problem(LIBSVM, "1:1\n11:1"),
        "row 2: index 11 is beyond the 10 features, whose indices are counted from 1"
    );
}

#[test]
fn libsvm() {
    for (body, expected) in [
        (
            "1 1:2\n1 1:x",
            "row 2, column 2: expected index:value with a number as value, found \"1:x\"",
        ),
        (
            "1 a:2",
            "row 1, column 2: expected index:value with a whole number as index, found \"a:2\"",
        ),
        (
            "1 -1:2",
            "row 1, column 2: expected index:value with a whole number as index",
        ),
        (
            "1 1:",
            "row 1, column 2: expected index:value with a number as value",
        ),
        (
            "1,2,3\n1;2",
            "row 2, column 1: expected index:value, found \"1;2\"",
        ),
        (
            "1 2 3:4",
            "row 1, column 2: expected index:value, found \"2\"",
        ),
        (
            "0.5,1,2\n3,4,5\n",
            "row 1: expected label index:value ..., found numbers with commas",
        ),
        ("1 2:3 2:4", "row 1: index 2 is there twice"),
        (
            "1:1e39",
            "row 1, column 1: the number is too large for a 32-bit float",
        ),
        (
            "1:1e999",
            "row 1, column 1: expected index:value with a number",
        ),
        (
            "1 1152921504606846976:1",
            "row 1: index 1152921504606846976 is beyond the 10 features",
        ),
        (
            "1 99999999999999999999:1",
            "row 1, column 2: expected index:value with a whole number",
        ),
    ] {
        let problem = problem(LIBSVM, body);
        assert!(problem.starts_with(expected), "{problem}");
    }
    assert!(problem(LIBSVM, "x".repeat(1 << 20)).len() < 200);
}

/// A record whose only feature has this value.
fn record(value: &[u8]) -> Vec<u8> {
    let entry = [&[10, 6][..], b"values", &[18, value.len() as u8], value].concat();
    let record = [&[10, entry.len() as u8][..], &entry].concat();
    let mut body = Vec::new();
    recordio::write(&mut body, &record);
    body
}

#[test]
fn records() {
    let mut label_only = Vec::new();
    put_label(&mut label_only, "values", &[1.0_f32]);
    let mut body = Vec::new();
    recordio::write(&mut body, &label_only);
    assert_eq!(
        problem(RECORDIO, body),
        "row 1: the record has no feature \"values\""
    );

    for (value, expected) in [
        (&[][..], "row 1: \"values\" holds no tensor"),
        (
            &[74, 3, 10, 1, b'x'],
            "row 1: \"values\" must be one tensor of numbers",
        ),
        (
            &[18, 0, 26, 0],
            "row 1: \"values\" must be one tensor of numbers",
        ),
        (&[18, 0], "expected 10 features, row 1 has 0"),
        (
            &[18, 6, 10, 4, 0, 0, 0, 0],
            "expected 10 features, row 1 has 1",
        ),
        (
            &[18, 5, 10, 3, 0, 0, 0],
            "row 1: the record is no SageMaker record: a list of floats",
        ),
        (
            &[18, 6, 10, 5, 0, 0, 0, 0],
            "row 1: the record is no SageMaker record: it ends within",
        ),
        // Keys without values, and a key beyond the features.
        (&[18, 3, 18, 1, 4], "row 1: there are 1 keys and 0 values"),
        (
            &[18, 9, 10, 4, 0, 0, 0, 0, 18, 1, 10],
            "row 1: index 10 is beyond the 10 features",
        ),
        (
            &[18, 13, 10, 8, 0, 0, 0, 0, 0, 0, 0, 0, 18, 1, 1],
            "row 1: there are 1 keys and 2 values",
        ),
        (
            &[18, 14, 10, 8, 0, 0, 0, 0, 0, 0, 0, 0, 18, 2, 1, 1],
            "row 1: index 1 is there twice",
        ),
        // Shapes: of 11, of 2^63 times 2, and one that does not fit the values.
        (&[18, 3, 26, 1, 11], "expected 10 features, row 1 has 11"),
        (
            &[
                18, 13, 26, 11, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 2,
            ],
            "row 1: its shape is larger than memory",
        ),
        (
            &[18, 9, 10, 4, 0, 0, 0, 0, 26, 1, 2],
            "row 1: its shape says 2 values, and there are 1",
        ),
    ] {
        let problem = problem(RECORDIO, record(value));
        assert!(problem.starts_with(expected), "{problem}");
    }
    assert!(problem(RECORDIO, "1,2,3,4,5").starts_with("record 1 does not begin as RecordIO"));
    // A double that no 32-bit float holds; one in 64 bits is fine.
    let mut value = vec![26, 82, 10, 80];
    (0..10).for_each(|_| value.extend_from_slice(&1e300_f64.to_le_bytes()));
    assert_eq!(
        problem(RECORDIO, record(&value)),
        "row 1, column 1: the number is too large for a 32-bit float"
    );
    assert!(decode::<f64>(&ten(), RECORDIO, record(&value)).is_ok());
}

#[test]
fn sparse_json() {
    let body =
        |features: &str| format!(r#"{{"instances":[{{"data":{{"features":{features}}}}}]}}"#);
    for (features, expected) in [
        (
            r#"{"keys":[1],"shape":[10],"values":[]}"#,
            "row 1: there are 1 keys and 0 values",
        ),
        (
            r#"{"keys":[10],"shape":[10],"values":[1]}"#,
            "row 1: index 10 is beyond the 10 features",
        ),
        (
            r#"{"keys":[1,1],"shape":[10],"values":[1,2]}"#,
            "row 1: index 1 is there twice",
        ),
        (
            r#"{"keys":[1],"shape":[11],"values":[1]}"#,
            "expected 10 features, row 1 has 11",
        ),
        (
            r#"{"keys":[1],"shape":[2,5],"values":[1]}"#,
            "row 1: its shape is not that of one row",
        ),
        (
            r#"{"keys":[-1],"values":[1]}"#,
            "the body does not fit the sparse format",
        ),
        (
            r#"{"keys":[1],"values":["x"]}"#,
            "the body does not fit the sparse format",
        ),
        (r#"{"keys":[1]}"#, "the body does not fit the sparse format"),
    ] {
        let problem = problem(JSON, body(features));
        assert!(problem.starts_with(expected), "{problem}");
    }
    assert!(problem(JSON, r#"[{"keys":[1]}]"#).starts_with("row 1: it has no \"features\""));
}

#[test]
fn json_lines_name_the_line() {
    let ten = "[1,2,3,4,5,6,7,8,9,10]";
    let body = format!("{ten}\n{ten}\n[1,2,3,4,5,6,7,8,9,\"x\"]");
    assert!(problem("application/jsonlines", body).starts_with("row 3, column 10: "));
    let body = format!("{ten}\n[1,2}}");
    assert!(problem("application/jsonlines", body).contains("line 2"));
}

/// A few bytes must not become a table that fills the memory.
#[test]
fn tables_are_bounded() {
    let any = Decoder::default();
    let error = |content_type, body: &str| {
        let error = decode::<f32>(&any, content_type, body).unwrap_err();
        assert_eq!(error.status(), 400);
        error.message().to_owned()
    };
    let expected = "row 1: a request takes at most 16777216 values, and with ";
    assert!(error(LIBSVM, "0:1 1152921504606846976:1").starts_with(expected));
    assert!(error(LIBSVM, "0:1 18446744073709551615:1").starts_with(expected));
    let body = r#"{"features":{"keys":[1],"shape":[1152921504606846976],"values":[1]}}"#;
    assert!(error(JSON, body).starts_with(expected));

    // One byte a value, or two.
    let expected = "a request takes at most 16777216 values, and this one has more: send fewer rows at \
                    a time";
    assert_eq!(error("text/csv", &",".repeat(1 << 24)), expected);
    let list = format!("[{}0]", "0,".repeat(1 << 24));
    assert_eq!(error(JSON, &list), expected);
    assert_eq!(error("application/jsonlines", &list), expected);
    for start in ["\u{1}\0", "\u{2}\0"] {
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (16777217, 1), }";
        let length = if start == "\u{1}\0" { 2 } else { 4 };
        let mut body = b"\x93NUMPY".to_vec();
        body.extend_from_slice(start.as_bytes());
        body.extend_from_slice(&(header.len() as u32).to_le_bytes()[..length]);
        body.extend_from_slice(header.as_bytes());
        body.resize(body.len() + (1 << 24) + 1, 0);
        let error = decode::<f32>(&any, "application/x-npy", body).unwrap_err();
        assert_eq!((error.status(), error.message()), (400, expected));
    }

    let wide = Decoder {
        features: Some(1 << 20),
        ..Decoder::default()
    };
    assert_eq!(
        decode::<f32>(&wide, LIBSVM, "1\n".repeat(16)).unwrap().rows,
        16
    );
    let error = decode::<f32>(&wide, LIBSVM, "1\n".repeat(17)).unwrap_err();
    assert_eq!(
        error.message(),
        "row 17: a request takes at most 16777216 values, and with 1048576 features a row it has more: \
         send fewer rows at a time"
    );
}
