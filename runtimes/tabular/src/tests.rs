//! Against bodies that the usual libraries wrote: see `tests/fixtures/README.md`.

mod answers;
mod errors;
mod hostile;
mod requests;

use std::path::Path;

use modelcell_guest::{Request, Result, npy};

use crate::{Decoder, Float, Table};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

fn matrix<T: Float>(name: &str) -> Vec<T> {
    let array = npy::from_bytes(&fixture(name)).unwrap();
    array.into_iter().collect()
}

/// For ten features, absent ones being zero.
fn ten() -> Decoder {
    Decoder {
        features: Some(10),
        absent_is_zero: true,
        ..Decoder::default()
    }
}

fn decode<T: Float>(
    decoder: &Decoder,
    content_type: &str,
    body: impl Into<Vec<u8>>,
) -> Result<Table<T>> {
    decoder.decode(Request::new(body).content_type(content_type))
}

/// The same numbers, where NaN is NaN.
fn assert_same<T: Float>(found: &[T], expected: &[T], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        #[expect(clippy::eq_op, reason = "only NaN is unlike itself")]
        let both_nan = a != a && b != b;
        assert!(
            a == b || both_nan,
            "{what}: value {index} is {a:?}, not {b:?}"
        );
    }
}
