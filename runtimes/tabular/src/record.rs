//! SageMaker's recordio-protobuf: a record for each row, which holds tensors by name. Features are
//! the tensor `values`, dense or, if it has keys, sparse.
//!
//! The messages are those of `record.proto` in SageMaker's guide ("Common data formats for
//! training"): `Record { map<string, Value> features = 1, label = 2; ... }`, where a `Value` is one of
//! `Float32Tensor = 2`, `Float64Tensor = 3`, `Int32Tensor = 7` and `Bytes = 9`, and a tensor has
//! `values = 1`, `keys = 2` and `shape = 3`.

use modelcell_guest::{Error, Result};

use crate::protobuf::{Fields, Wire, put_bytes, varint};
use crate::recordio::Records;
use crate::table::Rows;
use crate::{Decoder, Float, Table};

/// The numbers of `Value`'s fields.
const FLOAT32: u64 = 2;
const FLOAT64: u64 = 3;
const INT32: u64 = 7;
const BYTES: u64 = 9;

/// Reads a body of records.
pub(crate) fn read<T: Float>(decoder: &Decoder, body: &[u8]) -> Result<Table<T>> {
    let mut records = Records::new(body);
    let mut tensor = Tensor::default();
    let mut rows: Option<Rows<T>> = None;
    while let Some(record) = records.next()? {
        let number = rows.as_ref().map_or(1, Rows::next_row);
        tensor.clear();
        let width = read_features(&record, &mut tensor)
            .and_then(|()| tensor.width(decoder.features))
            .map_err(|problem| Error::invalid_input(format_args!("row {number}: {problem}")))?;
        let rows = rows.get_or_insert_with(|| Rows::new(decoder.features.unwrap_or(width)));
        tensor.add_to(rows, width, decoder.absent())?;
    }
    rows.map(Rows::finish)
        .ok_or_else(|| Error::invalid_input("the body holds no records: send at least one"))
}

/// A record's features. Its room is used again for the next record.
#[derive(Default)]
struct Tensor {
    values: Vec<f64>,
    keys: Vec<u64>,
    shape: Vec<u64>,
}

impl Tensor {
    fn clear(&mut self) {
        self.values.clear();
        self.keys.clear();
        self.shape.clear();
    }

    /// A writer leaves out the keys of a sparse row without entries, not its shape.
    fn is_sparse(&self) -> bool {
        !self.keys.is_empty() || (self.values.is_empty() && !self.shape.is_empty())
    }

    /// The number of features that the row has by its own account.
    fn width(&self, features: Option<usize>) -> Result<usize, String> {
        let values = self.values.len();
        if !self.keys.is_empty() && self.keys.len() != values {
            let keys = self.keys.len();
            return Err(format!("there are {keys} keys and {values} values"));
        }
        let shaped = self
            .shape
            .iter()
            .try_fold(1_u64, |product, &size| product.checked_mul(size))
            .and_then(|product| usize::try_from(product).ok());
        match (self.is_sparse(), self.shape.is_empty(), shaped) {
            (_, false, None) => Err("its shape is larger than memory".to_owned()),
            (true, false, Some(shaped)) => Ok(shaped),
            // Keys without shape: the model knows how many features there are.
            (true, true, _) => features.ok_or_else(|| "a sparse row needs a shape".to_owned()),
            (false, false, Some(shaped)) if shaped != values => Err(format!(
                "its shape says {shaped} values, and there are {values}"
            )),
            (false, ..) => Ok(values),
        }
    }

    fn add_to<T: Float>(&self, rows: &mut Rows<T>, width: usize, absent: T) -> Result<()> {
        if self.is_sparse() {
            let entries = self.keys.iter().zip(&self.values);
            let entries = entries.map(|(&key, &value)| (key, value));
            return rows.add_sparse(absent, width, 0, entries);
        }
        rows.add_dense(&self.values)
    }
}

/// The tensor `values` among a record's features. Labels and metadata are skipped.
fn read_features(record: &[u8], tensor: &mut Tensor) -> Result<(), String> {
    let mut found = false;
    for field in Fields::new(record) {
        let (1, Wire::Bytes(entry)) = field.map_err(malformed)? else {
            continue;
        };
        let (key, value) = read_entry(entry)?;
        if key != b"values" {
            continue;
        }
        if std::mem::replace(&mut found, true) {
            return Err("the record has two features \"values\"".to_owned());
        }
        read_value(value, tensor)?;
    }
    if found {
        return Ok(());
    }
    Err("the record has no feature \"values\"".to_owned())
}

