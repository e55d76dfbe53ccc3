//! ONNX models: an error, or a model that says what it is and answers a request or refuses it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcell_fuzz::Capped;
use modelcell_guest::{Accept, Request};
use runtime_onnx::OnnxModel;

#[global_allocator]
static ALLOCATOR: Capped<{ 1 << 30 }> = Capped;

fuzz_target!(|data: &[u8]| {
    let Ok(model) = OnnxModel::read(data) else {
        return;
    };
    assert!(!model.description().is_empty());
    for body in ["1,2,3,4", "1\n2", "0.5,0,-1,2,3,4,5,6,7,8"] {
        let request = Request::new(body).content_type("text/csv");
        let Ok(call) = model.decode(&request) else {
            continue;
        };
        if let Ok(answer) = model.predict(call) {
            let _ = model.encode(&answer, &Accept::new(None));
        }
    }
});
