//! Turns requests into a model's inputs.

mod arrays;
mod collect;
mod csv;
mod json;
mod protocol;

use modelcell_guest::{Error, Request, Result};
use tract_onnx::tract_hir::internal::Tensor;

use crate::OnnxModel;
use crate::signature::{Dim, Input};

/// The content types that a model with one input takes. With several inputs, all but NPY.
const TYPES: [&str; 4] = [
    "application/json",
    "text/csv",
    "application/x-npy",
    "application/x-npz",
];

/// A request, decoded.
#[derive(Debug)]
pub struct Call {
    /// In the model's order, of its types and shapes.
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) reply: Reply,
    /// The name by which the model was asked for.
    pub(crate) model_name: String,
}

/// How a JSON answer is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `{"predictions": [...]}`, one for each row.
    Rows,
    /// `{"outputs": ...}`, output by output.
    Columns,
    /// As the Open Inference Protocol has it.
    Protocol {
        id: Option<String>,
        /// The outputs asked for, by their position; all if there are none.
        outputs: Vec<usize>,
    },
}

/// The content types that a model takes.
pub(crate) fn types(model: &OnnxModel) -> Vec<&'static str> {
    let fits = |name: &&str| model.inputs.len() == 1 || *name != "application/x-npy";
    TYPES.iter().copied().filter(fits).collect()
}

/// Decodes a request.
pub(crate) fn decode(model: &OnnxModel, request: &Request) -> Result<Call> {
    let media_type = request.media_type()?;
    let (inputs, reply) = match media_type.as_str() {
        "text/csv" | "application/csv" => (csv::read(&model.inputs, &request.body)?, Reply::Rows),
        "application/json" => json::read(model, &request.body)?,
        "application/x-npz" => (arrays::npz(&model.inputs, &request.body)?, Reply::Rows),
        "application/x-npy" if model.inputs.len() == 1 => {
            (arrays::npy(&model.inputs, &request.body)?, Reply::Rows)
        }
        other => {
            return Err(Error::unsupported_content_type(format_args!(
                "cannot read {other}: send {}",
                types(model).join(" or ")
            )));
        }
    };
    same_rows(model, &inputs)?;
    Ok(Call {
        inputs,
        reply,
        model_name: request.target_model.clone().unwrap_or_default(),
    })
}

/// Gives a tensor the shape that an input takes. A list stands for a column where a row has one value,
/// and for a row where it has several.
fn fit(input: &Input, mut tensor: Tensor) -> Result<Tensor> {
    if let ([length], [_, columns]) = (tensor.shape(), input.shape.as_slice()) {
        let shape = match columns {
            Dim::Fixed(1) => [*length, 1],
            _ => [1, *length],
        };
        tensor.set_shape(&shape).map_err(crate::failed)?;
    }
    check_shape(input, tensor.shape())?;
    Ok(tensor)
}

/// Fails unless an input can have this shape.
fn check_shape(input: &Input, shape: &[usize]) -> Result<()> {
    let name = &input.name;
    let fits = |(dim, length): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if fixed != length);
    if let ([_, Dim::Fixed(expected)], [_, found]) = (input.shape.as_slice(), shape)
        && expected != found
    {
        return Err(Error::invalid_input(format_args!(
            "input `{name}`: expected {expected} features, found {found}"
        )));
    }
    // The first axis is the rows': a model that fixes their number is run several times.
    let rest = input.shape.iter().zip(shape).skip(1);
    if input.shape.len() != shape.len() || !rest.into_iter().all(fits) {
        return Err(Error::invalid_input(format_args!(
            "input `{name}`: expected the shape {}, found {shape:?}",
            input.shape_text()
        )));
    }
    if shape.contains(&0) {
        return Err(Error::invalid_input(format_args!(
            "input `{name}` is empty: send rows"
        )));
    }
    Ok(())
}

/// Fails unless all inputs have as many rows, and those without rows the length that they take.
fn same_rows(model: &OnnxModel, tensors: &[Tensor]) -> Result<()> {
    let mut seen: Option<(&Input, usize)> = None;
    for (input, tensor) in model.inputs.iter().zip(tensors) {
        let Some(&rows) = tensor.shape().first() else {
            continue;
        };
        let name = &input.name;
        match (input.by_rows(model.step()), input.shape.first(), seen) {
            (true, _, Some((first, expected))) if expected != rows => {
                return Err(Error::invalid_input(format_args!(
                    "input `{name}` has {rows} rows, and input `{}` has {expected}",
                    first.name
                )));
            }
            (true, ..) => seen = Some((input, rows)),
            (false, Some(Dim::Fixed(length)), _) if *length != rows => {
                return Err(Error::invalid_input(format_args!(
                    "input `{name}`: expected the shape {}, found {:?}",
                    input.shape_text(),
                    tensor.shape()
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The names of a model's inputs, for errors.
fn names(inputs: &[Input]) -> String {
    let names: Vec<String> = inputs
        .iter()
        .map(|input| format!("`{}`", input.name))
        .collect();
    names.join(", ")
}
