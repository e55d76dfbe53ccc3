//! The sandbox: one engine for all cells, what cells may call, and how a cell is made.
//!
//! Lifecycle. A [`Sandbox`] lives as long as the process. [`Sandbox::link`] turns a compiled
//! component into [`CellCode`], which is shared by all cells of all models that have the component. A
//! [`Cell`] is one store and one instance; it ends when it is dropped, which frees its memory whatever
//! the guest was doing. A [`Snapshot`] is what `model_fn` left in a cell; [`Frozen`], a snapshot with
//! the code for it, makes further cells in microseconds. [`CellPool`] lends the cells of one model.
//! Nothing is shared between the cells of different models but the engine and the code.
//!
//! Time. A thread advances the engine's epoch every few milliseconds. At each tick a running guest
//! yields to the other tasks of its thread, and its deadline (a timer like any other) can end it. One
//! that goes on is taken over to threads of lower priority (`lanes`), so that it holds up nobody.

mod capabilities;
mod cell;
mod counts;
mod fault;
mod guest_log;
mod isolation;
mod lanes;
mod lease;
mod limits;
mod memory;
mod places;
mod pool;
mod signature;
mod snapshot;
mod state;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, OptLevel};

use crate::background::BackgroundThreads;
use crate::budget::{Account, Budget, Charge, NoRoom};
use crate::hooks::GuestModelPre;
pub use capabilities::{Capability, Import, imports_of};
pub use cell::{Cell, CellSpec, Invocation};
use counts::Counts;
pub use fault::{CellError, HookFault};
pub use guest_log::printable;
pub use isolation::{Isolation, Outcome};
pub use lease::Lease;
pub use limits::{Breach, LimitKind};
use memory::{CellMemories, Stacks};
pub use memory::{Extent, Image, PAGE};
use places::Places;
pub use pool::{CellPool, CellUsage, IsolationState, LeaseError};
pub use signature::{HookFaults, hook_faults};
pub use snapshot::{ACCESS, FreezeError, Frozen, GlobalValue, Globals, Snapshot};
use state::CellState;

/// How long a guest runs before it lets other tasks of its thread go on.
const TICK: Duration = Duration::from_millis(2);

/// Stack of a guest, in bytes. Deeper recursion traps.
const GUEST_STACK: usize = 1 << 20;

/// Stack of the fiber that runs a guest, in bytes: the guest's own and what the host needs on top.
const FIBER_STACK: usize = GUEST_STACK + (1 << 20);

/// The engine and what its cells may call.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<CellState>,
    places: Arc<Places>,
    breaches: Counts<LimitKind>,
    outcomes: Counts<Outcome>,
    /// Where calls go on that are not short.
    long: BackgroundThreads,
}

/// A compiled component, linked to what it may call: ready to make cells of.
pub struct CellCode {
    pre: GuestModelPre<CellState>,
    // After the code, whose bytes it gives back.
    charge: Charge,
}

impl CellCode {
    /// Bytes of machine code and data that all cells share.
    pub fn bytes(&self) -> u64 {
        self.charge.bytes()
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
    /// The memory budget has no room for the code.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl Sandbox {
    /// Starts the engine and the thread that advances its epoch, for `cells` cells that run at a time.
    /// The thread ends with the engine.
    pub fn new(cells: usize) -> Result<Self, SandboxError> {
        let mut config = engine_config();
        config
            .with_host_memory(Arc::new(CellMemories))
            .with_host_stack(Stacks::new());
        let engine = Engine::new(&config).map_err(engine_error)?;
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
        Ok(Self {
            engine,
            linker,
            places: Places::new(cells),
            breaches: Counts::default(),
            outcomes: Counts::default(),
            long: BackgroundThreads::start("long").map_err(SandboxError::Engine)?,
        })
    }

    /// The engine, for compiling.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How often guests went beyond each limit, by the limit's name.
    pub fn breaches_by_limit(&self) -> Vec<(&'static str, u64)> {
        self.breaches.read()
    }

    /// How requests came by their cells, by the outcome's name.
    pub fn leases_by_outcome(&self) -> Vec<(&'static str, u64)> {
        self.outcomes.read()
    }

    fn breaches(&self) -> &Counts<LimitKind> {
        &self.breaches
    }

    fn outcomes(&self) -> &Counts<Outcome> {
        &self.outcomes
    }

    fn long(&self) -> &Handle {
        self.long.handle()
    }

    fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Links a component to what cells offer, and checks that it exports the four hooks. Its code is
    /// charged to `budget`.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Unfit`] names the imports that no cell offers or the hooks that are missing.
    pub fn link(
        &self,
        component: &Component,
        budget: &Arc<Budget>,
    ) -> Result<CellCode, SandboxError> {
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
        let range = component.image_range();
        let bytes = range.end.addr().saturating_sub(range.start.addr());
        let charge = Account::new(budget).charge(bytes as u64)?;
        Ok(CellCode { pre, charge })
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
        // What a memory holds in the beginning is the host's business (`memory`).
        .memory_init_cow(false)
        .memory_reservation(memory::RESERVED as u64)
        .memory_guard_size(memory::GUARD as u64)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        // For native debuggers only, and registering it slows down each load and each unwind.
        .native_unwind_info(false);
    config
}

fn engine_error(error: wasmtime::Error) -> SandboxError {
    SandboxError::Engine(format!("{error:#}"))
}
