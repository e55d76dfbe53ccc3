//! A server of its own for each test.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::command::{modelcell, shared_cache};
use crate::http::Client;
use crate::log::Log;
use crate::process::Process;

/// The name of the keys file.
const KEYS: &str = "keys.toml";

/// How to start a server.
pub struct Setup {
    repository: TempDir,
    files: TempDir,
    cache: PathBuf,
    named: bool,
    bound: bool,
    args: Vec<String>,
    env: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// An empty repository, a free port, and the cache of compiled code that all tests share.
    pub fn new() -> Self {
        Self {
            repository: TempDir::new().unwrap(),
            files: TempDir::new().unwrap(),
            cache: shared_cache(),
            named: true,
            bound: true,
            args: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Adds flags.
    #[must_use]
    pub fn flags<S: AsRef<str>>(mut self, flags: &[S]) -> Self {
        self.args
            .extend(flags.iter().map(|flag| flag.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment, which is empty otherwise.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Names a text that no error may have.
    #[must_use]
    pub fn secret(mut self, text: &str) -> Self {
        self.secrets.push(text.to_owned());
        self
    }

    /// Puts a file into the repository.
    #[must_use]
    pub fn artifact(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write(&self.repository.path().join(name), content.as_ref());
        self
    }

    /// Takes a settings file with this text.
    #[must_use]
    pub fn settings(self, text: &str) -> Self {
        let file = self.files.path().join("settings.toml");
        write(&file, text.as_bytes());
        self.flags(&["--config", &file.display().to_string()])
    }

    /// Takes a keys file with this text.
    #[must_use]
    pub fn keys(self, text: &str) -> Self {
        let file = self.files.path().join(KEYS);
        write(&file, text.as_bytes());
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        self.flags(&["--keys", &file.display().to_string()])
    }

    /// Takes another cache directory.
    #[must_use]
    pub fn cache(mut self, dir: &Path) -> Self {
        self.cache = dir.to_owned();
        self
    }

    /// Leaves `--repository` out.
    #[must_use]
    pub fn without_repository(mut self) -> Self {
        self.named = false;
        self
    }

    /// Leaves `--bind` out.
    #[must_use]
    pub fn without_bind(mut self) -> Self {
        self.bound = false;
        self
    }

    /// The repository's directory.
    pub fn repository(&self) -> &Path {
        self.repository.path()
    }

    /// The command that starts the server.
    pub fn command(&self) -> Command {
        let mut command = modelcell();
        command.arg("serve").arg("--cache-dir").arg(&self.cache);
        if self.named {
            command.arg("--repository").arg(self.repository.path());
        }
        if self.bound {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        command.args(&self.args).envs(self.env.iter().cloned());
        command
    }

    /// Starts the server and waits until it listens.
    ///
    /// # Panics
    ///
    /// With its log, if it does not.
    pub fn start(self) -> Server {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let log = Log::follow(process.0.stderr.take().unwrap());
        let line = log.wait_for(&["listening on http://"]);
        let (_, address) = line.split_once("http://").unwrap();
        // A log in JSON has something after it.
        let address = address.split(['"', ' ']).next().unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
        let paths = [self.repository.path(), self.cache.as_path()];
        let mut secrets = self.secrets;
        secrets.extend(paths.map(|path| path.display().to_string()));
        Server {
            client: Client::new(&address.to_string(), secrets),
            address,
            process,
            log,
            repository: self.repository,
            files: self.files,
        }
    }
}

/// A running server; it is killed when the value is dropped. Derefs to its [`Client`].
pub struct Server {
    client: Client,
    address: SocketAddr,
    process: Process,
    log: Log,
    repository: TempDir,
    files: TempDir,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that other threads can have.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The repository's directory.
    pub fn repository(&self) -> &Path {
        self.repository.path()
    }

    /// The keys file, if the server was given one.
    pub fn keys_file(&self) -> PathBuf {
        self.files.path().join(KEYS)
    }

    /// Puts a file into the repository while the server runs.
    pub fn add(&self, name: &str, content: impl AsRef<[u8]>) {
        write(&self.repository.path().join(name), content.as_ref());
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) {
        self.process.0.kill().unwrap();
        assert_eq!(self.wait().signal(), Some(Signal::KILL.as_raw()));
    }

    /// How the process ended; waits for it.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the server's log:\n{}", self.log.lines().join("\n"));
        }
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
