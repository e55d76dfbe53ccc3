//! `application/json`, `application/jsonlines` and `application/x-npy`, read as the SDK reads them.

use modelcell_guest::ndarray::Array2;
use modelcell_guest::{Decode, Request, Result};

use crate::table::from_array;
use crate::{Decoder, Float, Table};

pub(crate) fn read<T: Float>(_decoder: &Decoder, mut request: Request) -> Result<Table<T>> {
    request.content_type = None;
    read_array(request)
}

/// One row a line. Commas between the lines and brackets around them make JSON of it.
pub(crate) fn read_lines<T: Float>(decoder: &Decoder, mut request: Request) -> Result<Table<T>> {
    let mut list = Vec::with_capacity(request.body.len() + request.body.len() / 8 + 2);
    list.push(b'[');
    let lines = request.body.split(|&byte| byte == b'\n');
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        if list.len() > 1 {
            // The newline keeps the line numbers of the parser's errors right.
            list.extend_from_slice(b",\n");
        }
        list.extend_from_slice(line);
    }
    list.push(b']');
    request.body = list;
    read(decoder, request)
}

/// Anything that the SDK reads as an array: a flat list is one row.
pub(crate) fn read_array<T: Float>(request: Request) -> Result<Table<T>> {
    from_array(Array2::decode(request)?)
}
