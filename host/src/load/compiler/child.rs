//! The compiler's process: bounds itself, reads a job, compiles, reports.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setpriority_process, setrlimit,
};
use wasmtime::Engine;

use super::super::compile::engine_print;
use super::functions::Functions;
use super::job::{self, Header, Report};
use crate::background::NICENESS;
use crate::sandbox::engine_config;

/// Bytes of a report's text. An error may quote names of the component, which may be long.
const TEXT_LIMIT: usize = 4096;

/// What the process is called in lists of processes.
const NAME: &str = "modelcell-comp";

/// What the process may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of memory.
    pub memory: u64,
    /// Seconds on processors, of all threads together.
    pub cpu: u64,
    /// The process that started it, without which it ends.
    pub parent: i32,
}

/// Compiles the component on stdin; see `job` for the form. To be called first thing in the
/// process.
///
/// # Errors
///
/// If not even a report can be written.
pub fn run(bounds: Bounds) -> Result<(), String> {
    let report = match bound(bounds) {
        Ok(()) => compile(),
        Err(error) => Report::Unusable(format!("it cannot bound itself: {error}")),
    };
    let written = shortened(report).write(io::stderr());
    written.map_err(|e| format!("the report cannot be written: {e}"))
}

/// Gives up what the process does not need, before it reads anything of the component.
fn bound(bounds: Bounds) -> io::Result<()> {
    close_inherited();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before.
    if getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != bounds.parent) {
        return Err(io::Error::other("the host is gone"));
    }
    // These three are only considerate: requests go first, and if the machine's memory runs out then
    // this is the process to end.
    let _ = setpriority_process(None, NICENESS);
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let _ = fs::write("/proc/self/comm", NAME);
    // What it holds belongs to somebody's model.
    limit(Resource::Core, 0)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Data and not address space, of which threads and the program itself take much that is never used.
    limit(Resource::Data, bounds.memory)?;
    limit(Resource::Fsize, bounds.memory)?;
    limit(Resource::Cpu, bounds.cpu)?;
    Ok(())
}

/// The host's own files close themselves; these are of who started the host.
fn close_inherited() {
    // SAFETY: the process has run nothing yet that could own a descriptor but the standard ones.
    unsafe {
        // As a system call, because older C libraries have no function for it.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
    }
}

/// Lowers a limit for good, unless it is lower already.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |hard| hard.min(most));
    let both = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(setrlimit(resource, both)?)
}

fn compile() -> Report {
    let (header, wasm, functions) = match job() {
        Ok(job) => job,
        Err(error) => return Report::Unusable(format!("its job cannot be read: {error}")),
    };
    let functions = Arc::new(Functions::open(functions, header.functions_limit));
    let engine = match engine(&functions) {
        Ok(engine) => engine,
        Err(error) => return Report::Unusable(format!("its engine cannot be started: {error:#}")),
    };
    if engine_print(&engine) != header.engine {
        return Report::Unusable("it is not of the same build as the host".into());
    }
    let form = match header.rewrite.apply(&wasm) {
        Ok(form) => form,
        Err(error) => return Report::Rewrite(error),
    };
    let code = match engine.precompile_component(&form) {
        Ok(code) => code,
        Err(error) => return Report::Invalid(format!("{error:#}")),
    };
    deliver(&code, &functions)
        .unwrap_or_else(|error| Report::Unusable(format!("its code cannot be written: {error}")))
}

fn job() -> io::Result<(Header, Vec<u8>, Vec<u8>)> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let job = job::read(&stdin)?;
    // Its pages, which nobody needs any more.
    stdin.set_len(0)?;
    Ok(job)
}

/// An engine with the host's settings that asks `functions` first.
pub fn engine(functions: &Arc<Functions>) -> wasmtime::Result<Engine> {
    let mut config = engine_config();
    config.enable_incremental_compilation(functions.clone())?;
    Engine::new(&config)
}

fn deliver(code: &[u8], functions: &Functions) -> io::Result<Report> {
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(code)?;
    let (reused, compiled) = functions.counts();
    Ok(Report::Done {
        code: code.len() as u64,
        functions: functions.write(BufWriter::new(stdout))?,
        reused,
        compiled,
    })
}

fn shortened(report: Report) -> Report {
    let short = |mut text: String| {
        text.truncate(text.floor_char_boundary(TEXT_LIMIT));
        text
    };
    match report {
        Report::Invalid(text) => Report::Invalid(short(text)),
        Report::Rewrite(text) => Report::Rewrite(short(text)),
        other => other,
    }
}
