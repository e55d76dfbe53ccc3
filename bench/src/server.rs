//! The release binary, started on a repository with one artifact, and its CPU time.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server; ends when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Packs the artifact `name` and serves it.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn start(name: &str, component: &Path, model_dir: &Path) -> Result<Self, String> {
        let binary = binary()?;
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let repository = dir.path().join("repository");
        let packed = Command::new(&binary)
            .arg("package")
            .args(["--component".as_ref(), component.as_os_str()])
            .args(["--model-dir".as_ref(), model_dir.as_os_str()])
            .arg("--output")
            .arg(repository.join(format!("{name}.tar.gz")))
            .stdout(Stdio::null())
            .status()
            .map_err(|e| e.to_string())?;
        if !packed.success() {
            return Err("the artifact could not be packed".into());
        }
        let mut child = Command::new(&binary)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .args(["--repository".as_ref(), repository.as_os_str()])
            .args(["--cache-dir".as_ref(), dir.path().join("cache").as_os_str()])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.split_once("http://").map(|(_, a)| a.to_owned()))
            .and_then(|address| address.trim().parse().ok());
        // Kept open and read, or else the server could not write its log.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            let _ = child.kill();
            return Err("the server did not start".into());
        };
        Ok(Self {
            child,
            address,
            _dir: dir,
        })
    }

    /// CPU time, user and system, that the server has used so far. The kernel counts in steps of
    /// mostly 10 ms.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub fn cpu_time(&self) -> Result<Duration, String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .map_err(|e| e.to_string())?;
        // The name, in brackets, may hold spaces; user and system time are the 12th and 13th after.
        let ticks: u64 = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Result<PathBuf, String> {
    let path = match std::env::var_os("MODELCELL_BIN") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/modelcell"),
    };
    if path.is_file() {
        Ok(path)
    } else {
        Err("the server is not built: run `cargo build --release` first".into())
    }
}
