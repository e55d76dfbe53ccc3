//! Files that are damaged, or made to do harm.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bytes;
use crate::OnnxModel;

/// Models whose damaged files are errors. In networks as that of lstm.onnx tract itself gives up on some:
/// in a cell that is a trap, which fails the load.
const MODELS: [&str; 12] = [
    "logistic",
    "titanic",
    "tree",
    "knn",
    "svc_probability",
    "one_hot_text",
    "cnn",
    "mlp_torch",
    "transformer_length",
    "hist_boosting",
    "polynomial",
    "cnn_dynamo",
];

/// Reads a file that may be wrong in any way, which may succeed.
fn read(what: &str, bytes: &[u8]) -> Option<OnnxModel> {
    let read = catch_unwind(AssertUnwindSafe(|| OnnxModel::read(bytes)));
    read.unwrap_or_else(|_| panic!("{what}: a panic")).ok()
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
        for _ in 0..150 {
            let mut changed = bytes.clone();
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (position, bit) = ((state >> 33) as usize % bytes.len(), (state >> 20) % 8);
            changed[position] ^= 1 << bit;
            read(&format!("{name}, bit {bit} of byte {position}"), &changed);
        }
    }
}

/// A model with an operator that is not supported, or with a problem that tract does not look for.
#[test]
fn problems_name_the_node() {
    use prost::Message as _;
    let good =
        tract_onnx::pb::ModelProto::decode(bytes("scaled_logistic.onnx").as_slice()).unwrap();
    let refusal = |change: fn(&mut tract_onnx::pb::GraphProto)| {
        let mut model = good.clone();
        change(model.graph.as_mut().unwrap());
        OnnxModel::read(&model.encode_to_vec())
            .unwrap_err()
            .message()
            .to_owned()
    };
    let unknown = refusal(|graph| {
        graph.node[0].op_type = "Foo".to_owned();
        graph.node[0].domain = "com.example".to_owned();
    });
    assert!(unknown.contains("node 0 (`"), "{unknown}");
    assert!(
        unknown.contains(
            "uses the operator com.example.Foo, which is not supported: see docs/onnx.md"
        ),
        "{unknown}"
    );
    let cyclic = refusal(|graph| graph.node[0].input[0] = graph.node[1].output[0].clone());
    assert!(cyclic.contains("is not defined before it"), "{cyclic}");
    let twice = refusal(|graph| graph.node[1].output[0] = graph.node[0].output[0].clone());
    assert!(twice.contains("is defined twice"), "{twice}");
    let nowhere = refusal(|graph| graph.output[0].name = "nowhere".to_owned());
    assert!(
        nowhere.contains("output `nowhere` is not defined"),
        "{nowhere}"
    );
}
