//! `text/csv`: one row a line.

use csv::{ByteRecord, ReaderBuilder};

use crate::element::{Element, Number};
use crate::tensor::{Tensor, position};
use crate::{Error, Result};

/// Reads rows of equal length. Blank lines are skipped; spaces and quotes around a number are fine.
///
/// Where the delimiter is a space, several count as one.
pub(crate) fn read<T: Element>(body: &[u8], delimiter: u8) -> Result<Tensor<T>> {
    let mut table = Table::new();
    if body.contains(&b'"') {
        read_quoted(body, delimiter, &mut table)?;
    } else {
        read_plain(body, delimiter, &mut table)?;
    }
    Ok(Tensor {
        shape: vec![table.rows, table.columns],
        data: table.data,
    })
}

/// Without quotes, lines and commas are all there is to CSV. Numbers are hardly ever quoted, and
/// setting up the library's reader takes longer than reading a row.
fn read_plain<T: Element>(body: &[u8], delimiter: u8, table: &mut Table<T>) -> Result<()> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let lines = body.split(|&byte| byte == b'\n' || byte == b'\r');
    for line in lines.filter(|line| !line.is_empty()) {
        let cells = line.split(|&byte| byte == delimiter);
        if delimiter == b' ' {
            table.row(cells.filter(|cell| !cell.is_empty()))?;
        } else {
            table.row(cells)?;
        }
    }
    Ok(())
}

fn read_quoted<T: Element>(body: &[u8], delimiter: u8, table: &mut Table<T>) -> Result<()> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(body);
    let mut record = ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| Error::invalid_input(format_args!("the body is not CSV: {error}")))?
    {
        if delimiter == b' ' {
            table.row(record.iter().filter(|cell| !cell.is_empty()))?;
        } else {
            table.row(record.iter())?;
        }
    }
    Ok(())
}

/// The rows so far.
struct Table<T> {
    data: Vec<T>,
    rows: usize,
    columns: usize,
}

impl<T: Element> Table<T> {
    fn new() -> Self {
        Self {
            data: Vec::new(),
            rows: 0,
            columns: 0,
        }
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        self.rows += 1;
        let before = self.data.len();
        for (column, cell) in cells.enumerate() {
            let value = number(cell).map_err(|problem| {
                let place = position(&[self.rows, column + 1]);
                Error::invalid_input(format_args!(
                    "{place}: {problem}{}",
                    header_hint(self.rows, cell)
                ))
            })?;
            self.data.push(value);
        }
        let columns = self.data.len() - before;
        if self.rows == 1 {
            self.columns = columns;
        } else if columns != self.columns {
            return Err(Error::invalid_input(format_args!(
                "row {} has {columns} values, row 1 has {}",
                self.rows, self.columns
            )));
        }
        Ok(())
    }
}

fn number<T: Element>(cell: &[u8]) -> Result<T, String> {
    let cell = cell.trim_ascii();
    if cell.is_empty() {
        return T::MISSING.ok_or_else(|| format!("expected {}, found an empty cell", T::NAME));
    }
    if let Some(value) = short_decimal(cell).and_then(|value| T::from_number(Number::Float(value)))
    {
        return Ok(value);
    }
    let text = String::from_utf8_lossy(cell);
    parse(&text)
        .and_then(T::from_number)
        .ok_or_else(|| format!("expected {}, found {:?}", T::NAME, shorten(&text)))
}

