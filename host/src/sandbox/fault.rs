//! Why a cell gave no result, and what callers, authors and the log are told of it.

use std::time::Duration;

use rustix::io::Errno;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use super::capabilities::DeniedCall;
use super::guest_log::printable;
use super::limits::{Breach, LimitKind, Refusal};
use super::memory::{NO_MEMORY, SlotError};
use super::state::CellState;
use crate::budget::NoRoom;
use crate::hooks::{GuestError, Hook};

/// The longest text of a guest's error that reaches a caller, in characters. SageMaker shows at
/// most about 2,000 characters of a container's answer.
const ERROR_TEXT: usize = 1024;

/// Why a cell gave no result, and in which hook.
#[derive(Debug, thiserror::Error)]
#[error("{hook} {fault}")]
pub struct CellError {
    /// The hook that ran when it happened.
    pub hook: Hook,
    /// What happened.
    pub fault: HookFault,
}

/// What may happen in a hook.
#[derive(Debug, thiserror::Error)]
pub enum HookFault {
    /// The hook returned an error: the guest's own text.
    #[error("answered: {}", error_text(.0))]
    Returned(GuestError),
    /// The guest was ended by a trap, a panic, an exit or a call that no cell offers.
    #[error("was ended: {0}")]
    Trapped(String),
    /// The guest was ended because it went beyond a limit.
    #[error("{0}")]
    Limit(Breach),
    /// The host's memory budget had no room for the cell, or for what it asked for.
    #[error("had no memory: {0}")]
    NoRoom(NoRoom),
    /// The host itself has no memory or address space left for the cell.
    #[error("could not run: the host is out of memory or of mappings (vm.max_map_count)")]
    HostOutOfMemory,
    /// The request's, or the load's, deadline passed.
    #[error("did not finish in time")]
    Deadline,
    /// The hook took longer than one hook may.
    #[error("did not finish within {} (--hook-timeout)", humantime::format_duration(*.0))]
    HookDeadline(Duration),
    /// The host could not make the cell.
    #[error("could not start: {0}")]
    Start(String),
}

impl From<SlotError> for HookFault {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::NoRoom(no_room) => Self::NoRoom(no_room),
            SlotError::Kernel(_) => Self::HostOutOfMemory,
        }
    }
}

impl HookFault {
    /// The limit that the guest went beyond, if that is what happened.
    pub fn limit(&self) -> Option<LimitKind> {
        match self {
            Self::Limit(breach) => Some(breach.kind),
            Self::Deadline | Self::HookDeadline(_) => Some(LimitKind::Time),
            _ => None,
        }
    }

    /// Why a call into the guest ended with an error that no hook returned.
    pub(super) fn of_call(store: &mut Store<CellState>, error: &wasmtime::Error) -> Self {
        match store.data_mut().limits.take_refused() {
            Some(Refusal::Limit(breach)) => return Self::Limit(breach),
            Some(Refusal::NoRoom(no_room)) => return Self::NoRoom(no_room),
            None => {}
        }
        if let Some(breach) = store.data().limits.breach_of(error) {
            return Self::Limit(breach);
        }
        if error.chain().any(is_out_of_memory) {
            return Self::HostOutOfMemory;
        }
        Self::Trapped(if let Some(denied) = error.downcast_ref::<DeniedCall>() {
            format!("it {denied}")
        } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
            format!("it called exit({})", exit.0)
        } else if let Some(trap) = error.downcast_ref::<Trap>() {
            match trap {
                Trap::UnreachableCodeReached => {
                    "it panicked or aborted (its log has the message)".to_owned()
                }
                other => other.to_string(),
            }
        } else {
            error.root_cause().to_string()
        })
    }

    /// What an error that a hook returned stands for: a guest may report so that it was refused memory.
    pub(super) fn of_returned(store: &mut Store<CellState>, error: GuestError) -> Self {
        match (store.data_mut().limits.take_refused(), &error) {
            (Some(Refusal::NoRoom(no_room)), GuestError::Failed(_)) => Self::NoRoom(no_room),
            _ => Self::Returned(error),
        }
    }
}

impl CellError {
    /// Whether the cell can serve another request: only if the hook itself returned the error.
    pub fn cell_is_usable(&self) -> bool {
        matches!(self.fault, HookFault::Returned(_))
    }

    /// What a caller is told: a model's own text only where the contract gives it to callers.
    pub fn for_caller(&self) -> String {
        match &self.fault {
            HookFault::Returned(GuestError::Failed(_)) if self.hook != Hook::ModelFn => {
                format!("{} failed (the model's log says why)", self.hook)
            }
            HookFault::Returned(error) if self.hook != Hook::ModelFn => error_text(error),
            _ => self.to_string(),
        }
    }

    /// Logs what went wrong in the model `model`. An error that blames the caller is no fault of the
    /// model.
    pub(super) fn report(&self, model: &str, last_stderr: Option<String>) {
        let Self { hook, fault } = self;
        match fault {
            HookFault::Returned(
                GuestError::InvalidInput(_)
                | GuestError::UnsupportedContentType(_)
                | GuestError::UnsupportedAccept(_),
            ) => tracing::debug!(model, %hook, "{hook} {fault}"),
            HookFault::NoRoom(_) => tracing::warn!(model, %hook, "{hook} {fault}"),
            _ => tracing::error!(
                model,
                %hook,
                last_stderr = last_stderr.as_deref().unwrap_or(""),
                "{hook} {fault}"
            ),
        }
    }
}

/// The guest's own words, fit to be shown: printable and of bounded length.
fn error_text(error: &GuestError) -> String {
    let (GuestError::UnsupportedContentType(text)
    | GuestError::UnsupportedAccept(text)
    | GuestError::InvalidInput(text)
    | GuestError::Failed(text)) = error;
    let mut short: String = text.chars().take(ERROR_TEXT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    printable(&short)
}

/// Whether the kernel refused memory or addresses. wasmtime reports it as rustix does, and for linear
/// memories as a text.
fn is_out_of_memory(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    error.downcast_ref::<Errno>() == Some(&Errno::NOMEM)
        || io.is_some_and(|e| e.kind() == std::io::ErrorKind::OutOfMemory)
        || error.to_string().starts_with(NO_MEMORY)
}
