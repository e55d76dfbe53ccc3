//! What `native.py` left: models, rows, and where the libraries are.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::library::Rows;

/// The folder that `native.py train` wrote.
pub struct Trained(PathBuf);

#[derive(Deserialize)]
struct Found {
    path: PathBuf,
    version: String,
}

impl Trained {
    /// Finds it at `MODELCELL_BENCH_NATIVE`.
    pub fn find() -> Result<Self, String> {
        let dir = std::env::var_os("MODELCELL_BENCH_NATIVE");
        let dir = dir.ok_or("MODELCELL_BENCH_NATIVE is not set: run scripts/bench-native.sh")?;
        Ok(Self(dir.into()))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The content of a file in it.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        read(&self.file(name))
    }

    /// A library's name with its version, and its path.
    pub fn library(&self, name: &str) -> Result<(String, PathBuf), String> {
        let libraries = self.read("libraries.json")?;
        let mut found: HashMap<String, Found> =
            serde_json::from_slice(&libraries).map_err(|e| e.to_string())?;
        let Found { path, version } = found
            .remove(name)
            .ok_or_else(|| format!("libraries.json does not name {name}"))?;
        Ok((format!("{name} {version}"), path))
    }

    /// The rows as text, one a line.
    pub fn lines(&self) -> Result<Vec<String>, String> {
        let text = String::from_utf8(self.read("rows.csv")?).map_err(|e| e.to_string())?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The rows as the numbers that a library takes.
    pub fn rows<T>(&self, number: fn(f64) -> T) -> Result<Rows<T>, String> {
        let lines = self.lines()?;
        let columns = lines.first().map_or(0, |line| line.split(',').count());
        let values = lines.iter().flat_map(|line| line.split(','));
        let values: Result<_, _> = values.map(|value| value.parse().map(number)).collect();
        Ok(Rows {
            values: values.map_err(|e: std::num::ParseFloatError| e.to_string())?,
            columns,
        })
    }
}

/// A file's content.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}
