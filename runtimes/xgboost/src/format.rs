//! Which format a model file is in: its first bytes tell.

use std::io::Read;

use modelcell_guest::{Error, Result};

use crate::read::Input;
use crate::read::json::Json;
use crate::read::ubj::Ubj;
use crate::saved::trees::TreesBuilder;
use crate::saved::{Saved, binary, document};

/// Reads a model file of any format, which has so many bytes.
pub(crate) fn read(file: impl Read, bytes: u64) -> Result<Saved> {
    // What a node takes in each format, seen from models of some size.
    let room = |node_bytes: u64| Saved {
        trees: TreesBuilder::new(usize::try_from(bytes / node_bytes).unwrap_or_default()),
        ..Saved::default()
    };
    let mut input = Input::new(file);
    let start = input.ahead()?;
    if start.is_empty() {
        return Err(Error::failed("the file is empty"));
    }
    if is_pickle(start) {
        return Err(Error::failed(
            "it is a Python pickle, which cannot be read outside Python. Load it there with the \
             XGBoost that made it, and save it with \
             booster.save_model(\"xgboost-model.json\") (a scikit-learn model: \
             model.get_booster().save_model(...))",
        ));
    }
    match start {
        [b'{', b'L' | b'l' | b'I' | b'i' | b'U' | b'#' | b'$', ..] => {
            let mut document = Ubj::new(input);
            let saved = document::read(&mut document, room(40))?;
            document.end()?;
            Ok(saved)
        }
        _ if is_json(start) => {
            let mut document = Json::new(input);
            let saved = document::read(&mut document, room(60))?;
            document.end()?;
            Ok(saved)
        }
        _ if is_binary(start) => binary::read(&mut input, room(36)),
        _ => Err(Error::failed(
            "it is no XGBoost model: neither JSON, UBJSON nor XGBoost's older binary format",
        )),
    }
}

fn is_json(start: &[u8]) -> bool {
    start.trim_ascii_start().first() == Some(&b'{')
}

/// Pickles of protocol 2 and up begin with 0x80 and the protocol, followed by a frame or a class; of
/// those before, with a class.
fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, 0x95 | b'c' | b'(' | b'}' | b']', ..])
        || start.starts_with(b"ccopy_reg\n")
        || start.starts_with(b"cxgboost.")
}

/// The binary format has no mark of its own, but names the objective behind the parameters.
fn is_binary(start: &[u8]) -> bool {
    let start = match start.strip_prefix(binary::SERIALISED) {
        Some(rest) => rest.get(8..).unwrap_or_default(),
        None => start,
    };
    let start = start.strip_prefix(binary::MARK).unwrap_or(start);
    let name = start.get(136..144).and_then(|bytes| bytes.first_chunk());
    // A file that is cut off before is still told apart from nonsense by those that come.
    name.is_none_or(|length| (1..=64).contains(&u64::from_le_bytes(*length)))
}
