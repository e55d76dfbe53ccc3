//! Finds an artifact's model file.

use std::path::{Path, PathBuf};

use modelcell_guest::{Context, Error, Result};

use crate::OnnxModel;

/// Loads `model.onnx`, or the only `*.onnx` there is.
///
/// # Errors
/// Failed, if there is no such file, or it is not a model that can be served. The text names the file.
pub(crate) fn load(model_dir: &Path) -> Result<OnnxModel> {
    let path = find(model_dir)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let bytes = std::fs::read(&path).context(&name)?;
    OnnxModel::read(&bytes).context(&name)
}

fn find(model_dir: &Path) -> Result<PathBuf> {
    let usual = model_dir.join("model.onnx");
    if usual.is_file() {
        return Ok(usual);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(model_dir).context("the artifact")? {
        let path = entry.context("the artifact")?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
            && path.is_file()
        {
            found.push(path);
        }
    }
    match found.len() {
        1 => found.pop().context("the artifact has no model"),
        0 => Err(Error::failed("the artifact has no file model.onnx")),
        count => Err(Error::failed(format_args!(
            "the artifact has {count} files *.onnx: call the model's model.onnx"
        ))),
    }
}
