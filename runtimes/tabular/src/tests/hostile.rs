use super::{decode, fixture, ten};
use crate::Decoder;

const BODIES: [(&str, &str); 12] = [
    ("semicolon.csv", "text/csv"),
    ("space.csv", "text/csv"),
    ("dense64.pb", "application/x-recordio-protobuf"),
    ("int32.pb", "application/x-recordio-protobuf"),
    ("sparse64.pb", "application/x-recordio-protobuf"),
    ("ranked.libsvm", "text/libsvm"),
    ("zero-based.libsvm", "text/libsvm"),
    ("rows.json", "application/json"),
    ("rows.jsonl", "application/jsonlines"),
    ("sparse.json", "application/json"),
    ("sparse.jsonl", "application/jsonlines"),
    ("dense.npy", "application/x-npy"),
];

/// The first bytes of a fixture: a few rows are as good as many here.
fn head(name: &str) -> Vec<u8> {
    let mut body = fixture(name);
    body.truncate(500);
    body
}

/// Whatever comes of it, it is an answer, and errors are the caller's.
fn try_all(content_type: &str, body: &[u8]) {
    for decoder in [ten(), Decoder::default()] {
        for result in [
            decode::<f32>(&decoder, content_type, body).map(|table| table.values.len()),
            decode::<f64>(&decoder, content_type, body).map(|table| table.values.len()),
        ] {
            if let Err(error) = result {
                assert_eq!(error.status(), 400, "{error}");
                assert!(error.message().len() < 1024, "{error}");
            }
        }
    }
}

#[test]
fn truncated_bodies() {
    for (name, content_type) in BODIES {
        let body = head(name);
        for length in 0..body.len() {
            try_all(content_type, &body[..length]);
        }
    }
}

#[test]
fn changed_bytes() {
    for (name, content_type) in BODIES {
        let mut body = head(name);
        for place in 0..body.len() {
            let original = body[place];
            for byte in [
                0,
                0xff,
                original ^ 1,
                original ^ 0x80,
                b'9',
                b':',
                b'\n',
                b'[',
            ] {
                body[place] = byte;
                try_all(content_type, &body);
            }
            body[place] = original;
        }
    }
}

/// Any body may come under any content type.
#[test]
fn bodies_of_another_type() {
    for (name, _) in BODIES {
        for (_, content_type) in BODIES {
            try_all(content_type, &head(name));
        }
    }
}

#[test]
fn deep_nesting() {
    for (content_type, body) in [
        ("application/json", "[".repeat(1 << 20)),
        ("application/json", "{\"data\":".repeat(1 << 18)),
        ("application/json", "{\"keys\":".repeat(1 << 18)),
        (
            "application/json",
            format!("{{\"keys\":{}", "[".repeat(1 << 20)),
        ),
        ("application/jsonlines", "[".repeat(1 << 20)),
        ("application/jsonlines", "[\n".repeat(1 << 18)),
        ("text/csv", "\"".repeat(1 << 20)),
        ("text/libsvm", ":".repeat(1 << 20)),
        ("text/libsvm", "\n".repeat(1 << 20) + "1:1"),
    ] {
        try_all(content_type, body.as_bytes());
    }
}
