//! A cell: one store and one instance of a model's component.
//!
//! [`Cell::start`] instantiates the component and runs `model_fn`; after that the cell serves
//! requests, one at a time. A cell whose call failed in any way but an error returned by a hook is
//! broken ([`CellError::cell_is_usable`]) and must be dropped. A future of a cell that is dropped
//! before it is done (a caller gone, a deadline) leaves the guest in the middle of a call: that cell
//! must be dropped too. [`super::Lease`] sees to both.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::time::{Instant, timeout_at};
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::random::WasiRandomCtx;
use wasmtime_wasi::{FsPerms, I32Exit, ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::capabilities::DeniedCall;
use super::guest_log::{GuestLog, Stream, printable};
use super::limits::{CellLimits, Refusal};
use super::{CellCode, Sandbox};
use crate::budget::{Account, CELL_BYTES, NoRoom};
use crate::hooks::{self, GuestError, GuestModel, Hook, HookTimes, Payload, Request};

/// Handles that a guest may hold at a time (open files, streams, timers). An open file is one of the
/// host's too, of which it has a few thousand for all cells and connections.
const HANDLES: usize = 256;

/// Random bytes that a guest may ask for at once: the host makes them without a break.
const RANDOM_BYTES: u64 = 64 * 1024;

/// The longest text of a guest's error that reaches a caller, in characters. SageMaker shows at
/// most about 2,000 characters of a container's answer.
const ERROR_TEXT: usize = 1024;

/// What the cells of one model have in common.
#[derive(Clone)]
pub struct CellSpec {
    /// The model's name, for log lines.
    pub model: Arc<str>,
    /// The directory that the guest sees, read-only, at [`hooks::MODEL_DIR`].
    pub model_dir: PathBuf,
    /// Bytes of all linear memories together.
    pub memory_limit: usize,
    /// Bytes of stdout and stderr together that are logged for each request.
    pub log_limit: usize,
    /// What the cells hold of the memory budget.
    pub account: Arc<Account>,
}

/// The result of the three hooks of a request.
#[derive(Debug)]
pub struct Invocation {
    /// What goes back to the caller.
    pub payload: Payload,
    /// How long each hook took.
    pub times: HookTimes,
}

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
    /// The guest asked for more memory than a cell may hold, and ended.
    #[error("needed more than the {} of memory that a cell may hold", bytesize::ByteSize(*.limit as u64))]
    OutOfMemory {
        /// Bytes that a cell may hold.
        limit: usize,
    },
    /// The host's memory budget had no room for the cell, or for what it asked for.
    #[error("had no memory: {0}")]
    NoRoom(NoRoom),
    /// The host itself has no memory or address space left for the cell.
    #[error("could not run: the host is out of memory or of mappings (vm.max_map_count)")]
    HostOutOfMemory,
    /// The deadline passed.
    #[error("did not finish in time")]
    Deadline,
    /// The host could not make the cell.
    #[error("could not start: {0}")]
    Start(String),
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

/// What the host keeps for a cell.
pub(super) struct CellState {
    table: ResourceTable,
    wasi: WasiCtx,
    limits: CellLimits,
}

impl CellState {
    pub(super) fn random(&mut self) -> &mut WasiRandomCtx {
        self.wasi.random()
    }
}

impl WasiView for CellState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// One live sandbox.
pub struct Cell {
    store: Store<CellState>,
    guest: GuestModel,
    log: GuestLog,
    /// The hook that runs now, or ran last.
    hook: Hook,
}

impl Cell {
    /// Makes a cell and runs `model_fn` in it.
    ///
    /// # Errors
    ///
    /// Any [`HookFault`], in [`Hook::ModelFn`].
    pub async fn start(
        sandbox: &Sandbox,
        code: &CellCode,
        spec: &CellSpec,
        deadline: Instant,
    ) -> Result<Self, CellError> {
        let hook = Hook::ModelFn;
        let log = GuestLog::new(spec.model.clone(), spec.log_limit);
        let failed = |fault| CellError { hook, fault };
        let charge = spec
            .account
            .charge(CELL_BYTES)
            .map_err(|no_room| failed(HookFault::NoRoom(no_room)))?;
        let limits = CellLimits::new(spec.memory_limit, charge);
        let mut store = new_store(sandbox, spec, limits, &log).map_err(|e| {
            failed(HookFault::Start(format!(
                "the model's directory cannot be opened: {e}"
            )))
        })?;
        let started = timeout_at(deadline, async {
            let guest = code.pre.instantiate_async(&mut store).await?;
            let answer = guest
                .modelcell_inference_hooks()
                .call_model_fn(&mut store, hooks::MODEL_DIR)
                .await?;
            Ok::<_, wasmtime::Error>((guest, answer))
        })
        .await;
        let fault = match started {
            Ok(Ok((guest, Ok(())))) => {
                log.finish();
                return Ok(Self {
                    store,
                    guest,
                    log,
                    hook,
                });
            }
            Ok(Ok((_, Err(error)))) => returned(&mut store, error),
            Ok(Err(error)) => fault_of(&mut store, &error),
            Err(_) => HookFault::Deadline,
        };
        report(spec, hook, &fault, log.finish());
        Err(CellError { hook, fault })
    }

    /// Runs `input_fn`, `predict_fn` and `output_fn`.
    ///
    /// # Errors
    ///
    /// Any [`HookFault`] but [`HookFault::Start`], with the hook in which it happened.
    pub async fn invoke(
        &mut self,
        spec: &CellSpec,
        request: &Request,
        deadline: Instant,
    ) -> Result<Invocation, CellError> {
        // A refusal that the guest coped with says nothing about this request.
        self.store.data_mut().limits.take_refused();
        // The last deadline may be long past, which would make the guest yield at once.
        self.store.set_epoch_deadline(1);
        let fault = match timeout_at(deadline, self.run_hooks(request)).await {
            Ok(Ok(Ok(invocation))) => {
                self.log.finish();
                return Ok(invocation);
            }
            Ok(Ok(Err(error))) => returned(&mut self.store, error),
            Ok(Err(error)) => fault_of(&mut self.store, &error),
            Err(_) => HookFault::Deadline,
        };
        report(spec, self.hook, &fault, self.log.finish());
        Err(CellError {
            hook: self.hook,
            fault,
        })
    }

    /// Bytes that the cell holds of the memory budget.
    pub fn charged(&self) -> u64 {
        self.store.data().limits.charged()
    }

    async fn run_hooks(
        &mut self,
        request: &Request,
    ) -> wasmtime::Result<Result<Invocation, GuestError>> {
        let hooks = self.guest.modelcell_inference_hooks();
        let store = &mut self.store;
        let mut times = HookTimes::default();

        self.hook = Hook::InputFn;
        let begin = Instant::now();
        let input = match hooks.call_input_fn(&mut *store, request).await? {
            Ok(input) => input,
            Err(error) => return Ok(Err(error)),
        };
        times.input_fn = begin.elapsed();

        self.hook = Hook::PredictFn;
        let begin = Instant::now();
        let prediction = match hooks.call_predict_fn(&mut *store, input).await? {
            Ok(prediction) => prediction,
            Err(error) => return Ok(Err(error)),
        };
        times.predict_fn = begin.elapsed();

        self.hook = Hook::OutputFn;
        let begin = Instant::now();
        let accept = request.accept.as_deref();
        let payload = match hooks.call_output_fn(store, prediction, accept).await? {
            Ok(payload) => payload,
            Err(error) => return Ok(Err(error)),
        };
        times.output_fn = begin.elapsed();
        Ok(Ok(Invocation { payload, times }))
    }
}

fn new_store(
    sandbox: &Sandbox,
    spec: &CellSpec,
    limits: CellLimits,
    log: &GuestLog,
) -> wasmtime::Result<Store<CellState>> {
    let wasi = WasiCtx::builder()
        .stdout(log.stream(Stream::Stdout))
        .stderr(log.stream(Stream::Stderr))
        .max_random_size(RANDOM_BYTES)
        .preopened_dir(&spec.model_dir, hooks::MODEL_DIR, FsPerms::ReadOnly)?
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES);
    let state = CellState {
        table,
        wasi,
        limits,
    };
    let mut store = Store::new(sandbox.engine(), state);
    store.limiter(|state| &mut state.limits);
    store.set_epoch_deadline(1);
    // tokio's own yield lets sockets and timers be looked at before the guest goes on; a plain
    // wake-up would put the guest back in the queue ahead of them.
    store.epoch_deadline_callback(|_| {
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    Ok(store)
}

/// What an error that a hook returned stands for: a guest may report so that it was refused memory.
fn returned(store: &mut Store<CellState>, error: GuestError) -> HookFault {
    match (store.data_mut().limits.take_refused(), &error) {
        (Some(Refusal::NoRoom(no_room)), GuestError::Failed(_)) => HookFault::NoRoom(no_room),
        _ => HookFault::Returned(error),
    }
}

/// Why a call into the guest ended with an error that no hook returned.
fn fault_of(store: &mut Store<CellState>, error: &wasmtime::Error) -> HookFault {
    let limits = &mut store.data_mut().limits;
    match limits.take_refused() {
        Some(Refusal::Limit) => {
            return HookFault::OutOfMemory {
                limit: limits.memory_limit(),
            };
        }
        Some(Refusal::NoRoom(no_room)) => return HookFault::NoRoom(no_room),
        None => {}
    }
    if error.chain().any(is_out_of_memory) {
        return HookFault::HostOutOfMemory;
    }
    HookFault::Trapped(if let Some(denied) = error.downcast_ref::<DeniedCall>() {
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

/// Whether the kernel refused memory or addresses. wasmtime reports it as rustix does.
fn is_out_of_memory(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    error.downcast_ref::<Errno>() == Some(&Errno::NOMEM)
        || io.is_some_and(|e| e.kind() == std::io::ErrorKind::OutOfMemory)
}

/// Logs what went wrong. An error that blames the caller is no fault of the model.
fn report(spec: &CellSpec, hook: Hook, fault: &HookFault, last_stderr: Option<String>) {
    match fault {
        HookFault::Returned(
            GuestError::InvalidInput(_)
            | GuestError::UnsupportedContentType(_)
            | GuestError::UnsupportedAccept(_),
        ) => tracing::debug!(model = &*spec.model, %hook, "{hook} {fault}"),
        HookFault::NoRoom(_) => tracing::warn!(model = &*spec.model, %hook, "{hook} {fault}"),
        _ => tracing::error!(
            model = &*spec.model,
            %hook,
            last_stderr = last_stderr.as_deref().unwrap_or(""),
            "{hook} {fault}"
        ),
    }
}
