//! CSV: a row a line, with the columns of all inputs in the model's order.
//!
//! Where each input is a column of its own, as in pipelines over data frames, a first line with their
//! names is allowed, and says which column is which.

use csv::ReaderBuilder;
use modelcell_guest::{Context, Error, Result};
use tract_onnx::tract_hir::internal::Tensor;

use super::collect::{Collect, collect, quote};
use super::{check_shape, names};
use crate::signature::{Dim, Input};

/// Reads the inputs.
pub(super) fn read(inputs: &[Input], body: &[u8]) -> Result<Vec<Tensor>> {
    let body = std::str::from_utf8(body).invalid_input("the body is not UTF-8")?;
    // Spreadsheets put a byte order mark before the first cell.
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let mut table = Table::new(inputs)?;
    let mut cells: Vec<&str> = Vec::new();
    if !body.contains('"') {
        // Making the reader takes longer than reading a row.
        for line in body.split(['\n', '\r']).filter(|line| !line.is_empty()) {
            cells.clear();
            cells.extend(line.split(','));
            table.push(&cells)?;
        }
        return table.finish();
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());
    for record in reader.records() {
        let record = record.invalid_input("the body is not CSV")?;
        table.push(&record.iter().collect::<Vec<_>>())?;
    }
    table.finish()
}

/// The rows that have been read.
struct Table<'a> {
    inputs: &'a [Input],
    /// Known since the first line.
    layout: Option<Layout>,
    columns: Vec<Box<dyn Collect>>,
    rows: usize,
}

impl<'a> Table<'a> {
    fn new(inputs: &'a [Input]) -> Result<Self> {
        let columns = inputs.iter().map(|input| collect(input.kind));
        Ok(Self {
            inputs,
            layout: None,
            columns: columns.collect::<Result<_>>()?,
            rows: 0,
        })
    }

    /// Takes a line.
    fn push(&mut self, line: &[&str]) -> Result<()> {
        if self.layout.is_none()
            && let Some(order) = header(self.inputs, line)
        {
            self.layout = Some(order);
            return Ok(());
        }
        let layout = match &mut self.layout {
            Some(layout) => layout,
            none => none.insert(in_order(self.inputs, line.len())?),
        };
        self.rows += 1;
        read_row(layout, line, self.rows, &mut self.columns)
    }

    fn finish(self) -> Result<Vec<Tensor>> {
        finish(self.inputs, self.columns, self.rows)
    }
}

/// The input that each column belongs to.
type Layout = Vec<usize>;

/// The columns' order, if this line is one of the inputs' names.
fn header(inputs: &[Input], line: &[&str]) -> Option<Layout> {
    if line.len() != inputs.len() || inputs.iter().any(|input| input.width() != Some(1)) {
        return None;
    }
    let position = |name: &str| inputs.iter().position(|input| input.name == name.trim());
    let order: Layout = line
        .iter()
        .map(|name| position(name))
        .collect::<Option<_>>()?;
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
    line: &[&str],
    row: usize,
    columns: &mut [Box<dyn Collect>],
) -> Result<()> {
    if line.len() != layout.len() {
        return Err(Error::invalid_input(format_args!(
            "row {row}: expected {} columns, found {}",
            layout.len(),
            line.len()
        )));
    }
    for (number, (cell, input)) in line.iter().zip(layout).enumerate() {
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
