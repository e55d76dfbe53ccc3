//! Bodies of requests to the runtimes for trees: an error, or a table of as many values as it says.
//!
//! The first byte of an input says which content type the rest has, and what is expected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modelcell_fuzz::Capped;
use modelcell_guest::Request;
use modelcell_tabular::{Decoder, MOST_VALUES};

// A table may be as large as it is allowed to be, in float64.
#[global_allocator]
static ALLOCATOR: Capped<{ 2 << 30 }> = Capped;

const CONTENT_TYPES: [&str; 6] = [
    "text/csv",
    "text/libsvm",
    "application/x-recordio-protobuf",
    "application/json",
    "application/jsonlines",
    "application/x-npy",
];

fuzz_target!(|data: &[u8]| {
    let Some((&how, body)) = data.split_first() else {
        return;
    };
    let how = usize::from(how);
    let decoder = Decoder {
        features: (how & 0x80 != 0).then_some(4),
        absent_is_zero: how & 0x40 != 0,
        indices_from_zero: how & 0x20 != 0,
        ..Decoder::default()
    };
    let content_type = CONTENT_TYPES[how % 0x20 % CONTENT_TYPES.len()];
    let request = || Request::new(body).content_type(content_type);
    if let Ok(table) = decoder.decode::<f32>(request()) {
        assert!(table.rows > 0 && table.columns > 0);
        assert_eq!(table.values.len(), table.rows * table.columns);
        assert!(table.values.len() <= MOST_VALUES);
        if let Some(features) = decoder.features {
            assert_eq!(table.columns, features);
        }
    }
    let _ = decoder.decode::<f64>(request());
});
