//! `text/csv`, with the delimiter that the body has.

use modelcell_guest::{Result, csv};

use crate::table::{check_size, from_array};
use crate::{Float, Table};

/// Reads rows whose delimiter the first line shows.
pub(crate) fn read<T: Float>(body: &[u8]) -> Result<Table<T>> {
    let delimiter = delimiter(body);
    check_size(body, |body| cells(body, delimiter))?;
    from_array(csv::read(body, delimiter)?)
}

/// The number of cells. (Of a delimiter in quotes it makes one more, but then there is no number in
/// them.)
fn cells(body: &[u8], delimiter: u8) -> usize {
    let is_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    // Several spaces count as one.
    let is_gap = |byte: u8| byte == b' ' && delimiter == b' ' || is_end(byte);
    let mut before = b'\n';
    let mut cells = 0;
    for &byte in body {
        cells += usize::from(is_gap(before) && !is_gap(byte));
        cells += usize::from(byte == delimiter && delimiter != b' ');
        before = byte;
    }
    cells
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_as_they_are_read() {
        for (body, cells) in [
            ("1,,3\n,,\n", 6),
            ("\n1;2\r\n\r\n3;4", 4),
            ("1\n2\n\n3", 3),
            ("  1   2 3  \r\n 4 5 6", 6),
            (",", 2),
        ] {
            let body = body.as_bytes();
            let table = read::<f32>(body).unwrap();
            assert_eq!(
                (super::cells(body, delimiter(body)), table.values.len()),
                (cells, cells)
            );
        }
    }
}
