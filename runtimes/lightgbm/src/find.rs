//! Which of an artifact's files is the model.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use modelcell_guest::{Context, Error, Result};

/// How much of a file is looked at to tell what it is.
const HEAD: u64 = 512;

/// What to do about files that LightGBM cannot read either.
const SAVE_AGAIN: &str = "save the model as text with booster.save_model(\"model.txt\"), or with \
                          model.booster_.save_model(\"model.txt\") if it is a scikit-learn wrapper";

/// What a file seems to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A model as `save_model` writes it.
    Text,
    /// A Python object, by pickle or joblib, compressed or not.
    Pickle,
    /// What `dump_model` gives: without what is needed to predict exactly.
    Json,
    Other,
}

/// The one model file at the top level of an artifact, whatever its name.
///
/// # Errors
/// If there is none or there are several. What can be saved again as a model file is named, with how.
pub(crate) fn model_file(model_dir: &Path) -> Result<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(model_dir).context(model_dir.display())? {
        let path = entry?.path();
        let hidden = name(&path).starts_with('.');
        if !hidden && path.is_file() {
            let kind = kind(&path).context(name(&path))?;
            files.push((path, kind));
        }
    }
    // The order of a directory is anyone's guess, and errors should not change.
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    let of = |wanted: Kind| files.iter().filter(move |(_, kind)| *kind == wanted);
    let mut models = of(Kind::Text);
    match (models.next(), models.next()) {
        (Some((path, _)), None) => Ok(path.clone()),
        (Some(_), Some(_)) => Err(Error::failed(format_args!(
            "there are several LightGBM models, and an artifact holds one: {}",
            names(of(Kind::Text))
        ))),
        (None, _) => Err(none(of(Kind::Pickle), of(Kind::Json), &files)),
    }
}

type Found = (PathBuf, Kind);

fn none<'a>(
    mut pickles: impl Iterator<Item = &'a Found>,
    mut dumps: impl Iterator<Item = &'a Found>,
    files: &'a [Found],
) -> Error {
    if let Some((path, _)) = pickles.next() {
        return Error::failed(format_args!(
            "{} is a Python object, which only Python can read: {SAVE_AGAIN}",
            name(path)
        ));
    }
    if let Some((path, _)) = dumps.next() {
        return Error::failed(format_args!(
            "{} is JSON as of dump_model, which LightGBM itself does not read: {SAVE_AGAIN}",
            name(path)
        ));
    }
    Error::failed(format_args!(
        "there is no LightGBM model, a file whose first line is \"tree\", among the files of the artifact: {}",
        names(files.iter())
    ))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn names<'a>(files: impl Iterator<Item = &'a Found>) -> String {
    let names: Vec<String> = files.map(|(path, _)| name(path)).collect();
    names.join(", ")
}

fn kind(path: &Path) -> Result<Kind> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(kind_of(&head))
}

fn kind_of(head: &[u8]) -> Kind {
    const DUMP: &[u8] = b"\"name\":\"tree\"";
    match head {
        [b't', b'r', b'e', b'e', b'\n' | b'\r', ..] => Kind::Text,
        // Pickle's protocols from 2 on, and the ways in which joblib compresses: zlib, gzip, bzip2, xz.
        [0x80, 2..=5, ..] | [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] | [0x1f, 0x8b, ..] => {
            Kind::Pickle
        }
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => Kind::Pickle,
        [b'{', ..] => {
            let mut dense = head.to_vec();
            dense.retain(|byte| !byte.is_ascii_whitespace());
            match memchr::memmem::find(&dense, DUMP) {
                Some(_) => Kind::Json,
                None => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests;
