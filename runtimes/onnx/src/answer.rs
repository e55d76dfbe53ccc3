//! Turns a model's outputs into answers.

mod json;

use modelcell_guest::{Accept, Context, Error, Payload, Result};
use tract_onnx::tract_hir::internal::Tensor;

use crate::OnnxModel;
use crate::request::Reply;
use crate::scalar::with_scalar;
use crate::{npy, zip};

/// The content types of answers, best first.
pub(crate) const TYPES: [&str; 4] = [
    "application/json",
    "text/csv",
    "application/x-npy",
    "application/x-npz",
];

/// The content type of answers to callers who name none, where a setting may ask for one. What is no type
/// of answers counts as JSON.
pub(crate) fn default_type(setting: Option<&str>) -> &'static str {
    let wanted = setting.unwrap_or_default().trim();
    let found = TYPES.iter().find(|name| name.eq_ignore_ascii_case(wanted));
    found.copied().unwrap_or("application/json")
}

/// What a model said.
#[derive(Debug)]
pub struct Answer {
    /// All outputs, in the model's order.
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) reply: Reply,
    /// The number of rows of the request.
    pub(crate) rows: usize,
    pub(crate) model_name: String,
}

/// Encodes an answer.
pub(crate) fn encode(model: &OnnxModel, answer: &Answer, accept: &Accept) -> Result<Payload> {
    let mut best_first = TYPES;
    best_first.sort_by_key(|name| *name != model.default_type);
    let chosen = accept.choose(&best_first)?;
    let wanted = preference(model, accept)?;
    let body = match chosen {
        "text/csv" => csv(answer, wanted)?,
        "application/x-npy" => {
            let output = answer.outputs.get(wanted.unwrap_or(0));
            npy::write(output.context("the model has no outputs")?)?
        }
        "application/x-npz" => npz(model, answer)?,
        _ => return json::encode(model, answer),
    };
    Ok(Payload::new(chosen, body))
}

/// The output that the caller wants in an answer that has one: `text/csv; output=probabilities`.
fn preference(model: &OnnxModel, accept: &Accept) -> Result<Option<usize>> {
    let parameters = accept.header().unwrap_or_default().split([';', ',']);
    let name = parameters
        .filter_map(|parameter| parameter.trim().strip_prefix("output="))
        .next();
    name.map(|name| model.output(name.trim_matches('"')))
        .transpose()
}

fn npz(model: &OnnxModel, answer: &Answer) -> Result<Vec<u8>> {
    let files: Vec<(String, Vec<u8>)> = model
        .outputs
        .iter()
        .zip(&answer.outputs)
        .map(|(output, tensor)| Ok((format!("{}.npy", output.name), npy::write(tensor)?)))
        .collect::<Result<_>>()?;
    zip::write(&files)
}

/// A line for each row, with the values of all outputs or of the one that is wanted side by side.
fn csv(answer: &Answer, wanted: Option<usize>) -> Result<Vec<u8>> {
    let outputs = answer.outputs.iter().enumerate();
    let outputs: Vec<&Tensor> = outputs
        .filter(|(position, _)| wanted.is_none_or(|wanted| wanted == *position))
        .map(|(_, output)| output)
        .collect();
    if outputs
        .iter()
        .any(|output| output.shape().first() != Some(&answer.rows))
    {
        return Err(Error::unsupported_accept(
            "an output does not have a value for each row, which CSV cannot say: ask for \
             application/json or application/x-npz",
        ));
    }
    let columns = outputs
        .iter()
        .map(|output| cells(output))
        .collect::<Result<Vec<_>>>()?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in 0..answer.rows {
        let cells = columns.iter().flat_map(|cells| {
            let width = cells.len() / answer.rows;
            cells
                .get(row * width..(row + 1) * width)
                .unwrap_or_default()
        });
        writer.write_record(cells)?;
    }
    writer.into_inner().context("CSV")
}

/// The values of a tensor, as CSV spells them.
fn cells(tensor: &Tensor) -> Result<Vec<String>> {
    with_scalar!(
        tensor.datum_type(),
        T => {
            let values = crate::ops::values::<T>(tensor).map_err(crate::failed)?;
            Ok(values.iter().map(crate::scalar::Scalar::to_text).collect())
        },
        Err(Error::failed("an output of a type that answers cannot hold"))
    )
}
