//! `text/libsvm`: `label index:value index:value ...`, a row a line.
//!
//! As in the container: labels are skipped, if there are any. Indices are counted from 1 if none in
//! the body is 0, otherwise from 0 (always with `Decoder::indices_from_zero`). An empty line between
//! others is a row without entries. Beyond what the container takes, comments (`# ...`) and `qid:...`
//! are skipped.

use modelcell_guest::{Error, Result};

use crate::float::parse;
use crate::table::Rows;
use crate::{Decoder, Float, Table};

/// Reads a body. Which number the indices are counted from shows at the end only, so the entries are
/// kept until then.
pub(crate) fn read<T: Float>(decoder: &Decoder, body: &[u8]) -> Result<Table<T>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut entries = Vec::new();
    let mut ends = Vec::new();
    for line in body.trim_ascii().split(|&byte| byte == b'\n') {
        let (content, is_comment) = without_comment(line);
        if is_comment {
            continue;
        }
        read_line(content, ends.len() + 1, &mut entries)?;
        ends.push(entries.len());
    }
    if ends.is_empty() || (entries.is_empty() && body.trim_ascii().is_empty()) {
        return Err(Error::invalid_input(
            "the input holds no values: send at least one row",
        ));
    }
    // Rows of labels alone are rows without values; but several labels on each are CSV, which some send
    // without saying so.
    if entries.is_empty() && body.contains(&b',') {
        return Err(Error::invalid_input(
            "row 1: expected label index:value ..., found numbers with commas between them: send CSV with \
             Content-Type: text/csv",
        ));
    }
    fill(decoder, &entries, &ends)
}

/// The line before `#`, and whether there is nothing else to it than a comment.
fn without_comment(line: &[u8]) -> (&[u8], bool) {
    let Some(hash) = line.iter().position(|&byte| byte == b'#') else {
        return (line, false);
    };
    let content = line.get(..hash).unwrap_or_default().trim_ascii();
    (content, content.is_empty())
}

fn read_line(line: &[u8], row: usize, entries: &mut Vec<(u64, f64)>) -> Result<()> {
    let items = line
        .split(u8::is_ascii_whitespace)
        .filter(|item| !item.is_empty());
    for (position, item) in items.enumerate() {
        let Some(colon) = item.iter().position(|&byte| byte == b':') else {
            if position == 0 && is_label(item) {
                continue;
            }
            return Err(unexpected(row, position, item, "index:value"));
        };
        let (index, value) = item.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if index == b"qid" {
            continue;
        }
        let index = whole(index).ok_or_else(|| {
            unexpected(
                row,
                position,
                item,
                "index:value with a whole number as index",
            )
        })?;
        let value = parse(value)
            .ok_or_else(|| unexpected(row, position, item, "index:value with a number as value"))?;
        entries.push((index, value));
    }
    Ok(())
}

/// A number, or several with commas between them, as files with many labels a row have it.
fn is_label(item: &[u8]) -> bool {
    item.split(|&byte| byte == b',')
        .all(|label| parse(label).is_some())
}

fn whole(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn unexpected(row: usize, position: usize, item: &[u8], expected: &str) -> Error {
    const KEEP: usize = 40;
    let cut = if item.len() > KEEP { "..." } else { "" };
    let item = String::from_utf8_lossy(item.get(..KEEP).unwrap_or(item));
    Error::invalid_input(format_args!(
        "row {row}, column {}: expected {expected}, found {:?}",
        position + 1,
        format!("{item}{cut}"),
    ))
}

/// `ends` says where the entries of each row end.
fn fill<T: Float>(decoder: &Decoder, entries: &[(u64, f64)], ends: &[usize]) -> Result<Table<T>> {
    let indices = || entries.iter().map(|&(index, _)| index);
    let first = if decoder.indices_from_zero {
        0
    } else {
        indices().min().unwrap_or_default().min(1)
    };
    let highest = indices().max().unwrap_or_default();
    let columns = decoder.features.unwrap_or_else(|| {
        usize::try_from(highest - first).map_or(usize::MAX, |last| last.saturating_add(1))
    });
    let mut rows = Rows::new(columns);
    let mut start = 0;
    for &end in ends {
        let row = entries.get(start..end).unwrap_or_default();
        rows.add_sparse(decoder.absent(), columns, first, row.iter().copied())?;
        start = end;
    }
    Ok(rows.finish())
}
