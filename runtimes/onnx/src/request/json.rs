//! JSON: rows, as TensorFlow Serving takes them, or columns, or the Open Inference Protocol's tensors.

use modelcell_guest::{Context, Error, Result};
use serde_json::{Map, Value};
use tract_onnx::tract_hir::internal::Tensor;

use super::collect::{Collect, collect, quote};
use super::{Reply, check_shape, names, protocol};
use crate::OnnxModel;
use crate::signature::{Dim, Input};

/// Reads the inputs, and how the answer is to be laid out.
pub(super) fn read(model: &OnnxModel, body: &[u8]) -> Result<(Vec<Tensor>, Reply)> {
    let body: Value = serde_json::from_slice(body).invalid_input("the body is not JSON")?;
    match &body {
        Value::Array(rows) => Ok((list(&model.inputs, rows)?, Reply::Rows)),
        Value::Object(body) => object(model, body),
        _ => Err(what_to_send()),
    }
}

fn what_to_send() -> Error {
    Error::invalid_input(
        "expected a list of rows, {\"instances\": [...]}, {\"inputs\": {...}}, or tensors of the \
         Open Inference Protocol",
    )
}

fn object(model: &OnnxModel, body: &Map<String, Value>) -> Result<(Vec<Tensor>, Reply)> {
    if let Some(rows) = body.get("instances") {
        let rows = rows.as_array().invalid_input("instances must be a list")?;
        return Ok((instances(&model.inputs, rows)?, Reply::Rows));
    }
    match body.get("inputs") {
        Some(Value::Array(tensors)) if protocol::are_tensors(tensors) => {
            protocol::read(model, body, tensors)
        }
        Some(inputs) => Ok((columns(&model.inputs, inputs)?, Reply::Columns)),
        None => Err(what_to_send()),
    }
}

/// A plain list: rows, or a single row of numbers.
fn list(inputs: &[Input], rows: &[Value]) -> Result<Vec<Tensor>> {
    if let [input] = inputs
        && input.shape.len() == 2
        && input.width() != Some(1)
        && !rows.is_empty()
        && !rows.iter().any(|row| row.is_array() || row.is_object())
    {
        return instances(inputs, &[Value::Array(rows.to_vec())]);
    }
    instances(inputs, rows)
}

/// Rows: objects by the inputs' names, or lists with a value for each input, or just what the only
/// input takes.
fn instances(inputs: &[Input], rows: &[Value]) -> Result<Vec<Tensor>> {
    let mut all: Vec<Rows> = inputs.iter().map(Rows::new).collect::<Result<_>>()?;
    let are_columns = inputs.iter().all(|input| input.width() == Some(1));
    for (number, row) in rows.iter().enumerate() {
        match (row, all.as_mut_slice()) {
            (Value::Object(row), all) => {
                check_names(row, inputs).context(format!("row {}", number + 1))?;
                for rows in all {
                    let value = row.get(&rows.input.name).unwrap_or(&Value::Null);
                    rows.push(value)?;
                }
            }
            (row, [only]) => only.push(row)?,
            (Value::Array(row), all) if are_columns && row.len() == all.len() => {
                for (rows, value) in all.iter_mut().zip(row) {
                    rows.push(value)?;
                }
            }
            _ => {
                return Err(Error::invalid_input(format_args!(
                    "row {}: expected an object with {}",
                    number + 1,
                    names(inputs)
                )));
            }
        }
    }
    all.into_iter().map(Rows::finish).collect()
}

/// Columns: by the inputs' names, or just what the only input takes.
fn columns(inputs: &[Input], columns: &Value) -> Result<Vec<Tensor>> {
    let of = |input: &Input, value: &Value| {
        let mut all = Rows::new(input)?;
        let rows = value
            .as_array()
            .invalid_input(format!("input `{}` must be a list of rows", input.name))?;
        rows.iter().try_for_each(|row| all.push(row))?;
        all.finish()
    };
    match (columns, inputs) {
        (Value::Object(columns), _) => {
            check_names(columns, inputs)?;
            inputs
                .iter()
                .map(|input| of(input, columns.get(&input.name).unwrap_or(&Value::Null)))
                .collect()
        }
        (value, [input]) => Ok(vec![of(input, value)?]),
        _ => Err(Error::invalid_input(format_args!(
            "inputs must be an object with {}",
            names(inputs)
        ))),
    }
}

