//! Extended headers, which carry the names that do not fit into plain ones.

use std::io::Read;

use tar::{Entry, PaxExtensions};

use super::{CopyError, UnpackError};

/// A pax header holds a few names and times; this is far more than any real one needs.
const PAX_LIMIT: u64 = 64 * 1024;

/// The path in a pax header, if it has one.
pub(super) fn pax_path<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Vec<u8>>, CopyError> {
    let bytes = read_header(entry, PAX_LIMIT)?;
    for extension in PaxExtensions::new(&bytes) {
        let extension = extension.map_err(CopyError::Read)?;
        if extension.key_bytes() == b"path" {
            return Ok(Some(extension.value_bytes().to_vec()));
        }
    }
    Ok(None)
}

/// The path in GNU tar's header for long names, which ends it with a zero byte.
pub(super) fn gnu_name<R: Read>(
    entry: &mut Entry<'_, R>,
    limit: usize,
) -> Result<Vec<u8>, CopyError> {
    if entry.size() > limit as u64 + 1 {
        return Err(CopyError::Refused(UnpackError::PathTooLong(limit)));
    }
    let mut name = read_header(entry, limit as u64 + 1)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// An extended header, which must be read into memory whole.
fn read_header<R: Read>(entry: &mut Entry<'_, R>, limit: u64) -> Result<Vec<u8>, CopyError> {
    if entry.size() > limit {
        return Err(CopyError::Refused(UnpackError::HeaderTooLarge(limit)));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(CopyError::Read)?;
    Ok(bytes)
}
