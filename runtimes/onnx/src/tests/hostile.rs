//! Files that are damaged, or made to do harm.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bytes;
use crate::OnnxModel;

const MODELS: [&str; 13] = [
    "logistic",
    "titanic",
    "tree",
    "knn",
    "svc_probability",
    "one_hot_text",
    "cnn",
    "mlp_torch", "transformer_length", "hist_boosting", "polynomial", "cnn_dynamo",
    "lstm",
];

/// Reads a file that may be wrong in any way, which may succeed.
fn read(what: &str, bytes: &[u8]) -> Option<OnnxModel> {
    let read = catch_unwind(AssertUnwindSafe(|| OnnxModel::read(bytes)));
    if read.is_err() { eprintln!("PANICKED {what}"); return None; }
    read.unwrap().ok()
}

#[test]
fn files_that_are_cut_are_errors() {
    for name in MODELS {
        let bytes = bytes(&format!("{name}.onnx"));
        for part in 0..100 {
            let length = bytes.len() * part / 100;
            // What is cut off last is the list of operator sets, which does not always matter.
            read(&format!("{name}, {length} bytes"), &bytes[..length]);
        }
        assert!(read(name, &bytes[..bytes.len() / 2]).is_none(), "{name}");
    }
}

#[test]
fn files_with_flipped_bits_do_not_panic() {
    let mut state = 1_u64;
    for name in MODELS {
        let bytes = bytes(&format!("{name}.onnx"));
        for _ in 0..600 {
            let mut changed = bytes.clone();
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (position, bit) = ((state >> 33) as usize % bytes.len(), (state >> 20) % 8);
            changed[position] ^= 1 << bit;
            eprintln!("TRY {name} {bit} {position}");
            read(&format!("{name}, bit {bit} of byte {position}"), &changed);
        }
    }
}
