//! Rows of numbers.

use modelcell_guest::ndarray::Array2;
use modelcell_guest::{Error, Result};

use crate::Float;

/// The most values that a table may hold: 64 MiB as `f32`, 128 MiB as `f64`.
///
/// A few bytes of a sparse format stand for a whole row, and CSV of bare commas or NPY of small integers
/// takes one byte a value. So a body may be much smaller than the table that it would become.
pub const MOST_VALUES: usize = 16 << 20;

/// Rows of numbers, as a request spelt them.
///
/// `values` holds `rows * columns` numbers, row after row. There is at least one row and one column.
/// NaN is a missing value.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T> {
    /// The number of rows.
    pub rows: usize,
    /// The number of features.
    pub columns: usize,
    /// The numbers, row after row.
    pub values: Vec<T>,
}

impl<T> Table<T> {
    /// The rows, one slice each.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, T> {
        // A decoder never makes a table without columns.
        self.values.chunks_exact(self.columns.max(1))
    }
}

/// A table that grows row by row, all of one length.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    columns: usize,
    rows: usize,
    values: Vec<T>,
    /// For each column, the last row that had an entry for it. Only sparse rows use it.
    entered: Vec<usize>,
}

impl<T: Float> Rows<T> {
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: 0,
            values: Vec::new(),
            entered: Vec::new(),
        }
    }

    /// The number of the row that comes next, counted from 1.
    pub(crate) fn next_row(&self) -> usize {
        self.rows + 1
    }

    /// Adds a row of all its values.
    pub(crate) fn add_dense(&mut self, values: &[f64]) -> Result<()> {
        let row = self.next_row();
        if values.len() != self.columns {
            return Err(wrong_width(row, self.columns, values.len()));
        }
        self.make_room(row)?;
        for (column, &value) in values.iter().enumerate() {
            self.values.push(narrow(value, row, column)?);
        }
        self.rows = row;
        Ok(())
    }

    /// Adds a row of `width` features by its entries, whose indices are counted from `first`. Rows
    /// may be shorter than the table: what lies behind their end is absent.
    pub(crate) fn add_sparse(
        &mut self,
        absent: T,
        width: usize,
        first: u64,
        entries: impl Iterator<Item = (u64, f64)>,
    ) -> Result<()> {
        let row = self.next_row();
        if width > self.columns {
            return Err(wrong_width(row, self.columns, width));
        }
        self.make_room(row)?;
        self.entered.resize(self.columns, 0);
        let start = self.values.len();
        self.values.resize(start + self.columns, absent);
        let values = self.values.get_mut(start..).unwrap_or_default();
        for (index, value) in entries {
            let column = index
                .checked_sub(first)
                .and_then(|column| usize::try_from(column).ok())
                .unwrap_or(usize::MAX);
            let (Some(place), Some(entered)) =
                (values.get_mut(column), self.entered.get_mut(column))
            else {
                let columns = self.columns;
                return Err(Error::invalid_input(format_args!(
                    "row {row}: index {index} is beyond the {columns} features, whose indices are \
                     counted from {first}"
                )));
            };
            if std::mem::replace(entered, row) == row {
                return Err(Error::invalid_input(format_args!(
                    "row {row}: index {index} is there twice"
                )));
            }
            *place = narrow(value, row, column)?;
        }
        self.rows = row;
        Ok(())
    }

    /// Checks that the table may have one more row.
    fn make_room(&self, row: usize) -> Result<()> {
        match self.values.len().checked_add(self.columns) {
            Some(values) if values <= MOST_VALUES => Ok(()),
            _ => Err(Error::invalid_input(format_args!(
                "row {row}: a request takes at most {MOST_VALUES} values, and with {} features a row \
                 it has more: send fewer rows at a time",
                self.columns
            ))),
        }
    }

    pub(crate) fn finish(self) -> Table<T> {
        Table {
            rows: self.rows,
            columns: self.columns,
            values: self.values,
        }
    }
}

fn narrow<T: Float>(value: f64, row: usize, column: usize) -> Result<T> {
    T::narrow(value).ok_or_else(|| {
        Error::invalid_input(format_args!(
            "row {row}, column {}: the number is too large for a 32-bit float",
            column + 1
        ))
    })
}

pub(crate) fn wrong_width(row: usize, expected: usize, found: usize) -> Error {
    Error::invalid_input(format_args!(
        "expected {expected} features, row {row} has {found}"
    ))
}

/// Checks that a dense body, whose values are `count`ed without reading them, may become a table. A body
/// with fewer bytes has no more values than that, and is not counted.
pub(crate) fn check_size(body: &[u8], count: impl FnOnce(&[u8]) -> usize) -> Result<()> {
    if body.len() < MOST_VALUES || count(body) <= MOST_VALUES {
        return Ok(());
    }
    Err(Error::invalid_input(format_args!(
        "a request takes at most {MOST_VALUES} values, and this one has more: send fewer rows at a time"
    )))
}

/// The table that an array in standard layout holds, as the SDK's decoders return it.
pub(crate) fn from_array<T: Float>(array: Array2<T>) -> Result<Table<T>> {
    let (rows, columns) = array.dim();
    if rows == 0 || columns == 0 {
        return Err(Error::invalid_input(
            "the input holds no values: send at least one row",
        ));
    }
    let (values, _) = array.into_raw_vec_and_offset();
    Ok(Table {
        rows,
        columns,
        values,
    })
}
