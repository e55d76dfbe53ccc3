//! Which runtime an artifact without code is for: by the names and the first bytes of its files.

use std::io::Read;
use std::path::Path;

use crate::load::files::open_regular;
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
    let mut named = None;
    for (file, head) in heads(dir) {
        match by_content(&file, &head) {
            Some((runtime, by)) if found.iter().all(|other| other.runtime != runtime) => {
                found.push(Recognised { runtime, file, by });
            }
            Some(_) => {}
            None if named.is_none() && is_named_as_xgboost(&file) => {
                named = Some(Recognised {
                    runtime: XGBOOST,
                    file,
                    by: "its name is one of XGBoost's",
                });
            }
            None => {}
        }
    }
    // A name alone says little: the vocabulary of a network may be called tokenizer.model.
    match found.is_empty() {
        true => named.into_iter().collect(),
        false => found,
    }
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

/// Names and first bytes of the regular files at the top of `dir`, by name, and of links to files below it,
/// which the runtimes follow. What cannot be read is not there: whoever needs it will say so.
fn heads(dir: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    let top = dir.canonicalize().ok();
    let below = move |path: &Path| {
        let path = path.canonicalize().ok();
        path.is_some_and(|path| {
            path.is_file() && top.as_ref().is_some_and(|top| path.starts_with(top))
        })
    };
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| below(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && name != SETTINGS_FILE)
        .collect();
    names.sort();
    let dir = dir.to_owned();
    names.into_iter().take(FILES).filter_map(move |name| {
        let mut head = Vec::new();
        let file = open_regular(&dir.join(&name)).ok()?;
        file.take(HEAD).read_to_end(&mut head).ok()?;
        Some((name, head))
    })
}

fn by_content(file: &str, head: &[u8]) -> Option<(&'static str, &'static str)> {
    let start = head.trim_ascii_start();
    if ending(file) == "onnx" {
        return Some((ONNX, "its name ends in .onnx"));
    }
    if start.starts_with(b"tree") && contains(start, b"version=v") {
        return Some((LIGHTGBM, "it begins as LightGBM's text format"));
    }
    if first_key(start).is_some_and(|key| XGBOOST_KEYS.contains(&key)) && contains(head, b"learner")
    {
        return Some((XGBOOST, "it begins as XGBoost's JSON or UBJSON format"));
    }
    let binary = head.starts_with(b"binf") || head.starts_with(b"CONFIG-offset:");
    binary.then_some((XGBOOST, "it begins as XGBoost's binary format"))
}

/// XGBoost's oldest format has nothing else to tell it by.
fn is_named_as_xgboost(file: &str) -> bool {
    file.starts_with("xgboost-model") || matches!(ending(file), "bst" | "ubj" | "xgb" | "model")
}

/// First keys of what XGBoost saves: of a model, and of a booster with its configuration.
const XGBOOST_KEYS: [&[u8]; 4] = [b"learner", b"version", b"Config", b"Model"];

/// The first key of an object in JSON or UBJSON.
fn first_key(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"{")?;
    if let Some(key) = inside.trim_ascii_start().strip_prefix(b"\"") {
        return key.split(|&byte| byte == b'"').next();
    }
    // UBJSON: the type of the key's length, the length, the key. <https://ubjson.org>
    let (marker, inside) = inside.split_first()?;
    let bytes = match marker {
        b'L' => 8,
        b'l' => 4,
        b'I' => 2,
        b'i' | b'U' => 1,
        _ => return None,
    };
    let (length, inside) = inside.split_at_checked(bytes)?;
    let length = length
        .iter()
        .fold(0_usize, |sum, &byte| (sum << 8) | usize::from(byte));
    inside.get(..length)
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
        let cases: [(&str, &[u8], Option<&str>); 17] = [
            ("model.onnx", b"", Some(ONNX)),
            ("model.txt", b"tree\nversion=v4\n", Some(LIGHTGBM)),
            ("xgboost-model", b"tree\r\nversion=v3\r\n", Some(LIGHTGBM)),
            ("model.txt", b"tree of words", None),
            ("any", b" {\"learner\": {", Some(XGBOOST)),
            ("any", b"{L\0\0\0\0\0\0\0\x07learner{", Some(XGBOOST)),
            ("model.json", b"{\"words\": []}", None),
            ("params.json", b"{\"tree_learner\": \"serial\"}", None),
            (
                "any",
                b"{\n \"version\": [1, 0, 0], \"learner\": {",
                Some(XGBOOST),
            ),
            ("any", b"{L\xff\xff\xff\xff\xff\xff\xff\xfflearner{", None),
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
        // A name counts only where no content does.
        assert_eq!(found, [(ONNX, "c.onnx")]);
        let json = b"{\"learner\": {";
        let dir = folder(&[("b", json), ("a", json), ("c.onnx", b""), ("d.model", b"")]);
        let found = models(dir.path());
        let found: Vec<_> = found.iter().map(|m| (m.runtime, &*m.file)).collect();
        assert_eq!(found, [(XGBOOST, "a"), (ONNX, "c.onnx")]);
    }

    #[test]
    fn links_count_unless_they_lead_out() {
        let (dir, other) = (folder(&[]), folder(&[("x.onnx", b"")]));
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("versions")).unwrap();
        std::fs::write(at("versions/3"), b"tree\nversion=v4\n").unwrap();
        std::os::unix::fs::symlink(other.path().join("x.onnx"), at("x.onnx")).unwrap();
        assert_eq!(models(dir.path()), []);
        std::os::unix::fs::symlink("versions/3", at("model.txt")).unwrap();
        let found = models(dir.path());
        assert_eq!(found.first().map(|m| m.runtime), Some(LIGHTGBM));
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
