//! `text/csv`, with the delimiter that the body has.

use modelcell_guest::{Result, csv};

use crate::table::from_array;
use crate::{Float, Table};

/// Reads rows whose delimiter the first line shows.
pub(crate) fn read<T: Float>(body: &[u8]) -> Result<Table<T>> {
    from_array(csv::read(body, delimiter(body))?)
}

/// A comma if the first line has one; else the first of semicolon, tab and bar that it has; else a
/// space if there are several cells.
///
/// The container leaves the choice to Python's `csv.Sniffer`, whose guesses depend on how often which
/// character occurs; on rows of numbers it arrives at the same.
fn delimiter(body: &[u8]) -> u8 {
    let line = body
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    *b",;\t| "
        .iter()
        .find(|&delimiter| line.contains(delimiter))
        .unwrap_or(&b',')
}
