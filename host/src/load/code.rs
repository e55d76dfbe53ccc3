//! Compiled code in memory: one copy for all loaded models of the same component.
//!
//! Whoever needs a component's code first finds it on disk or compiles it; the others wait for that
//! and share it. The copy lives as long as a model that has it, and is charged to the memory budget
//! once.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wasmtime::Engine;
use wasmtime::component::Component as Compiled;

use super::compile::{CodeKey, CompileError, Origin};
use super::compiler::demand;
use super::files::read_all;
use super::rewrite::Rewrite;
use super::{LoadError, Tools, compile_error, internal, sandbox_error};
use crate::budget::Budget;
use crate::sandbox::{CellCode, Sandbox, SandboxError};
use crate::workspace::Workspace;

/// How long to wait for somebody who finds the same code in the cache.
const FINDING: Duration = Duration::from_millis(10);

/// A component in a file.
pub(super) struct Component {
    file: File,
    key: CodeKey,
}

impl Component {
    /// Reads `file` to its end for the key.
    pub(super) fn open(engine: &Engine, mut file: File) -> Result<Self, LoadError> {
        let key = CodeKey::of(engine, &mut file).map_err(internal)?;
        Ok(Self { file, key })
    }

    /// A component whose key is known.
    pub(super) fn known(file: File, key: CodeKey) -> Self {
        Self { file, key }
    }

    /// What tells it from other components.
    pub(super) fn key(&self) -> &CodeKey {
        &self.key
    }
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodeError {
    /// The component, or its form.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// What a component must offer and may ask for.
    #[error(transparent)]
    Link(#[from] SandboxError),
    /// Somebody wrote into the component's file.
    #[error("the component was changed while the model was loaded; load it again")]
    Changed,
    /// Anything else.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl From<CodeError> for LoadError {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Compile(error) => compile_error(error),
            CodeError::Link(error) => sandbox_error(error),
            CodeError::Changed => Self::Internal(error.to_string()),
            CodeError::Load(error) => error,
        }
    }
}

/// The lock is held by whoever gets the code; what it holds is alive while a model has it.
type Slot = Arc<AsyncMutex<Weak<CellCode>>>;

/// The compiled code of all loaded models of an endpoint.
pub(super) struct CodeRegistry {
    sandbox: Arc<Sandbox>,
    workspace: Arc<Workspace>,
    budget: Arc<Budget>,
    slots: Mutex<HashMap<CodeKey, Slot>>,
    compiling: Arc<Semaphore>,
}

impl CodeRegistry {
    /// No code yet.
    pub(super) fn new(tools: &Tools, budget: Arc<Budget>) -> Self {
        Self {
            sandbox: tools.sandbox.clone(),
            workspace: tools.workspace.clone(),
            budget,
            slots: Mutex::default(),
            compiling: tools.compiling.clone(),
        }
    }

    /// The code of a component in a form, and where it was.
    ///
    /// # Errors
    ///
    /// If it is not a component that a cell can run, cannot have that form, or there is no room for its
    /// code.
    pub(super) async fn get(
        &self,
        component: &Component,
        rewrite: Rewrite,
    ) -> Result<(Arc<CellCode>, Origin), CodeError> {
        let key = component.key.form(&rewrite);
        let slot = self.slot(&key);
        let mut shared = slot.lock().await;
        if let Some(code) = shared.upgrade() {
            return Ok((code, Origin::Memory));
        }
        let (compiled, origin) = match self.find(&key).await? {
            Some(compiled) => (compiled, Origin::Cache),
            None => (self.compile(component, rewrite).await?, Origin::Compiler),
        };
        Ok((self.share(&mut shared, &compiled)?, origin))
    }

    /// The code of a component in a form, and where it was, if it is at hand.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub(super) async fn get_compiled(
        &self,
        component: &Component,
        rewrite: &Rewrite,
    ) -> Result<Option<(Arc<CellCode>, Origin)>, CodeError> {
        let key = component.key.form(rewrite);
        let slot = self.slot(&key);
        // Others may be finding it, which is done at once, or compiling it, which takes long.
        let Ok(mut shared) = timeout(FINDING, slot.lock()).await else {
            return Ok(None);
        };
        if let Some(code) = shared.upgrade() {
            return Ok(Some((code, Origin::Memory)));
        }
        match self.find(&key).await? {
            Some(compiled) => Ok(Some((self.share(&mut shared, &compiled)?, Origin::Cache))),
            None => Ok(None),
        }
    }

    fn share(
        &self,
        shared: &mut Weak<CellCode>,
        compiled: &Compiled,
    ) -> Result<Arc<CellCode>, CodeError> {
        let code = Arc::new(self.sandbox.link(compiled, &self.budget)?);
        *shared = Arc::downgrade(&code);
        Ok(code)
    }

    /// Compiled code is at hand in a millisecond.
    async fn find(&self, key: &CodeKey) -> Result<Option<Compiled>, CodeError> {
        let (sandbox, workspace) = (self.sandbox.clone(), self.workspace.clone());
        let key = key.clone();
        spawn_blocking(move || workspace.code().find(sandbox.engine(), &key))
            .await
            .map_err(|e| CodeError::Load(internal(e)))
    }

    /// Only what must be compiled waits for its turn, and is read into memory.
    async fn compile(
        &self,
        component: &Component,
        rewrite: Rewrite,
    ) -> Result<Compiled, CodeError> {
        // The semaphore is never closed.
        let turn = self.compiling.clone().acquire_owned().await;
        let (sandbox, workspace) = (self.sandbox.clone(), self.workspace.clone());
        let file = component.file.try_clone();
        let (mut file, key) = (file.map_err(internal)?, component.key.clone());
        // Ends the compiler when it is dropped, with this future.
        let (_wanted, demand) = demand();
        let compiled = spawn_blocking(move || {
            let _turn = turn;
            let wasm = read_all(&mut file)?;
            let (code, engine) = (workspace.code(), sandbox.engine());
            // What is compiled is kept under the key, so it had better be what the key was made of.
            if CodeKey::of(engine, wasm.as_slice()).map_err(internal)? != key {
                return Err(CodeError::Changed);
            }
            Ok(code.compile(engine, &key, &wasm, &rewrite, &demand)?)
        });
        compiled.await.map_err(|e| CodeError::Load(internal(e)))?
    }

    fn slot(&self, key: &CodeKey) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return slot.clone();
        }
        // What nobody has any more, and nobody is about to have.
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|code| code.strong_count() > 0)
        });
        slots.entry(key.clone()).or_default().clone()
    }
}
