//! Tests in Python, with the real boto3: the files of tests/boto3.

use std::env;
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Ended, source};
use crate::server::Server;
use crate::wait::PATIENCE;

/// The region that requests are signed for, if a test names no other.
pub const REGION: &str = "eu-central-1";

/// The Python that has the packages of tests/requirements.txt; none where they could not be
/// installed.
pub fn python() -> Option<Command> {
    let python = env::var_os("MODELCELL_PYTHON").filter(|python| !python.is_empty())?;
    Some(Command::new(python))
}

/// A test in Python against a server.
pub struct Script {
    command: Command,
    home: TempDir,
}

impl Script {
    /// A file of tests/boto3, or with a dot a class of it; none, saying so, where boto3 could not be
    /// installed.
    pub fn find(name: &str) -> Option<Self> {
        let Some(mut command) = python() else {
            println!("skipped: MODELCELL_PYTHON is not set (scripts/test-python.sh)");
            return None;
        };
        let home = TempDir::new().unwrap();
        command.args(["-m", "unittest", name]);
        command.current_dir(source().join("tests/boto3"));
        // Nothing of this machine may change what boto3 does: neither settings nor proxies.
        command.env_clear();
        command.env("HOME", home.path());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_DEFAULT_REGION", REGION);
        Some(Self { command, home }.credentials("AKIAANYBODYANYBODY00", "any secret will do here"))
    }

    /// Signs with these, and not with some that nobody knows.
    #[must_use]
    pub fn credentials(self, access_key_id: &str, secret: &str) -> Self {
        self.env("AWS_ACCESS_KEY_ID", access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Puts a file into a folder of the test's own, which `ARTIFACTS` names.
    #[must_use]
    pub fn artifact(self, name: &str, content: &[u8]) -> Self {
        let folder = self.home.path().to_owned();
        std::fs::write(folder.join(name), content).unwrap();
        self.env("ARTIFACTS", folder)
    }

    /// Runs it against a server.
    ///
    /// # Panics
    ///
    /// With what Python wrote, if a test fails, is skipped, or if there is none.
    pub fn run(self, server: &Server) {
        let url = format!("http://{}", server.address());
        let mut script = self
            .env("MODELCELL_URL", url)
            .env("MODELCELL_PID", server.pid().to_string())
            .env("MODELCELL_REPOSITORY", server.repository())
            .env("MODELCELL_KEYS_FILE", server.keys_file());
        let ended = Ended::within(4 * PATIENCE, &mut script.command);
        ended.ok();
        let said = &ended.stderr;
        let last = said.trim_end().lines().last();
        assert!(
            last == Some("OK") && !said.contains("Ran 0 tests"),
            "not all of the tests ran:\n{said}"
        );
    }
}
