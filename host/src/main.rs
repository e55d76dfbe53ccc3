//! The binary: parses arguments, begins to log, runs a command, reports how it ended.

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use modelcell::allocator;
use modelcell::commands::Cli;

fn main() -> ExitCode {
    allocator::keep_little();
    allocator::keep_apart();
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
    // A reader that has gone away, such as `head`, is no reason to complain.
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            eprintln!(
                "modelcell: {}{}",
                one_line(&error.to_string()),
                from_variable(error)
            );
            ExitCode::from(2)
        }
    }
}

/// Names the variable if a value came from the environment, which clap does not say.
fn from_variable(error: &clap::Error) -> String {
    let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg) else {
        return String::new();
    };
    let flag = arg.split([' ', '=']).next().unwrap_or_default();
    let said = std::env::args().any(|arg| arg == flag || arg.starts_with(&format!("{flag}=")));
    match flag.strip_prefix("--") {
        Some(name) if !said && error.kind() != ErrorKind::UnknownArgument => {
            let variable = format!("MODELCELL_{}", name.replace('-', "_").to_uppercase());
            format!(" (the value comes from the variable {variable})")
        }
        _ => String::new(),
    }
}

/// The message and the tip of an error of the arguments, without the usage text.
fn one_line(error: &str) -> String {
    let said = error
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let line = said.collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line} (--help says more)")
}
