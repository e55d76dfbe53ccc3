//! CSV: a row a line, with the columns of all inputs in the model's order.
//!
//! Where each input is a column of its own, as in pipelines over data frames, a first line with their
//! names is allowed, and says which column is which.

use csv::{ReaderBuilder, StringRecord};
use modelcell_guest::{Context, Error, Result};
use tract_onnx::tract_hir::internal::Tensor;

use super::collect::{Collect, collect, quote};
use super::{check_shape, names};
use crate::signature::{Dim, Input};

/// Reads the inputs.
pub(super) fn read(inputs: &[Input], body: &[u8]) -> Result<Vec<Tensor>> {
    let body = std::str::from_utf8(body).invalid_input("the body is not UTF-8")?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());
    let mut record = StringRecord::new();
    let mut layout = None;
    let mut columns: Vec<Box<dyn Collect>> = inputs
        .iter()
        .map(|input| collect(input.kind))
        .collect::<Result<_>>()?;
    let mut rows = 0;
    while reader
        .read_record(&mut record)
        .invalid_input("the body is not CSV")?
    {
        let layout = match &layout {
            Some(layout) => layout,
            None => {
                let header = header(inputs, &record);
                let is_header = header.is_some();
                let found = layout.insert(match header {
                    Some(order) => order,
                    None => in_order(inputs, record.len())?,
                });
                if is_header {
                    continue;
                }
                found
            }
        };
        rows += 1;
        read_row(layout, &record, rows, &mut columns)?;
    }
    finish(inputs, columns, rows)
}

/// The input that each column belongs to.
type Layout = Vec<usize>;

/// The columns' order, if this line is one of the inputs' names.
fn header(inputs: &[Input], record: &StringRecord) -> Option<Layout> {
    if record.len() != inputs.len() || inputs.iter().any(|input| input.width() != Some(1)) {
        return None;
    }
    let position = |name: &str| inputs.iter().position(|input| input.name == name.trim());
    let order: Layout = record.iter().map(position).collect::<Option<_>>()?;
    // Each name once.
    (0..inputs.len())
        .all(|input| order.contains(&input))
        .then_some(order)
}

/// The model's own order. An input whose rows may have any length takes all columns of the body.
fn in_order(inputs: &[Input], found: usize) -> Result<Layout> {
    if let [input] = inputs
        && let [_, Dim::Any | Dim::Rows] = input.shape.as_slice()
    {
        return Ok(vec![0; found]);
    }
    let mut layout = Layout::new();
    for (position, input) in inputs.iter().enumerate() {
        let width = input.width().invalid_input(format!(
            "input `{}` has rows of any shape {}, which CSV cannot say: send JSON",
            input.name,
            input.shape_text()
        ))?;
        layout.extend(std::iter::repeat_n(position, width));
    }
    if layout.len() != found {
        let of = match inputs {
            [_] => String::new(),
            _ => format!(" (inputs {})", names(inputs)),
        };
        return Err(Error::invalid_input(format_args!(
            "row 1: expected {} columns{of}, found {found}",
            layout.len()
        )));
    }
    Ok(layout)
}

fn read_row(
    layout: &Layout,
    record: &StringRecord,
    row: usize,
    columns: &mut [Box<dyn Collect>],
) -> Result<()> {
    if record.len() != layout.len() {
        return Err(Error::invalid_input(format_args!(
            "row {row}: expected {} columns, found {}",
            layout.len(),
            record.len()
        )));
    }
    for (number, (cell, input)) in record.iter().zip(layout).enumerate() {
        let Some(values) = columns.get_mut(*input) else {
            continue;
        };
        if !values.text(cell) {
            return Err(Error::invalid_input(format_args!(
                "row {row}, column {}: expected {}, found {}",
                number + 1,
                values.expected(),
                quote(cell)
            )));
        }
    }
    Ok(())
}

fn finish(inputs: &[Input], columns: Vec<Box<dyn Collect>>, rows: usize) -> Result<Vec<Tensor>> {
    if rows == 0 {
        return Err(Error::invalid_input("the body has no rows"));
    }
    inputs
        .iter()
        .zip(columns)
        .map(|(input, values)| {
            let mut shape = input.shape_for(rows);
            if let ([first, _], [_, columns]) = (input.shape.as_slice(), shape.as_mut_slice())
                && input.width().is_none()
            {
                debug_assert!(*first != Dim::Any);
                *columns = values.len() / rows;
            }
            if let Some(first) = shape.first_mut() {
                *first = rows;
            }
            check_shape(input, &shape)?;
            values.finish(&shape)
        })
        .collect()
}
