//! Log lines: what is logged, how it looks, and where it goes (stderr).

use clap::ValueEnum;
use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
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

/// Lines that may wait for whoever reads the log. Beyond that lines are dropped: a reader that has
/// stalled must not stop the server.
const LINES: usize = 8192;

/// Begins to log Modelcell's own events from `level` on, and warnings of its libraries. Lines that
/// wait are written when the guard is dropped.
pub fn start(level: Level, format: LogFormat) -> WorkerGuard {
    let filter = Targets::new()
        .with_target("modelcell", level)
        .with_default(Level::WARN.min(level));
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .lossy(true)
        .finish(std::io::stderr());
    let registry = tracing_subscriber::registry();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false);
    match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(false).with_filter(filter))
            .init(),
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_filter(filter))
            .init(),
    }
    guard
}
