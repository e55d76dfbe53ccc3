//! Compiled code in memory: one copy for all loaded models of the same component.
//!
//! Whoever needs a component's code first finds it on disk or compiles it; the others wait for that
//! and share it. The copy lives as long as a model that has it, and is charged to the memory budget
//! once.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::spawn_blocking;
use wasmtime::component::Component;

use super::compile::{CodeKey, Origin};
use super::compiler::demand;
use super::files::read_all;
use super::rewrite::Rewrite;
use super::{LoadError, compile_error, internal, sandbox_error};
use crate::budget::{Account, Budget, Charge};
use crate::sandbox::{CellCode, Sandbox};
use crate::workspace::Workspace;

/// Compiled code, linked to what cells may call, that several models may share.
pub struct SharedCode {
    code: CellCode,
    // After the code, whose bytes it gives back.
    charge: Charge,
}

impl SharedCode {
    /// The code itself.
    pub fn code(&self) -> &CellCode {
        &self.code
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.charge.bytes()
    }
}

/// The lock is held by whoever gets the code; what it holds is alive while a model has it.
type Slot = Arc<AsyncMutex<Weak<SharedCode>>>;

/// The compiled code of all loaded models.
pub(super) struct CodeRegistry {
    sandbox: Arc<Sandbox>,
    workspace: Arc<Workspace>,
    budget: Arc<Budget>,
    slots: Mutex<HashMap<CodeKey, Slot>>,
    compiling: Arc<Semaphore>,
}

impl CodeRegistry {
    /// No code yet. At most `parallel` components are compiled at a time.
    pub(super) fn new(
        sandbox: Arc<Sandbox>,
        workspace: Arc<Workspace>,
        budget: Arc<Budget>,
        parallel: usize,
    ) -> Self {
        Self {
            sandbox,
            workspace,
            budget,
            slots: Mutex::default(),
            compiling: Arc::new(Semaphore::new(parallel)),
        }
    }

    /// The code of a component, and where it was.
    ///
    /// # Errors
    ///
    /// If it is not a component that a cell can run, or there is no room for its code.
    pub(super) async fn get(
        &self,
        mut component: File,
    ) -> Result<(Arc<SharedCode>, Origin), LoadError> {
        let sandbox = self.sandbox.clone();
        let (key, component) = spawn_blocking(move || {
            let key = CodeKey::of(sandbox.engine(), &mut component);
            key.map(|key| (key, component)).map_err(internal)
        })
        .await
        .map_err(internal)??;
        let slot = self.slot(&key);
        let mut shared = slot.lock().await;
        if let Some(code) = shared.upgrade() {
            return Ok((code, Origin::Memory));
        }
        let (component, origin) = self.component(key, component).await?;
        let code = self.sandbox.link(&component).map_err(sandbox_error)?;
        let charge = Account::new(&self.budget).charge(code.bytes() as u64)?;
        let code = Arc::new(SharedCode { code, charge });
        *shared = Arc::downgrade(&code);
        Ok((code, origin))
    }

    /// Only what must be compiled waits for its turn, and is read into memory: compiled code is at
    /// hand in a millisecond.
    async fn component(
        &self,
        key: CodeKey,
        mut component: File,
    ) -> Result<(Component, Origin), LoadError> {
        let (sandbox, workspace) = (self.sandbox.clone(), self.workspace.clone());
        let (found, key) = spawn_blocking(move || {
            let found = workspace.code().find(sandbox.engine(), &key);
            (found, key)
        })
        .await
        .map_err(internal)?;
        if let Some(component) = found {
            return Ok((component, Origin::Cache));
        }
        // The semaphore is never closed.
        let turn = self.compiling.clone().acquire_owned().await;
        let (sandbox, workspace) = (self.sandbox.clone(), self.workspace.clone());
        // Ends the compiler when it is dropped, with this future.
        let (_wanted, demand) = demand();
        let compiled = spawn_blocking(move || {
            let _turn = turn;
            let wasm = read_all(&mut component)?;
            let (code, engine) = (workspace.code(), sandbox.engine());
            code.compile(engine, &key, &wasm, &Rewrite::Plain, &demand)
                .map_err(compile_error)
        });
        Ok((compiled.await.map_err(internal)??, Origin::Compiler))
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
