//! Which files of an artifact are models.

use std::fs;
use std::path::{Path, PathBuf};

use modelcell_guest::{Context, Result};

/// What Modelcell itself puts into artifacts or reads from them.
const OURS: [&str; 2] = ["modelcell.toml", "model.wasm"];

/// What people put beside models: notes, data and code. XGBoost's container takes these for models
/// too, and fails.
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
        if is_file && is_model(&name) {
            models.push((name, path));
        }
    }
    models.sort();
    Ok(models)
}

fn is_model(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_besides = extension.is_some_and(|extension| {
        BESIDES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    });
    !name.starts_with('.') && !OURS.contains(&name) && !is_besides
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
            assert_eq!(is_model(name), expected, "{name}");
        }
    }
}
