//! Prints what it costs to give each request a cell of its own, in process: next to a cell that is used
//! again, with requests spread over a thousand models, and in memory.
//!
//! `cells fresh`, `cells memory` and `cells spread` measure one of these; without an argument all are
//! measured. `spread` needs the thousand models of `scripts/bench-fleet.sh`. `cells busy` asks in fresh cells
//! for ten seconds, for a profiler.

mod fresh;
mod memory;
mod smaps;
mod spread;
mod walk;

use std::process::ExitCode;

use modelcell::allocator;
use modelcell_bench::subject::Subject;

fn main() -> ExitCode {
    // As the server does.
    allocator::keep_little();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let subject = Subject::find()?;
    if parts.iter().any(|named| named == fresh::CHILD) {
        return fresh::measure_here(&subject);
    }
    if parts.iter().any(|named| named == fresh::BUSY) {
        return fresh::keep_busy(&subject);
    }
    if wanted("fresh") {
        fresh::measure()?;
    }
    if wanted("memory") {
        memory::measure(&subject)?;
    }
    if wanted("spread") {
        spread::measure()?;
    }
    Ok(())
}
