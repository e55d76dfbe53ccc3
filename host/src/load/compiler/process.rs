//! The host's side: starts the compiler's process, waits for it, and says how it ended.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use wasmtime::Engine;

use super::super::compile::{CompileError, engine_print};
use super::job::{self, Report};
use super::output::{Output, in_memory};
use super::wanted::{Demand, kill};
use super::{CompileOptions, Order};

/// What is read of what the process says.
const SAID_LIMIT: u64 = 64 << 10;

/// The exit code of a Rust program that panicked.
const PANIC: i32 = 101;

/// What a Rust program says before it aborts for lack of memory.
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// Compiles in a process of `program`.
pub(super) fn run(
    program: &Path,
    options: &CompileOptions,
    engine: &Engine,
    order: &Order<'_>,
    demand: &Demand,
) -> Result<Output, CompileError> {
    if demand.is_gone() {
        return Err(CompileError::GivenUp);
    }
    let deadline = Instant::now() + options.timeout;
    let host = |e| CompileError::host("its process cannot be started", e);
    let stdin = job::write(engine_print(engine), order).map_err(host)?;
    let stdout = in_memory("modelcell-code").map_err(host)?;
    let stderr = in_memory("modelcell-compiler").map_err(host)?;
    let files = [&stdout, &stderr].map(File::try_clone);
    let [Ok(to_stdout), Ok(to_stderr)] = files else {
        return Err(host(io::Error::last_os_error()));
    };
    let mut command = command(program, options);
    command.stdin(stdin).stdout(to_stdout).stderr(to_stderr);
    let process = Process::start(&mut command).map_err(host)?;
    // It holds the ends that are the process's.
    drop(command);
    demand.begin(process.handle.clone());
    let end = process.wait(deadline);
    demand.end();
    let end = end.map_err(|e| CompileError::host("its process cannot be waited for", e))?;
    if demand.is_gone() {
        return Err(CompileError::GivenUp);
    }
    let said = said(stderr).map_err(|e| CompileError::host("its report cannot be read", e))?;
    match end {
        End::Late => Err(CompileError::TooLong(options.timeout)),
        End::Exited(status) => outcome(status, &said, options, stdout),
    }
}

/// The command without what it would inherit.
fn command(program: &Path, options: &CompileOptions) -> Command {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    // A second more, because the deadline is what ends it if all is well.
    let cpu = (options.timeout.as_secs() + 1).saturating_mul(processors);
    let mut command = Command::new(program);
    command
        .arg0("modelcell")
        .arg("compile")
        .args(["--memory", &options.memory.to_string()])
        .args(["--cpu", &cpu.to_string()])
        .args(["--parent", &std::process::id().to_string()])
        .env_clear()
        // Not to be interrupted by the keyboard while requests in flight are finished.
        .process_group(0)
        .stdin(Stdio::null());
    command
}

/// The compiler's process. Dropping it kills and reaps it.
struct Process {
    child: Child,
    handle: Arc<OwnedFd>,
}

/// How it ended.
enum End {
    Exited(ExitStatus),
    /// It was killed, because its time was over.
    Late,
}

impl Process {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(handle) => Ok(Self {
                child,
                handle: Arc::new(handle),
            }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    /// Waits for its end. This must be the thread that started it, with whose end it would be killed.
    fn wait(mut self, deadline: Instant) -> io::Result<End> {
        if ends_before(&self.handle, deadline)? {
            return Ok(End::Exited(self.child.wait()?));
        }
        Ok(End::Late)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not even a signal is sent if it has been waited for.
        if let Ok(None) = self.child.try_wait() {
            kill(&self.handle);
            let _ = self.child.wait();
        }
    }
}

/// Waits for the end of a process.
fn ends_before(process: &OwnedFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if left == Duration::ZERO => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

fn said(mut stderr: File) -> io::Result<String> {
    stderr.rewind()?;
    let mut said = Vec::new();
    stderr.take(SAID_LIMIT).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// What the end of the process says of the component.
fn outcome(
    status: ExitStatus,
    said: &str,
    options: &CompileOptions,
    stdout: File,
) -> Result<Output, CompileError> {
    if let (true, Some(report)) = (status.success(), Report::read(said)) {
        return match report {
            Report::Done {
                code,
                functions,
                reused,
                compiled,
            } => {
                tracing::debug!(code, functions, reused, compiled, "compiled");
                Ok(Output::new(stdout, code, functions))
            }
            Report::Invalid(text) => Err(CompileError::Invalid(text)),
            Report::Rewrite(text) => Err(CompileError::Rewrite(text)),
            Report::Unusable(text) => Err(CompileError::Host(format!("its process fails: {text}"))),
        };
    }
    tracing::warn!(%status, said, "the compiler's process failed");
    Err(match (status.signal(), status.code()) {
        (Some(libc::SIGXCPU), _) => CompileError::TooLong(options.timeout),
        (Some(libc::SIGXFSZ), _) => CompileError::TooMuchMemory(options.memory),
        // By somebody else: nothing is known of the component.
        (Some(libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGHUP), _) => {
            let text =
                "its process was killed, as the kernel does when the machine's memory runs out";
            CompileError::Host(text.into())
        }
        (Some(_), _) if said.contains(OUT_OF_MEMORY) => CompileError::TooMuchMemory(options.memory),
        (Some(_), _) | (None, Some(PANIC)) => CompileError::Crashed(status.to_string()),
        (None, _) => CompileError::host("its process ended without a report", status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::compiler::{Compiler, demand};
    use crate::load::rewrite::Rewrite;

    const ORDER: Order<'static> = Order {
        wasm: b"\0asm\x0d\0\x01\0",
        rewrite: &Rewrite::Plain,
        functions: None,
    };

    fn by(program: &str, demand: &Demand) -> CompileError {
        let options = CompileOptions {
            compiler: Compiler::Process(program.into()),
            ..CompileOptions::default()
        };
        let result = options.compile(&Engine::default(), &ORDER, demand);
        result.map(|_| "compiled").unwrap_err()
    }

    #[test]
    fn a_program_that_is_no_compiler_is_not_the_components_fault() {
        let (_wanted, demand) = demand();
        for (program, text) in [
            ("/no/such/program", "cannot be started"),
            ("/bin/true", "without a report"),
            ("/bin/false", "without a report"),
        ] {
            let error = by(program, &demand);
            assert!(matches!(error, CompileError::Host(_)), "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn nothing_is_started_that_nobody_wants() {
        let (wanted, demand) = demand();
        drop(wanted);
        let error = by("/no/such/program", &demand);
        assert!(matches!(error, CompileError::GivenUp), "{error}");
    }
}
