//! `application/json`, `application/jsonlines` and `application/x-npy`. Dense rows are read as the SDK
//! reads them; this adds SageMaker's sparse ones.

use modelcell_guest::ndarray::Array2;
use modelcell_guest::{Context as _, Decode, Error, Request, Result};
use serde::Deserialize;

use crate::table::{Rows, check_size, from_array};
use crate::{Decoder, Float, Table};

/// Reads lists of rows, and objects that hold them.
pub(crate) fn read<T: Float>(decoder: &Decoder, mut request: Request) -> Result<Table<T>> {
    if is_sparse(&request.body) {
        return read_sparse(decoder, &request.body);
    }
    request.content_type = None;
    // Between any two values there is a comma.
    check_size(&request.body, |body| {
        1 + body.iter().filter(|&&byte| byte == b',').count()
    })?;
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

/// An array as NumPy saves it.
pub(crate) fn read_npy<T: Float>(request: Request) -> Result<Table<T>> {
    // What has no shape is no array, and refused where it is read.
    check_size(&request.body, |body| npy_values(body).unwrap_or_default())?;
    read_array(request)
}

/// The product of the numbers in the header's `'shape': (2, 3)`, whose key may be there again: then the
/// last one counts. That it goes with the number of bytes is checked where the array is read.
fn npy_values(body: &[u8]) -> Option<usize> {
    let (length, rest) = match body.get(6..)? {
        [1, _, a, b, rest @ ..] => (u16::from_le_bytes([*a, *b]).into(), rest),
        [_, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        _ => return None,
    };
    let header = std::str::from_utf8(rest.get(..usize::try_from(length).ok()?)?).ok()?;
    let (_, shape) = header.rsplit_once("shape")?;
    let (shape, _) = shape.split_once(')')?;
    let numbers = shape
        .split(|character: char| !character.is_ascii_digit())
        .filter(|number| !number.is_empty());
    Some(numbers.fold(1, |product: usize, number| {
        product.saturating_mul(number.parse().unwrap_or(usize::MAX))
    }))
}

/// Anything that the SDK reads as an array: a flat list is one row.
fn read_array<T: Float>(request: Request) -> Result<Table<T>> {
    from_array(Array2::decode(request)?)
}

/// Only sparse rows have keys.
fn is_sparse(body: &[u8]) -> bool {
    const KEYS: &[u8] = b"\"keys\"";
    // Numbers have no quotes, so this passes over a body of rows in one go.
    let mut rest = body;
    while let Some(quote) = rest.iter().position(|&byte| byte == b'"') {
        rest = rest.get(quote..).unwrap_or_default();
        if rest.starts_with(KEYS) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// `{"instances":[...]}`, or one instance.
#[derive(Deserialize)]
struct Body {
    instances: Option<Vec<Instance>>,
    data: Option<Data>,
    features: Option<Features>,
}

/// `{"data":{"features":{...}}}`, or without `data`.
#[derive(Deserialize)]
struct Instance {
    data: Option<Data>,
    features: Option<Features>,
}

#[derive(Deserialize)]
struct Data {
    features: Features,
}

/// A sparse row: `values` stand at `keys`, counted from 0, of `shape` features.
#[derive(Deserialize)]
struct Features {
    keys: Vec<u64>,
    #[serde(default)]
    shape: Vec<u64>,
    values: Vec<Option<f64>>,
}

fn read_sparse<T: Float>(decoder: &Decoder, body: &[u8]) -> Result<Table<T>> {
    let mut rows: Option<Rows<T>> = None;
    for (index, instance) in instances(body)?.into_iter().enumerate() {
        let row = index + 1;
        let features = instance
            .data
            .map(|data| data.features)
            .or(instance.features)
            .invalid_input(format_args!("row {row}: it has no \"features\""))?;
        let width = features
            .width(decoder.features)
            .map_err(|problem| Error::invalid_input(format_args!("row {row}: {problem}")))?;
        let rows = rows.get_or_insert_with(|| Rows::new(decoder.features.unwrap_or(width)));
        let values = features
            .values
            .iter()
            .map(|value| value.unwrap_or(f64::NAN));
        let entries = features.keys.iter().copied().zip(values);
        rows.add_sparse(decoder.absent(), width, 0, entries)?;
    }
    rows.map(Rows::finish)
        .invalid_input("the input holds no values: send at least one row")
}

fn instances(body: &[u8]) -> Result<Vec<Instance>> {
    let problem = "the body does not fit the sparse format, \
                   {\"instances\":[{\"data\":{\"features\":{\"keys\":[...],\"shape\":[...],\"values\":[...]}}}]}";
    if body.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(body).invalid_input(problem);
    }
    let body: Body = serde_json::from_slice(body).invalid_input(problem)?;
    Ok(body.instances.unwrap_or_else(|| {
        vec![Instance {
            data: body.data,
            features: body.features,
        }]
    }))
}

impl Features {
    /// The number of features that the row has by its own account.
    fn width(&self, features: Option<usize>) -> Result<usize, String> {
        let (keys, values) = (self.keys.len(), self.values.len());
        if keys != values {
            return Err(format!("there are {keys} keys and {values} values"));
        }
        match (self.shape.as_slice(), features) {
            ([size] | [1, size], _) => {
                usize::try_from(*size).map_err(|_| "its shape is larger than memory".to_owned())
            }
            ([], Some(features)) => Ok(features),
            ([], None) => Err("a sparse row needs a shape".to_owned()),
            _ => Err("its shape is not that of one row".to_owned()),
        }
    }
}
