//! Rows of numbers as text, for an `input_fn` that decides itself how a body is read.
//!
//! ```
//! use modelcell_guest::csv;
//!
//! let rows = csv::read::<f32>(b"1;2.5\n3;\n", b';')?;
//! assert_eq!(rows.dim(), (2, 2));
//! assert!(rows[(1, 1)].is_nan());
//! # Ok::<(), modelcell_guest::Error>(())
//! ```

use ndarray::Array2;

use crate::element::Element;
use crate::{Result, decode};

/// Reads rows of equal length, as [`Decode`](crate::Decode) does for `text/csv`, with any byte as the
/// delimiter of their cells. Of spaces, several count as one. A body without rows is an array without
/// rows.
///
/// # Errors
/// Invalid input: the text names the row and column, counted from 1.
pub fn read<T: Element>(body: &[u8], delimiter: u8) -> Result<Array2<T>> {
    decode::csv::read(body, delimiter)?.into_array2()
}
