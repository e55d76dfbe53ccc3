//! Log lines: what is logged, how it looks, and where it goes (stderr).

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Begins to log Modelcell's own events from `level` on, and warnings of its libraries.
pub fn start(level: Level, format: LogFormat) {
    let filter = Targets::new()
        .with_target("modelcell", level)
        .with_default(Level::WARN.min(level));
    let registry = tracing_subscriber::registry();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(false).with_filter(filter))
            .init(),
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_filter(filter))
            .init(),
    }
}