/// A number of at most 15 digits without exponent, as nearly all are: three times as fast as what reads
/// any number, and as exact. Digits and power of ten are whole numbers below 2^53, so there is only one
/// rounding, that of their quotient.
fn short_decimal(cell: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let (mut whole, mut count, mut places, mut point) = (0_u64, 0, 0, false);
    for &byte in digits {
        match byte {
            b'0'..=b'9' if count < 15 => {
                whole = whole * 10 + u64::from(byte - b'0');
                count += 1;
                places += usize::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if count == 0 {
        return None;
    }
    let value = whole as f64 / POWERS.get(places)?;
    Some(if digits.len() < cell.len() {
        -value
    } else {
        value
    })
}

fn parse(text: &str) -> Option<Number> {
    if text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-')) {
        if let Ok(whole) = text.parse() {
            return Some(Number::Int(whole));
        }
        if let Ok(whole) = text.parse() {
            return Some(Number::Uint(whole));
        }
    }
    let value: f64 = text.parse().ok()?;
    // "inf" is meant, 1e999 is not.
    let overflowed = value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    (!overflowed).then_some(Number::Float(value))
}

/// Callers often leave the header line in, which shows in the first row as a name.
fn header_hint(row: usize, cell: &[u8]) -> &'static str {
    let is_name = cell.first().is_some_and(u8::is_ascii_alphabetic);
    if row == 1 && is_name {
        " (send the rows without a header line)"
    } else {
        ""
    }
}

/// A cell for an error's text: long ones are cut.
pub(super) fn shorten(text: &str) -> String {
    const KEEP: usize = 40;
    match text.char_indices().nth(KEEP) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "...",
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(body: &[u8]) -> Tensor<f32> {
        read(body, b',').unwrap()
    }

    fn problem(body: impl AsRef<[u8]>) -> String {
        let error = read::<f32>(body.as_ref(), b',').unwrap_err();
        assert_eq!(error.status(), 400);
        error.message().to_owned()
    }

    #[test]
    fn spellings_of_the_same_rows() {
        let expected = rows(b"1,2.5\n-3,4e-1");
        assert_eq!(expected.shape, [2, 2]);
        assert_eq!(expected.data, [1.0, 2.5, -3.0, 0.4]);
        for body in [
            &b"1,2.5\n-3,4e-1\n"[..],
            b"1,2.5\r\n-3,4e-1\r\n",
            b"\n1 , 2.5\n\n -3,\t.4\n\n",
            b"\"1\",\"2.5\"\n\"-3\",\" 0.4 \"\n",
            b"\xef\xbb\xbf1,2.5\n-3,0.4",
            b"+1,2.5\r-3,0.4",
        ] {
            assert_eq!(rows(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn other_delimiters() {
        let expected = rows(b"1,2.5\n-3,0.4");
        for (body, delimiter) in [
            (&b"1;2.5\n-3; 0.4"[..], b';'),
            (b"1\t2.5\n-3\t0.4", b'\t'),
            (b" 1  2.5\n-3 0.4 \n", b' '),
            (b"\"1\"  2.5\n-3 0.4", b' '),
            (b"\"1\";2.5\n-3;0.4", b';'),
        ] {
            assert_eq!(read::<f32>(body, delimiter).unwrap(), expected);
        }
        assert!(rows(b"1,,2").data[1].is_nan());
        assert_eq!(read::<f32>(b"1  2", b' ').unwrap().shape, [1, 2]);
    }

    #[test]
    fn missing_and_special_values() {
        let data = rows(b"1,,nan\ninf,-Infinity, ").data;
        assert_eq!(data[0], 1.0);
        assert!(data[1].is_nan() && data[2].is_nan() && data[5].is_nan());
        assert_eq!(data[3..5], [f32::INFINITY, f32::NEG_INFINITY]);
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(
            problem("1,2\n3,x7\n"),
            "row 2, column 2: expected a 32-bit float, found \"x7\""
        );
        assert_eq!(problem("1,2\n3\n"), "row 2 has 1 values, row 1 has 2");
        assert_eq!(problem("1,2\n3,4,5\n"), "row 2 has 3 values, row 1 has 2");
        assert_eq!(
            problem("length,width\n1,2\n"),
            "row 1, column 1: expected a 32-bit float, found \"length\" (send the rows without a header line)"
        );
        assert!(problem("1,1e40").starts_with("row 1, column 2: expected a 32-bit float"));
        assert!(problem("1e999").contains("1e999"));
        assert!(problem("1;2").contains("found \"1;2\""));
    }

    /// Bit for bit what the standard library reads.
    #[test]
    fn short_decimals_are_exact() {
        let mut state = 7_u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let digits = (state >> 11).to_string();
            let length = 1 + (state % 17) as usize;
            let mut text = digits[..length.min(digits.len())].to_owned();
            text.insert((state >> 5) as usize % (text.len() + 1), '.');
            if state & 8 == 0 {
                text.insert(0, '-');
            }
            let expected: f64 = text.parse().unwrap();
            let long = text.bytes().filter(u8::is_ascii_digit).count() > 15;
            match short_decimal(text.as_bytes()) {
                Some(found) => assert_eq!(found.to_bits(), expected.to_bits(), "{text}"),
                None => assert!(long, "{text}"),
            }
        }
        for text in [
            "", ".", "-", "-.", "1e5", "+1", "1.2.3", "--1", "0x1", "inf", "1 ",
        ] {
            assert_eq!(short_decimal(text.as_bytes()), None, "{text}");
        }
        assert!(short_decimal(b"-0").unwrap().is_sign_negative());
    }

    #[test]
    fn integers_take_whole_numbers() {
        let whole = read::<u64>(b"18446744073709551615,3.0", b',').unwrap();
        assert_eq!(whole.data, [u64::MAX, 3]);
        for body in ["3.5", "-1", "", "\"\"", "nan"] {
            let result = read::<u64>(body.as_bytes(), b',');
            assert!(result.is_err() || result.unwrap().data.is_empty(), "{body}");
        }
    }

    #[test]
    fn hostile_bodies_are_errors() {
        problem([0xff, 0xfe, b',', 0x00]);
        problem("\"1,2\n3,4");
        problem("\0\0\0\0");
        assert!(problem("x".repeat(1 << 20)).len() < 200);
        // As many columns or rows as the body has bytes, and no more.
        assert_eq!(rows(",".repeat(100_000).as_bytes()).shape, [1, 100_001]);
        assert_eq!(rows("1\n".repeat(100_000).as_bytes()).shape, [100_000, 1]);
    }
}
