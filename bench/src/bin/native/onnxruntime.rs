//! onnxruntime in a process of its own, which runs models as it is told: `native.py onnx`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

/// The process, and the models that it holds.
pub struct Onnxruntime {
    /// Its version.
    pub version: String,
    /// For each model a request that holds its inputs.
    pub requests: Vec<Inputs>,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _dir: TempDir,
}

/// The inputs of a model as a body.
#[derive(Deserialize)]
pub struct Inputs {
    /// The body.
    pub path: PathBuf,
    /// What it is written in.
    pub content_type: String,
}

/// What the process says first.
#[derive(Deserialize)]
struct Hello {
    version: String,
    requests: Vec<Inputs>,
}

impl Onnxruntime {
    /// Starts it with the interpreter `MODELCELL_BENCH_PYTHON` and has it load `models`.
    pub fn start(models: &[PathBuf]) -> Result<Self, String> {
        let python = std::env::var_os("MODELCELL_BENCH_PYTHON");
        let python = python.ok_or("MODELCELL_BENCH_PYTHON is not set")?;
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("native.py"))
            .arg("onnx")
            .arg(dir.path())
            .args(models)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let to = child.stdin.take().ok_or("no standard input")?;
        let from = child.stdout.take().ok_or("no standard output")?;
        let mut from = BufReader::new(from);
        let hello = serde_json::from_str(&line(&mut from)?);
        let Hello { version, requests } = hello.map_err(|e| e.to_string())?;
        Ok(Self {
            version,
            requests,
            child,
            to,
            from,
            _dir: dir,
        })
    }

    /// The mean microseconds of `count` runs of a model; model 0 does nothing.
    pub fn micros(&mut self, model: usize, count: usize) -> Result<f64, String> {
        writeln!(self.to, "{model} {count}").map_err(|e| e.to_string())?;
        let line = line(&mut self.from)?;
        line.trim().parse().map_err(|e| format!("{line:?}: {e}"))
    }
}

fn line(from: &mut impl BufRead) -> Result<String, String> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(0) => Err("onnxruntime's process ended".into()),
        Ok(_) => Ok(line),
        Err(error) => Err(error.to_string()),
    }
}

impl Drop for Onnxruntime {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
