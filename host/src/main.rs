//! The binary: parses arguments, begins to log, runs a command, reports how it ended.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use modelcell::commands::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("modelcell: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Help goes to stdout and is no failure; a mistake is one line on stderr and the exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away, such as `head`, is no reason to complain.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ => {
            let _ = error.print();
            ExitCode::from(2)
        }
    }
}
