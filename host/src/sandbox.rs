//! The sandbox: one engine for all cells, what cells may call, and how a cell is made.
//!
//! Lifecycle. A [`Sandbox`] lives as long as the process. [`Sandbox::link`] turns a compiled
//! component into [`CellCode`], which is shared by all cells of a model. A [`Cell`] is one store and
//! one instance; it ends when it is dropped, which frees its memory whatever the guest was doing.
//! Nothing is shared between the cells of different models but the engine.
//!
//! Time. A thread advances the engine's epoch every few milliseconds. At each tick a running guest
//! yields to the other tasks of its thread, so a long prediction holds up nobody, and its deadline
//! (a timer like any other) can end it.

mod capabilities;
mod cell;
mod guest_log;
mod limits;
mod pool;
mod signature;

use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, OptLevel};

use crate::hooks::GuestModelPre;
pub use capabilities::{Capability, Import, imports_of};
use cell::CellState;
pub use cell::{Cell, CellError, CellSpec, HookFault, Invocation};
pub use guest_log::printable;
pub use pool::{CellPool, CellUsage, Lease, LeaseError};
pub use signature::{HookFaults, hook_faults};

/// How long a guest runs before it lets other tasks of its thread go on.
const TICK: Duration = Duration::from_millis(5);

/// Stack of a guest, in bytes. Deeper recursion traps.
const GUEST_STACK: usize = 1 << 20;

/// Stack of the fiber that runs a guest, in bytes: the guest's own and what the host needs on top.
const FIBER_STACK: usize = GUEST_STACK + (1 << 20);

/// The engine and what its cells may call.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<CellState>,
}

/// A compiled component, linked to what it may call: ready to make cells of.
#[derive(Clone)]
pub struct CellCode {
    pre: GuestModelPre<CellState>,
}

impl CellCode {
    /// Bytes of machine code and data that all cells of the model share.
    pub fn bytes(&self) -> usize {
        let range = self.pre.instance_pre().component().image_range();
        range.end.addr().saturating_sub(range.start.addr())
    }
}

/// Why the sandbox cannot be made, or a component cannot become a cell.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine refused its settings, or the ticking thread could not be started.
    #[error("the WebAssembly engine could not be started: {0}")]
    Engine(String),
    /// The component needs something that no cell offers, or lacks a hook.
    #[error("{0}")]
    Unfit(String),
}

impl Sandbox {
    /// Starts the engine and the thread that advances its epoch. The thread ends with the engine.
    pub fn new() -> Result<Self, SandboxError> {
        let engine = Engine::new(&engine_config()).map_err(engine_error)?;
        let linker = capabilities::linker(&engine).map_err(engine_error)?;
        let weak = engine.weak();
        thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    // Not to hold the engine while asleep lets it end.
                    drop(engine);
                    thread::sleep(TICK);
                }
            })
            .map_err(|e| SandboxError::Engine(e.to_string()))?;
        Ok(Self { engine, linker })
    }

    /// The engine, for compiling.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Links a component to what cells offer, and checks that it exports the four hooks.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Unfit`] names the imports that no cell offers or the hooks that are missing.
    pub fn link(&self, component: &Component) -> Result<CellCode, SandboxError> {
        let mut unfit = unfit_hooks(&hook_faults(&self.engine, component));
        let linker = match capabilities::link_imports(&self.linker, &self.engine, component) {
            Ok(linker) if unfit.is_empty() => linker,
            other => {
                unfit.extend(other.err());
                return Err(SandboxError::Unfit(unfit.join("; ")));
            }
        };
        let pre = linker
            .instantiate_pre(component)
            .and_then(GuestModelPre::new)
            .map_err(|e| SandboxError::Unfit(format!("the component does not fit: {e:#}")))?;
        Ok(CellCode { pre })
    }
}

/// What is wrong with the hooks, if anything.
fn unfit_hooks(faults: &HookFaults) -> Vec<String> {
    let reason = |what: &str, which: &[&str]| {
        format!(
            "the component {what} {} of {}: build it against the world `model` in \
             wit/inference.wit",
            which.join(", "),
            crate::hooks::INTERFACE,
        )
    };
    let mut reasons = Vec::new();
    if !faults.missing.is_empty() {
        reasons.push(reason("does not export", &faults.missing));
    }
    if !faults.ill_typed.is_empty() {
        reasons.push(reason("exports with other types", &faults.ill_typed));
    }
    reasons
}

/// The one place where the engine is configured: compiled code is only valid for these settings.
pub(crate) fn engine_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        // For native debuggers only, and registering it slows down each load and each unwind.
        .native_unwind_info(false);
    config
}

fn engine_error(error: wasmtime::Error) -> SandboxError {
    SandboxError::Engine(format!("{error:#}"))
}