/// An entry of a map is a message of a key (1) and a value (2).
fn read_entry(entry: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    for field in Fields::new(entry) {
        match field.map_err(malformed)? {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

fn read_value(value: &[u8], tensor: &mut Tensor) -> Result<(), String> {
    let mut kind = None;
    for field in Fields::new(value) {
        let (number @ (FLOAT32 | FLOAT64 | INT32 | BYTES), Wire::Bytes(message)) =
            field.map_err(malformed)?
        else {
            continue;
        };
        if number == BYTES || kind.is_some_and(|kind| kind != number) {
            return Err("\"values\" must be one tensor of numbers".to_owned());
        }
        kind = Some(number);
        read_tensor(message, number, tensor).map_err(malformed)?;
    }
    if kind.is_some() {
        return Ok(());
    }
    Err("\"values\" holds no tensor".to_owned())
}

/// Lists come packed, or one field for each number.
fn read_tensor(message: &[u8], kind: u64, tensor: &mut Tensor) -> Result<(), &'static str> {
    for field in Fields::new(message) {
        match field? {
            (1, wire) => read_numbers(wire, kind, &mut tensor.values)?,
            (2, wire) => read_whole(wire, |whole| tensor.keys.push(whole))?,
            (3, wire) => read_whole(wire, |whole| tensor.shape.push(whole))?,
            _ => {}
        }
    }
    Ok(())
}

fn read_numbers(wire: Wire<'_>, kind: u64, values: &mut Vec<f64>) -> Result<(), &'static str> {
    match (kind, wire) {
        (FLOAT32, Wire::Bytes(packed)) => {
            let (chunks, []) = packed.as_chunks::<4>() else {
                return Err("a list of floats has a length that does not fit");
            };
            values.extend(
                chunks
                    .iter()
                    .map(|&chunk| f64::from(f32::from_le_bytes(chunk))),
            );
        }
        (FLOAT32, Wire::Fixed32(bytes)) => values.push(f32::from_le_bytes(bytes).into()),
        (FLOAT64, Wire::Bytes(packed)) => {
            let (chunks, []) = packed.as_chunks::<8>() else {
                return Err("a list of doubles has a length that does not fit");
            };
            values.extend(chunks.iter().map(|&chunk| f64::from_le_bytes(chunk)));
        }
        (FLOAT64, Wire::Fixed64(bytes)) => values.push(f64::from_le_bytes(bytes)),
        // Negative numbers come with their sign drawn out to 64 bits.
        (INT32, wire) => read_whole(wire, |whole| values.push(f64::from(whole as i32)))?,
        _ => return Err("values are not of the tensor's type"),
    }
    Ok(())
}

fn read_whole(wire: Wire<'_>, mut push: impl FnMut(u64)) -> Result<(), &'static str> {
    match wire {
        Wire::Varint(whole) => push(whole),
        Wire::Bytes(mut packed) => {
            while !packed.is_empty() {
                push(varint(&mut packed)?);
            }
        }
        _ => return Err("whole numbers are not of their type"),
    }
    Ok(())
}

fn malformed(problem: &'static str) -> String {
    format!("the record is no SageMaker record: {problem}")
}

/// Appends a label to a record: a tensor of numbers under a name.
pub(crate) fn put_label<T: Float>(record: &mut Vec<u8>, name: &str, numbers: &[T]) {
    let mut packed = Vec::with_capacity(size_of_val(numbers));
    numbers
        .iter()
        .for_each(|number| number.append_le(&mut packed));
    let mut tensor = Vec::with_capacity(packed.len() + 8);
    put_bytes(&mut tensor, 1, &packed);
    let mut value = Vec::with_capacity(tensor.len() + 8);
    put_bytes(&mut value, T::TENSOR, &tensor);
    let mut entry = Vec::with_capacity(value.len() + name.len() + 8);
    put_bytes(&mut entry, 1, name.as_bytes());
    put_bytes(&mut entry, 2, &value);
    put_bytes(record, 2, &entry);
}
