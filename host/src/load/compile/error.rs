//! Why a component cannot be compiled.

use std::time::Duration;

use bytesize::ByteSize;

use crate::load::complexity::ComplexityError;

/// Why a component cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are not a component.
    #[error("{0}")]
    NotAComponent(&'static str),
    /// The component is malformed, or uses what the engine does not offer.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It has more of something than it may have.
    #[error(transparent)]
    TooComplex(ComplexityError),
    /// It cannot be rewritten into the form that is to be compiled.
    #[error("the component cannot be rewritten: {0}")]
    Rewrite(String),
    /// Compiling it takes more memory than that.
    #[error(
        "compiling the component takes more than {} of memory (--compile-memory)",
        ByteSize(*.0)
    )]
    TooMuchMemory(u64),
    /// Compiling it takes more time than that.
    #[error("compiling the component takes longer than {0:?} (--compile-timeout)")]
    TooLong(Duration),
    /// The compiler failed on it.
    #[error("the compiler crashed on the component ({0})")]
    Crashed(String),
    /// The component is not at fault.
    #[error("the compiler could not do its work: {0}")]
    Host(String),
    /// Nobody waits for the code any more.
    #[error("nobody waits for the compiled component any more")]
    GivenUp,
}

impl CompileError {
    /// What the host could not do.
    pub(in crate::load) fn host(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Host(format!("{what}: {error}"))
    }
}

impl From<ComplexityError> for CompileError {
    fn from(error: ComplexityError) -> Self {
        match error {
            ComplexityError::TooMuch { .. } => Self::TooComplex(error),
            ComplexityError::Malformed(text) => Self::Invalid(text),
        }
    }
}
