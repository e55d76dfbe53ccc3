//! Which files of an artifact are models.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use modelcell_guest::{Context, Result};

use crate::saved::binary::{MARK, SERIALISED};

/// What Modelcell itself puts into artifacts or reads from them.
const OURS: [&str; 2] = ["modelcell.toml", "model.wasm"];

/// How much of a file is looked at to tell what it is.
const HEAD: u64 = 512;

/// What people put beside models: notes, data and code, unless they begin as models. XGBoost's container
/// takes all of these for models, and fails.
const BESIDES: [&str; 14] = [
    "txt", "md", "rst", "csv", "libsvm", "svm", "npy", "npz", "py", "ipynb", "toml", "yaml", "yml",
    "log",
];

/// The names and paths of the model files in a folder: the regular files at its top, in the order of
/// their names, without those that begin with a dot.
pub(crate) fn models(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let context = "the model's folder cannot be read";
    let mut models = Vec::new();
    for entry in fs::read_dir(folder).context(context)? {
        let path = entry.context(context)?.path();
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        // Follows links, as XGBoost's container does.
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if is_file
            && may_be_model(&name)
            && (!is_besides(&name) || begins_as_model(&head(&path).context(&name)?))
        {
            models.push((name, path));
        }
    }
    models.sort();
    Ok(models)
}

fn may_be_model(name: &str) -> bool {
    !name.starts_with('.') && !OURS.contains(&name)
}

fn is_besides(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        BESIDES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether a file begins as XGBoost's JSON or UBJSON, an object that soon names the learner, or as its binary
/// format. A test of the host's kind, which chooses the runtime by the first key and further into the file
/// (`host/src/load/runtimes/detect.rs`).
fn begins_as_model(head: &[u8]) -> bool {
    const LEARNER: &[u8] = b"learner";
    let is_object = head.trim_ascii_start().first() == Some(&b'{');
    let has_learner = || head.windows(LEARNER.len()).any(|part| part == LEARNER);
    is_object && has_learner() || head.starts_with(MARK) || head.starts_with(SERIALISED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_from_what_lies_beside_them() {
        for (name, expected) in [
            ("xgboost-model", true),
            ("xgboost-model-0", true),
            ("model.json", true),
            ("model.ubj", true),
            ("v1.2", true),
            ("customer.bst", true),
            ("txt", true),
            (".DS_Store", false),
            ("modelcell.toml", false),
            ("model.wasm", false),
            ("README.md", false),
            ("NOTES.TXT", false),
            ("rows.csv", false),
        ] {
            let is_model = may_be_model(name) && !is_besides(name);
            assert_eq!(is_model, expected, "{name}");
        }
    }

    #[test]
    fn models_are_known_by_what_they_begin_with() {
        for (head, expected) in [
            (&b" {\"learner\": {"[..], true),
            (b"{L\0\0\0\0\0\0\0\x07learner{", true),
            (b"binf\0\0", true),
            (b"CONFIG-offset:\0", true),
            (b"notes on the learner", false),
            (b"{\"rows\": []}", false),
            (b"", false),
        ] {
            assert_eq!(begins_as_model(head), expected, "{head:?}");
        }
    }
}
