//! The Open Inference Protocol (version 2 of KServe's), in JSON.

use modelcell_guest::{Context, Error, Result};
use serde_json::{Map, Value};
use tract_onnx::tract_hir::internal::Tensor;

use super::collect::{Collect, collect, quote};
use super::{Reply, fit, names};
use crate::OnnxModel;
use crate::signature::Input;

/// The types that the protocol knows.
const TYPES: [&str; 13] = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16",
    "FP32", "FP64", "BYTES",
];

/// Whether these are the protocol's tensors.
pub(super) fn are_tensors(items: &[Value]) -> bool {
    let is_tensor = |item: &Value| item.get("name").is_some() && item.get("datatype").is_some();
    !items.is_empty() && items.iter().all(is_tensor)
}

/// Reads a request, which [`are_tensors`] has recognised.
pub(super) fn read(
    model: &OnnxModel,
    body: &Map<String, Value>,
    tensors: &[Value],
) -> Result<(Vec<Tensor>, Reply)> {
    let name = |tensor: &Value| {
        tensor
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let known = |name: &str| model.inputs.iter().any(|input| input.name == name);
    for tensor in tensors {
        let name = name(tensor).invalid_input("an input's name is not text")?;
        if !known(&name) {
            return Err(Error::invalid_input(format_args!(
                "there is no input {}: the model takes {}",
                quote(&name),
                names(&model.inputs)
            )));
        }
    }
    let inputs = model
        .inputs
        .iter()
        .map(|input| {
            let mut found = tensors
                .iter()
                .filter(|tensor| name(tensor).as_deref() == Some(&input.name));
            match (found.next(), found.next()) {
                (Some(tensor), None) => read_tensor(input, tensor),
                (None, _) => Err(Error::invalid_input("it is missing")),
                _ => Err(Error::invalid_input("it is there twice")),
            }
            .context(format!("input `{}`", input.name))
        })
        .collect::<Result<_>>()?;
    let reply = Reply::Protocol {
        id: body.get("id").and_then(Value::as_str).map(str::to_owned),
        outputs: outputs(model, body)?,
    };
    Ok((inputs, reply))
}

fn read_tensor(input: &Input, tensor: &Value) -> Result<Tensor> {
    let datatype = tensor
        .get("datatype")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !TYPES.contains(&datatype) {
        return Err(Error::invalid_input(format_args!(
            "there is no datatype {}: there are {}",
            quote(datatype),
            TYPES.join(", ")
        )));
    }
    let shape: Option<Vec<usize>> = tensor.get("shape").and_then(|shape| {
        let lengths = shape.as_array()?.iter();
        lengths
            .map(|length| usize::try_from(length.as_u64()?).ok())
            .collect()
    });
    let shape = shape.invalid_input("it has no shape, a list of whole numbers")?;
    let data = tensor
        .get("data")
        .invalid_input("it has no data (binary data cannot be read)")?;
    let mut values = collect(input.kind)?;
    flatten(data, values.as_mut())?;
    let count = shape
        .iter()
        .try_fold(1_usize, |all, length| all.checked_mul(*length));
    if count != Some(values.len()) {
        return Err(Error::invalid_input(format_args!(
            "its shape {shape:?} does not fit its {} values",
            values.len()
        )));
    }
    fit(input, values.finish(&shape)?)
}

/// Collects all values, however they are nested. JSON that is nested deeply has not been read.
fn flatten(data: &Value, values: &mut dyn Collect) -> Result<()> {
    match data {
        Value::Array(items) => items.iter().try_for_each(|item| flatten(item, values)),
        value if values.json(value) => Ok(()),
        value => Err(Error::invalid_input(format_args!(
            "value {}: expected {}, found {}",
            values.len() + 1,
            values.expected(),
            quote(&value.to_string())
        ))),
    }
}

/// The outputs that a request asks for.
fn outputs(model: &OnnxModel, body: &Map<String, Value>) -> Result<Vec<usize>> {
    let Some(wanted) = body.get("outputs") else {
        return Ok(Vec::new());
    };
    let wanted = wanted.as_array().invalid_input("outputs must be a list")?;
    wanted
        .iter()
        .map(|output| {
            let name = output.get("name").and_then(Value::as_str);
            let name = name.invalid_input("an output's name is not text")?;
            model.output(name)
        })
        .collect()
}
