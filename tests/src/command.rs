//! The binary and its commands.

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::wait::PATIENCE;

/// The repository of Modelcell itself.
pub fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The directory of compiled code that tests share, so that each guest is compiled once.
pub fn shared_cache() -> PathBuf {
    source().join("target/tests/cache")
}

/// The binary with an empty environment: `MODELCELL_BIN`, or else what `cargo build` made.
///
/// # Panics
///
/// If it is not there.
pub fn modelcell() -> Command {
    let binary = match env::var_os("MODELCELL_BIN") {
        Some(binary) => source().join(binary),
        // This test is target/debug/deps/NAME.
        None => env::current_exe()
            .unwrap()
            .ancestors()
            .nth(2)
            .unwrap()
            .join("modelcell"),
    };
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo build`",
        binary.display()
    );
    let mut command = Command::new(binary);
    command.env_clear();
    command.stdin(Stdio::null());
    command
}

/// A command that has ended.
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ended {
    /// Runs a command to its end.
    ///
    /// # Panics
    ///
    /// If it does not end, or was ended by a signal.
    pub fn of(command: &mut Command) -> Self {
        Self::within(PATIENCE, command)
    }

    /// Runs a command that may take so long to its end.
    ///
    /// # Panics
    ///
    /// If it does not end, or was ended by a signal.
    pub fn within(limit: Duration, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let deadline = Instant::now() + limit;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => sleep(Duration::from_millis(5)),
                None => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    let said = stderr.join().unwrap();
                    panic!("it goes on and on: {}", String::from_utf8_lossy(&said));
                }
            }
        };
        let stderr = String::from_utf8(stderr.join().unwrap()).unwrap();
        Self {
            code: status
                .code()
                .unwrap_or_else(|| panic!("{status}: {stderr}")),
            stdout: stdout.join().unwrap(),
            stderr,
        }
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into()
    }

    /// Checks that it succeeded, and returns stdout as text.
    ///
    /// # Panics
    ///
    /// With stderr, if it failed.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.text(), self.stderr);
        self.text()
    }

    /// Checks that it failed with this code and one line on stderr that has these texts.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[track_caller]
    pub fn failed(&self, code: i32, parts: &[&str]) {
        let stderr = self.stderr.trim_end();
        assert_eq!(self.code, code, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is not in {stderr:?}");
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "not one line:\n{stderr}");
    }
}

/// Reads a stream to its end in a thread, so that the process never waits for a reader.
fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}
