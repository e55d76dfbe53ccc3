//! Why a model could not be loaded.

use super::compile::CompileError;
use crate::budget::NoRoom;
use crate::repository::RepositoryError;
use crate::sandbox::{CellError, HookFault, SandboxError, printable};
use crate::workspace::disk::DiskFull;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing is at the given place.
    #[error("Model not found: {0}")]
    NotFound(String),
    /// The artifact could not be had from the repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The artifact is at fault, so whoever made it must mend it.
    #[error("{0}")]
    InvalidArtifact(String),
    /// The artifact carries data only, and the runtime that it needs is not here.
    #[error("{0}")]
    NoRuntime(String),
    /// `model_fn` failed.
    #[error("{}", model_fn_text(.0))]
    ModelFn(CellError),
    /// A step before `model_fn` took too long.
    #[error("{0} took longer than a model may take to load (--load-timeout)")]
    Deadline(&'static str),
    /// The memory budget has no room for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The disk budget has no room for the unpacked artifact.
    #[error("the artifact could not be unpacked: {0}")]
    DiskFull(DiskFull),
    /// The disk is broken.
    #[error("{0}")]
    Storage(String),
    /// The host failed.
    #[error("{0}")]
    Internal(String),
}

impl LoadError {
    /// The same with the operator's runtime to blame, and not the artifact, for code that cannot run.
    pub(super) fn of_runtime(self, runtime: &str) -> Self {
        match self {
            Self::InvalidArtifact(text) => {
                Self::Internal(format!("the runtime {runtime} cannot run here: {text}"))
            }
            other => other,
        }
    }

    /// The shortage of disk that is the reason, if it is.
    pub fn disk_full(&self) -> Option<DiskFull> {
        match self {
            Self::DiskFull(full) | Self::Repository(RepositoryError::Full(full)) => Some(*full),
            _ => None,
        }
    }
}

fn model_fn_text(error: &CellError) -> String {
    match &error.fault {
        HookFault::Deadline => format!(
            "{} did not finish within the time for loading a model (--load-timeout)",
            error.hook
        ),
        _ => error.to_string(),
    }
}

pub(super) fn model_fn_error(error: CellError) -> LoadError {
    match error.fault {
        HookFault::NoRoom(no_room) => LoadError::NoRoom(no_room),
        _ => LoadError::ModelFn(error),
    }
}

/// The compiler's texts quote the component.
pub(super) fn compile_error(error: CompileError) -> LoadError {
    let text = printable(&error.to_string());
    match error {
        CompileError::Host(_) | CompileError::GivenUp => LoadError::Internal(text),
        _ => LoadError::InvalidArtifact(text),
    }
}

pub(super) fn sandbox_error(error: SandboxError) -> LoadError {
    match error {
        SandboxError::Unfit(text) => LoadError::InvalidArtifact(text),
        SandboxError::Engine(text) => LoadError::Internal(text),
        SandboxError::NoRoom(no_room) => LoadError::NoRoom(no_room),
    }
}

/// A bug or a shutdown, not something that a user can mend.
pub(super) fn internal(error: impl std::fmt::Display) -> LoadError {
    LoadError::Internal(format!("the load was interrupted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_quotes_of_a_component_is_printable() {
        let error = compile_error(CompileError::Invalid("import `a\nb\x1b[2J`".into()));
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
}
