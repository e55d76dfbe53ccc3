use super::{assert_same, decode, fixture, matrix, ten};
use crate::Decoder;

const CSV: &str = "text/csv";
const LIBSVM: &str = "text/libsvm";
const RECORDIO: &str = "application/x-recordio-protobuf";
const JSON: &str = "application/json";
const JSON_LINES: &str = "application/jsonlines";

/// Every fixture is read as the rows that it was written from, in both kinds of floats.
#[test]
fn fixtures_are_the_rows_that_they_were_written_from() {
    let (dense, sparse) = (matrix::<f32>("dense.npy"), matrix::<f32>("sparse.npy"));
    for (name, content_type, expected) in [
        ("comma.csv", CSV, &dense),
        ("semicolon.csv", CSV, &dense),
        ("tab.csv", "text/csv; charset=utf-8; label_size=1", &dense),
        ("space.csv", "csv", &sparse),
        ("dense32.pb", RECORDIO, &dense),
        ("dense64.pb", RECORDIO, &dense),
        ("sparse32.pb", RECORDIO, &sparse),
        ("sparse64.pb", "recordio-protobuf", &sparse),
        ("one-based.libsvm", LIBSVM, &sparse),
        ("zero-based.libsvm", "text/x-libsvm", &sparse),
        ("ranked.libsvm", "libsvm", &sparse),
        ("rows.json", JSON, &dense),
        ("rows.jsonl", JSON_LINES, &dense),
        ("sparse.json", JSON, &sparse),
        ("sparse.jsonl", JSON_LINES, &sparse),
        ("dense.npy", "application/x-npy", &dense),
    ] {
        for decoder in [
            ten(),
            Decoder {
                features: None,
                ..ten()
            },
        ] {
            let table = decode::<f32>(&decoder, content_type, fixture(name)).unwrap();
            assert_eq!((table.columns, table.rows % 50), (10, 0), "{name}");
            assert!(table.rows > 0, "{name}");
            assert_same(&table.values, &expected[..table.rows * 10], name);

            let wide = decode::<f64>(&decoder, content_type, fixture(name)).unwrap();
            let narrowed: Vec<f32> = wide.values.iter().map(|&value| value as f32).collect();
            assert_same(&narrowed, &table.values, name);
        }
    }
}

#[test]
fn integers() {
    let expected: Vec<f64> = matrix::<f64>("sparse.npy");
    let table = decode::<f64>(&ten(), RECORDIO, fixture("int32.pb")).unwrap();
    assert_eq!(table.rows, 50);
    assert!(table.values.iter().any(|&value| value < 0.0));
    for (value, expected) in table.values.iter().zip(expected) {
        assert!((value - expected * 1000.0).abs() < 0.51, "{value}");
    }
}

#[test]
fn absent_is_missing_or_zero() {
    let missing = Decoder {
        absent_is_zero: false,
        ..ten()
    };
    for (name, content_type) in [
        ("sparse32.pb", RECORDIO),
        ("one-based.libsvm", LIBSVM),
        ("sparse.json", JSON),
    ] {
        let table = decode::<f32>(&missing, content_type, fixture(name)).unwrap();
        let row = table.iter().next().unwrap();
        assert_eq!((row[0], row[9]), (0.5, -2.5), "{name}");
        assert!(row[1].is_nan() && !row.contains(&0.0), "{name}");
        assert!(
            table
                .iter()
                .nth(3)
                .unwrap()
                .iter()
                .all(|value| value.is_nan())
        );
        let table = decode::<f32>(&ten(), content_type, fixture(name)).unwrap();
        assert!(
            table
                .iter()
                .nth(3)
                .unwrap()
                .iter()
                .all(|&value| value == 0.0)
        );
    }
}

#[test]
fn requests_without_content_type() {
    let libsvm = Decoder {
        default_content_type: LIBSVM,
        ..ten()
    };
    for content_type in ["", "  ", "; charset=utf-8"] {
        let table = decode::<f32>(&libsvm, content_type, "1:7").unwrap();
        assert_eq!((table.values[0], table.values[9]), (7.0, 0.0));
        assert!(decode::<f32>(&Decoder::default(), content_type, "[7]").is_ok());
    }
    let request = modelcell_guest::Request::new("1:7");
    assert!(libsvm.decode::<f32>(request).is_ok());
}

