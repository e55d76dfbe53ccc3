//! The release binary, started on a repository, and its CPU time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::s3::{self, S3Server};

/// A running server; ends when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Packs `component` with each of the named directories of a model, and serves the artifacts.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn start(component: &Path, models: &[(&str, &Path)]) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let repository = dir.path().join("repository");
        for (name, model_dir) in models {
            let packed = Command::new(binary()?)
                .arg("package")
                .args(["--component".as_ref(), component.as_os_str()])
                .args(["--model-dir".as_ref(), model_dir.as_os_str()])
                .arg("--output")
                .arg(repository.join(format!("{name}.tar.gz")))
                .stdout(Stdio::null())
                .status()
                .map_err(|e| e.to_string())?;
            if !packed.success() {
                return Err(format!("the artifact {name} could not be packed"));
            }
        }
        Self::spawn(dir, ["--repository".as_ref(), repository.as_os_str()])
    }

    /// Serves the objects of `s3`, with an empty cache directory and one cell for each model.
    /// `revalidate_after` is the flag of that name: how long S3 is not asked for a newer version.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn start_on_s3(
        s3: &S3Server,
        memory_budget: u64,
        revalidate_after: &str,
    ) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (location, endpoint) = (S3Server::location(), format!("http://{}", s3.address));
        let arguments = [
            ["--repository", &location],
            ["--s3-endpoint", &endpoint],
            ["--memory-budget", &memory_budget.to_string()],
            ["--min-residency", "0s"],
            ["--revalidate-after", revalidate_after],
            ["--cells-per-model", "1"],
        ];
        Self::spawn(dir, arguments.as_flattened())
    }

    /// Starts the server. Its cache directory is in `dir`, which is deleted when it ends.
    fn spawn<A: AsRef<OsStr>>(
        dir: tempfile::TempDir,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, String> {
        let mut child = Command::new(binary()?)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .args(["--cache-dir".as_ref(), dir.path().join("cache").as_os_str()])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY)
            .env("AWS_REGION", "us-east-1")
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = String::new();
        let address = lines.find_map(|line| {
            let address = line
                .rsplit_once("listening on http://")
                .and_then(|(_, address)| address.trim().parse().ok());
            said = line;
            address
        });
        // Kept open and read, or else the server could not write its log.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("the server did not start: {said}"));
        };
        Ok(Self {
            child,
            address,
            _dir: dir,
        })
    }

    /// The server's process.
    pub fn process(&self) -> u32 {
        self.child.id()
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
