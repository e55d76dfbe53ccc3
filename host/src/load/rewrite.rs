//! What is done to a component before it is compiled.
//!
//! Rewriting reads and writes a hostile component, so it runs where the compiler runs: a [`Rewrite`]
//! says what to do and is sent there.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A form of a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rewrite {
    /// As it is.
    Plain,
}

impl Rewrite {
    /// The component `wasm` in this form.
    ///
    /// # Errors
    ///
    /// One line that says why it cannot have this form.
    pub fn apply<'a>(&self, wasm: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        match self {
            Self::Plain => Ok(Cow::Borrowed(wasm)),
        }
    }
}