/// Fails unless an object has the inputs' names, and no others.
fn check_names(object: &Map<String, Value>, inputs: &[Input]) -> Result<()> {
    if let Some(missing) = inputs
        .iter()
        .find(|input| !object.contains_key(&input.name))
    {
        return Err(Error::invalid_input(format_args!(
            "input `{}` is missing: the model takes {}",
            missing.name,
            names(inputs)
        )));
    }
    let known = |name: &str| inputs.iter().any(|input| input.name == name);
    match object.keys().find(|name| !known(name)) {
        Some(unknown) => Err(Error::invalid_input(format_args!(
            "there is no input {}: the model takes {}",
            quote(unknown),
            names(inputs)
        ))),
        None => Ok(()),
    }
}

/// The rows of an input, one after the other.
struct Rows<'a> {
    input: &'a Input,
    values: Box<dyn Collect>,
    count: usize,
    /// The lengths of a row's axes, as the first row has them.
    shape: Vec<usize>,
}

impl<'a> Rows<'a> {
    fn new(input: &'a Input) -> Result<Self> {
        Ok(Self {
            input,
            values: collect(input.kind)?,
            count: 0,
            shape: Vec::new(),
        })
    }

    fn push(&mut self, row: &Value) -> Result<()> {
        self.count += 1;
        // A value by itself, where a row has one.
        if self.input.shape.len() == 2 && self.input.width() == Some(1) && !row.is_array() {
            self.shape = vec![1];
            return self.leaf(row, &[]);
        }
        self.nested(row, &mut Vec::new())
    }

    /// Collects a part of a row, which stands at `path` in it.
    fn nested(&mut self, value: &Value, path: &mut Vec<usize>) -> Result<()> {
        let depth = path.len();
        if depth + 1 >= self.input.shape.len() {
            return self.leaf(value, path);
        }
        let Some(items) = value.as_array() else {
            let found = quote(&value.to_string());
            return Err(self.error(path, &format!("expected a list, found {found}")));
        };
        let length = match (self.input.shape.get(depth + 1), self.shape.get(depth)) {
            (Some(Dim::Fixed(length)), _) => *length,
            (_, Some(length)) => *length,
            _ => items.len(),
        };
        if items.len() != length {
            let what = if self.input.shape.len() == 2 {
                "features"
            } else {
                "values"
            };
            let text = format!("expected {length} {what}, found {}", items.len());
            return Err(self.error(path, &text));
        }
        if self.shape.len() == depth {
            self.shape.push(length);
        }
        for (position, item) in items.iter().enumerate() {
            path.push(position);
            self.nested(item, path)?;
            path.pop();
        }
        Ok(())
    }

    fn leaf(&mut self, value: &Value, path: &[usize]) -> Result<()> {
        if self.values.json(value) {
            return Ok(());
        }
        let found = quote(&value.to_string());
        let text = format!("expected {}, found {found}", self.values.expected());
        Err(self.error(path, &text))
    }

    /// An error that says where: positions count from 1.
    fn error(&self, path: &[usize], text: &str) -> Error {
        let positions: Vec<String> = path.iter().map(|p| (p + 1).to_string()).collect();
        let place = match positions.as_slice() {
            [] => String::new(),
            [column] => format!(", column {column}"),
            positions => format!(", position [{}]", positions.join(", ")),
        };
        Error::invalid_input(format_args!(
            "input `{}`, row {}{place}: {text}",
            self.input.name, self.count
        ))
    }

    fn finish(self) -> Result<Tensor> {
        if self.count == 0 {
            return Err(Error::invalid_input("there are no rows"));
        }
        let mut shape = vec![self.count];
        shape.extend(&self.shape);
        check_shape(self.input, &shape)?;
        self.values.finish(&shape)
    }
}
