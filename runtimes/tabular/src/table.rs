//! Rows of numbers.

use modelcell_guest::ndarray::Array2;
use modelcell_guest::{Error, Result};

use crate::Float;

/// The most values that a table may hold: 64 MiB as `f32`, 128 MiB as `f64`.
///
/// Dense formats take at least two bytes a value, so bodies reach it only by way of sparse formats,
/// where a few bytes stand for a whole row.
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

/// A table that grows by rows of a known length.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    columns: usize,
    rows: usize,
    values: Vec<T>,
}

impl<T: Float> Rows<T> {
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: 0,
            values: Vec::new(),
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The number of the row that comes next, counted from 1.
    pub(crate) fn next_row(&self) -> usize {
        self.rows + 1
    }

    /// Adds a row of one value throughout, for the caller to fill.
    ///
    /// # Errors
    /// Invalid input, if the table would be larger than [`MOST_VALUES`].
    pub(crate) fn add(&mut self, filled_with: T) -> Result<&mut [T]> {
        let start = self.values.len();
        let end = start
            .checked_add(self.columns)
            .filter(|&end| end <= MOST_VALUES)
            .ok_or_else(|| {
                Error::invalid_input(format_args!(
                    "row {}: with {} features a row, a request takes at most {} rows: send them in \
                     several requests",
                    self.next_row(),
                    self.columns,
                    MOST_VALUES / self.columns.max(1),
                ))
            })?;
        self.values.resize(end, filled_with);
        self.rows += 1;
        Ok(self.values.get_mut(start..).unwrap_or_default())
    }

    pub(crate) fn finish(self) -> Table<T> {
        Table {
            rows: self.rows,
            columns: self.columns,
            values: self.values,
        }
    }
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
