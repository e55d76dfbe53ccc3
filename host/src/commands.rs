//! The commands of the binary, one file each.

mod compile;
mod inspect;
mod invoke;
mod local;
mod new;
mod package;
mod ping;
mod serve;

use std::ffi::OsString;
use std::path::Path;
use std::{fs, io};

use clap::{Parser, Subcommand};
use tracing::Level;

use crate::telemetry::{self, LogFormat};

/// Serves many models from one process, each in its own WebAssembly cell.
#[derive(Debug, Parser)]
#[command(name = "modelcell", version, about, max_term_width = 100)]
pub struct Cli {
    /// How much to log: error, warn, info, debug or trace.
    #[arg(
        long,
        env = "MODELCELL_LOG",
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    log: Level,

    /// How log lines look.
    #[arg(
        long,
        env = "MODELCELL_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Ping(ping::Ping),
    New(new::New),
    Package(package::Package),
    Inspect(inspect::Inspect),
    Invoke(invoke::Invoke),
    #[command(hide = true)]
    Compile(compile::Compile),
}

/// The process's environment; nothing else in the host reads it.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The names in a directory, in a fixed order.
fn sorted_names(dir: &Path) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(dir)?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// What went wrong and what to do about it, to show to the user.
    pub fn run(self) -> Result<(), String> {
        // Before anything else is started in its process.
        if let Command::Compile(compile) = self.command {
            return compile.run();
        }
        let _log = telemetry::start(self.log, self.log_format);
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Ping(ping) => ping.run(),
            Command::New(new) => new.run(),
            Command::Package(package) => package.run(),
            Command::Inspect(inspect) => inspect.run(),
            Command::Invoke(invoke) => invoke.run(),
            Command::Compile(compile) => compile.run(),
        }
    }
}
