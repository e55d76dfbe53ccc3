//! Which runtime an artifact without code is for: by the names and the first bytes of its files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::load::settings::SETTINGS_FILE;

/// The runtimes that artifacts are recognised for.
const XGBOOST: &str = "xgboost";
const LIGHTGBM: &str = "lightgbm";
const ONNX: &str = "onnx";

/// Bytes of a file that are looked at.
const HEAD: u64 = 4096;

/// Files at an artifact's top that are looked at; data files for other purposes may lie beside the model.
const FILES: usize = 256;

/// A file that is a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    /// The runtime that reads it.
    pub(super) runtime: &'static str,
    /// Its name.
    pub(super) file: String,
    /// By what it was recognised.
    pub(super) by: &'static str,
}

/// The files at the top of `dir` that are models, at most one for each runtime, by name.
pub(super) fn models(dir: &Path) -> Vec<Recognised> {
    let mut found: Vec<Recognised> = Vec::new();
    for (file, head) in heads(dir) {
        if let Some((runtime, by)) = recognise(&file, &head)
            && found.iter().all(|other| other.runtime != runtime)
        {
            found.push(Recognised { runtime, file, by });
        }
    }
    found
}

/// The first file at the top of `dir` that is of a kind that no runtime reads, with what to do about it.
pub(super) fn unreadable(dir: &Path) -> Option<(String, &'static str)> {
    heads(dir).find_map(|(file, head)| {
        let advice = match ending(&file) {
            "pkl" | "pickle" | "joblib" => PICKLE,
            "pt" | "pth" | "safetensors" => {
                "export the network with torch.onnx.export as model.onnx"
            }
            "h5" | "keras" | "pb" => "convert the network with tf2onnx to model.onnx",
            "cbm" => "save it with save_model(\"model.onnx\", format=\"onnx\")",
            _ if head.first() == Some(&0x80) => PICKLE,
            _ => return None,
        };
        Some((file, advice))
    })
}

const PICKLE: &str = "a pickle can run any code, so no runtime reads it: save XGBoost models with \
                      save_model(\"xgboost-model.json\"), LightGBM models with \
                      save_model(\"model.txt\"), and convert scikit-learn models with skl2onnx to \
                      model.onnx";

/// Names and first bytes of the regular files at the top of `dir`, by name. What cannot be read is not
/// there: whoever needs it will say so.
fn heads(dir: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && name != SETTINGS_FILE)
        .collect();
    names.sort();
    let dir = dir.to_owned();
    names.into_iter().take(FILES).filter_map(move |name| {
        let mut head = Vec::new();
        let file = File::open(dir.join(&name)).ok()?;
        file.take(HEAD).read_to_end(&mut head).ok()?;
        Some((name, head))
    })
}

fn recognise(file: &str, head: &[u8]) -> Option<(&'static str, &'static str)> {
    let ending = ending(file);
    let start = head.trim_ascii_start();
    if ending == "onnx" {
        return Some((ONNX, "its name ends in .onnx"));
    }
    if start.starts_with(b"tree") && contains(start, b"version=v") {
        return Some((LIGHTGBM, "it begins as LightGBM's text format"));
    }
    // JSON and UBJSON alike: an object whose first key is the learner.
    if start.first() == Some(&b'{') && contains(head, b"learner") {
        return Some((XGBOOST, "it begins as XGBoost's JSON or UBJSON format"));
    }
    if head.starts_with(b"binf") || head.starts_with(b"CONFIG-offset:") {
        return Some((XGBOOST, "it begins as XGBoost's binary format"));
    }
    let named = file.starts_with("xgboost-model") || matches!(ending, "bst" | "ubj" | "xgb");
    // XGBoost's oldest format has nothing to tell it by.
    (named || ending == "model").then_some((XGBOOST, "its name is one of XGBoost's"))
}

/// What follows the last dot.
fn ending(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    #[test]
    fn models_are_known_by_content_before_name() {
        let cases: [(&str, &[u8], Option<&str>); 14] = [
            ("model.onnx", b"", Some(ONNX)),
            ("model.txt", b"tree\nversion=v4\n", Some(LIGHTGBM)),
            ("xgboost-model", b"tree\r\nversion=v3\r\n", Some(LIGHTGBM)),
            ("model.txt", b"tree of words", None),
            ("any", b" {\"learner\": {", Some(XGBOOST)),
            ("any", b"{L\0\0\0\0\0\0\0\x07learner{", Some(XGBOOST)),
            ("model.json", b"{\"words\": []}", None),
            ("any", b"binf\0\0\0\0", Some(XGBOOST)),
            ("any", b"CONFIG-offset:\0", Some(XGBOOST)),
            ("xgboost-model", b"\x80\x04", Some(XGBOOST)),
            ("xgboost-model-3", b"\0\0\0\x3f", Some(XGBOOST)),
            ("a.model", b"\0\0\0\x3f", Some(XGBOOST)),
            (".hidden.onnx", b"", None),
            (SETTINGS_FILE, b"tree\nversion=v4", None),
        ];
        for (name, content, runtime) in cases {
            let dir = folder(&[(name, content)]);
            let found: Vec<_> = models(dir.path()).iter().map(|m| m.runtime).collect();
            assert_eq!(found.first().copied(), runtime, "{name}");
        }
    }

    #[test]
    fn one_file_stands_for_each_runtime() {
        let dir = folder(&[
            ("b.ubj", b""),
            ("a.ubj", b""),
            ("c.onnx", b""),
            ("notes.md", b""),
        ]);
        let found = models(dir.path());
        let found: Vec<_> = found.iter().map(|m| (m.runtime, &*m.file)).collect();
        assert_eq!(found, [(XGBOOST, "a.ubj"), (ONNX, "c.onnx")]);
    }

    #[test]
    fn what_nobody_reads_comes_with_advice() {
        for (name, content, advice) in [
            ("model.joblib", &b"x"[..], "skl2onnx"),
            ("clf", b"\x80\x04\x95", "skl2onnx"),
            ("net.pt", b"PK", "torch.onnx.export"),
        ] {
            let dir = folder(&[("a.csv", b"1,2"), (name, content)]);
            let (file, text) = unreadable(dir.path()).unwrap();
            assert_eq!(file, name);
            assert!(text.contains(advice), "{text}");
        }
        assert_eq!(unreadable(folder(&[("a.csv", b"1,2")]).path()), None);
    }
}