#[test]
fn csv_delimiters() {
    let decoder = Decoder {
        features: Some(3),
        ..Decoder::default()
    };
    for body in [
        "1,,3",
        "1, ,3",
        "\n1,,3\n\n",
        "1;;3",
        "1\t\t3",
        "1|nan|3",
        "1 NaN 3",
        "  1   nan  3  \r\n",
        "\"1\",\"\",\"3\"",
        "\u{feff}1,,3",
    ] {
        let table = decode::<f32>(&decoder, CSV, body).unwrap();
        assert_eq!((table.rows, table.columns), (1, 3), "{body:?}");
        assert_eq!((table.values[0], table.values[2]), (1.0, 3.0), "{body:?}");
        assert!(table.values[1].is_nan(), "{body:?}");
    }
    let column = decode::<f32>(&Decoder::default(), CSV, "1\n2\n\n3\n").unwrap();
    assert_eq!((column.rows, column.columns), (3, 1));
}

#[test]
fn libsvm_as_the_container_reads_it() {
    let decoder = Decoder {
        features: Some(3),
        absent_is_zero: true,
        ..Decoder::default()
    };
    for (body, expected) in [
        // Counted from 1 unless there is an index 0 anywhere.
        ("1 1:5 3:6", &[5.0, 0.0, 6.0][..]),
        ("1 0:5 2:6", &[5.0, 0.0, 6.0]),
        ("1:5\n0:6", &[0.0, 5.0, 0.0, 6.0, 0.0, 0.0]),
        // Labels are skipped, if there are any, and need not be ordered.
        ("3:6 1:5", &[5.0, 0.0, 6.0]),
        ("-1.5 qid:3 3:6", &[0.0, 0.0, 6.0]),
        ("1,3 3:6", &[0.0, 0.0, 6.0]),
        // Rows without entries: labels alone, and empty lines between others.
        ("0\n1 1:5\n", &[0.0, 0.0, 0.0, 5.0, 0.0, 0.0]),
        (
            "\n\n1:5\n\n2:6\n\n",
            &[5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0],
        ),
        ("1:5\r\n2:6\r\n", &[5.0, 0.0, 0.0, 0.0, 6.0, 0.0]),
        (
            "1\t1:5 # a comment with 2:6\n# 3:1\n2:6",
            &[5.0, 0.0, 0.0, 0.0, 6.0, 0.0],
        ),
    ] {
        let table = decode::<f64>(&decoder, LIBSVM, body).unwrap();
        assert_eq!(table.values, expected, "{body:?}");
    }
    let from_zero = Decoder {
        indices_from_zero: true,
        ..decoder.clone()
    };
    let table = decode::<f64>(&from_zero, LIBSVM, "1:5").unwrap();
    assert_eq!(table.values, [0.0, 5.0, 0.0]);
    let table = decode::<f64>(&decoder, LIBSVM, "1:nan 2:-inf").unwrap();
    assert!(table.values[0].is_nan());
    assert_eq!(table.values[1], f64::NEG_INFINITY);
    let table = decode::<f64>(&Decoder::default(), LIBSVM, "1:1\n7:2").unwrap();
    assert_eq!((table.rows, table.columns), (2, 7));
}

#[test]
fn json_shapes() {
    let decoder = Decoder {
        features: Some(2),
        ..Decoder::default()
    };
    for (content_type, body) in [
        (JSON, "[1,2]"),
        (JSON, "[[1,2]]"),
        (JSON, r#"{"instances":[[1,2]]}"#),
        (JSON, r#"{"instances":[{"features":[1,2]}]}"#),
        (
            JSON,
            r#"{"instances":[{"data":{"features":{"values":[1,2]}}}]}"#,
        ),
        (JSON, r#"{"features":[1,2]}"#),
        (
            JSON,
            r#"{"data":{"features":{"keys":[1,0],"shape":[2],"values":[2,1]}}}"#,
        ),
        (
            JSON,
            r#"{"features":{"keys":[1,0],"shape":[1,2],"values":[2,1]}}"#,
        ),
        (JSON, r#" [{"features":{"keys":[1,0],"values":[2,1]}}]"#),
        (JSON_LINES, "[1,2]\n\n"),
        (JSON_LINES, "\r\n[1,2]\r\n"),
        (JSON_LINES, r#"{"features":[1,2]}"#),
        (
            JSON_LINES,
            r#"{"features":{"keys":[1,0],"shape":[2],"values":[2,1]}}"#,
        ),
    ] {
        let table = decode::<f32>(&decoder, content_type, body).unwrap();
        assert_eq!((table.rows, table.values), (1, vec![1.0, 2.0]), "{body}");
    }
    let body = r#"{"features":{"keys":[1],"shape":[2],"values":[null]}}"#;
    assert!(decode::<f32>(&decoder, JSON, body).unwrap().values[1].is_nan());
}
