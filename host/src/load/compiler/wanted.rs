//! Whether somebody still waits for a compilation.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, pidfd_send_signal};

/// Held by who waits for a compilation. Dropping it ends the compiler at once.
pub struct Wanted(Shared);

/// What the compiler looks at.
pub struct Demand(Shared);

type Shared = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    gone: bool,
    process: Option<Arc<OwnedFd>>,
}

/// For a compilation that somebody is about to wait for.
pub fn demand() -> (Wanted, Demand) {
    let shared = Shared::default();
    (Wanted(shared.clone()), Demand(shared))
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.gone = true;
        if let Some(process) = &state.process {
            kill(process);
        }
    }
}

impl Demand {
    /// Has `process` killed when nobody waits any more, which may be now.
    pub(super) fn begin(&self, process: Arc<OwnedFd>) {
        let mut state = lock(&self.0);
        if state.gone {
            kill(&process);
        }
        state.process = Some(process);
    }

    /// To be called when the process has ended.
    pub(super) fn end(&self) {
        lock(&self.0).process = None;
    }

    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        lock(&self.0).gone
    }
}

/// Kills a process, which may be dead already.
pub(super) fn kill(process: &OwnedFd) {
    if let Err(error) = pidfd_send_signal(process, Signal::KILL) {
        tracing::debug!(%error, "the compiler's process could not be killed");
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
