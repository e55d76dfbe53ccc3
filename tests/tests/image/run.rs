//! Commands of the image, run by `scripts/run-image.sh`.

use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use modelcell_tests::command::{Ended, source};
use modelcell_tests::process::Process;
use modelcell_tests::{Client, Log, TARGET_MODEL};

/// A command of the image that is about to be run.
pub struct Run {
    image: String,
    flags: Vec<String>,
    args: Vec<String>,
}

impl Run {
    /// `modelcell serve` with a repository that holds `dir`, on a port that is free.
    pub fn serve(image: &str, dir: &Path) -> Self {
        Self::of(image, &["serve", "--bind", "127.0.0.1:0"])
            .volume(dir, "/models:ro")
            .env("MODELCELL_REPOSITORY", "/models")
    }

    /// Any command.
    pub fn of(image: &str, args: &[&str]) -> Self {
        Self {
            image: image.to_owned(),
            flags: Vec::new(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        }
    }

    /// Adds flags of `scripts/run-image.sh`.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// Sets a variable.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.flags(&["-e", &format!("{name}={value}")])
    }

    /// Mounts a directory; `inside` may end in `:ro`.
    pub fn volume(self, dir: &Path, inside: &str) -> Self {
        self.flags(&["-v", &format!("{}:{inside}", dir.display())])
    }

    fn command(&self) -> Command {
        let mut command = Command::new(source().join("scripts/run-image.sh"));
        command
            .args(&self.flags)
            .arg(&self.image)
            .args(&self.args)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn ended(&self) -> Ended {
        Ended::of(&mut self.command())
    }

    /// Starts a server and waits until it listens.
    pub fn start(self) -> Container {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let log = Log::follow(process.0.stderr.take().unwrap());
        let line = log.wait_for(&["listening on http://"]);
        let (_, address) = line.split_once("http://").unwrap();
        let address: SocketAddr = address.trim_end().parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
        Container {
            client: Client::new(&address.to_string(), Vec::new()),
            address,
            process,
            log,
        }
    }
}

/// A server in a container; derefs to its [`Client`].
pub struct Container {
    client: Client,
    address: SocketAddr,
    process: Process,
    log: Log,
}

impl Container {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that other threads can have.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it wrote to stderr.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// How it ended; waits for it.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Kills what runs the container, but not the container itself.
    pub fn kill_client(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// Stops it, which it must do well.
    #[track_caller]
    pub fn stop(mut self) {
        self.terminate();
        assert_eq!(self.wait().code(), Some(0), "{:?}", self.log.lines());
    }

    /// Asks a model that needs no runtime and one that does.
    #[track_caller]
    pub fn predicts(&self) {
        let iris = "[[0.97578216,0.024217596,2.498585e-7]]";
        assert_eq!(self.ask("iris.tar.gz", "5.1,3.5,1.4,0.2"), iris);
        let diabetes = self.ask(
            "diabetes-xgboost.tar.gz",
            "54,2,36.1,115,163,98.4,43,4,4.6821,101",
        );
        diabetes.trim().parse::<f32>().expect("a number");
    }

    #[track_caller]
    fn ask(&self, model: &str, row: &str) -> String {
        self.call("POST", "/invocations")
            .header(TARGET_MODEL, model)
            .header("Content-Type", "text/csv")
            .body(row)
            .send()
            .ok()
    }

    /// The server's process as this machine numbers it: the one that its container sees as the first. Its
    /// port must have been said on its command line.
    pub fn pid(&self) -> u32 {
        let bind = self.address.to_string();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut all = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        all.find(|pid| is_first_in_its_namespace(*pid) && was_told(*pid, &bind))
            .expect("the server is the first process of a container")
    }
}

impl Deref for Container {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

fn is_first_in_its_namespace(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    // This machine's number, and those of the namespaces below.
    numbers.is_some_and(|n| n.split_whitespace().skip(1).last() == Some("1"))
}

fn was_told(pid: u32, argument: &str) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split('\0').any(|said| said == argument)
}
