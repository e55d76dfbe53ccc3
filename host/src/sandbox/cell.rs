//! A cell: one store and one instance of a model's component.
//!
//! [`Cell::start`] instantiates the component and runs `model_fn`. [`Cell::thaw`] makes an instance of
//! what is known to come of that, in microseconds. Either way the cell then serves requests, one at a
//! time. A cell whose call failed in any way but an error returned by a hook is broken
//! ([`CellError::cell_is_usable`]) and must be dropped. A future of a cell that is dropped before it is
//! done (a caller gone, a deadline) leaves the guest in the middle of a call: that cell must be dropped
//! too. [`super::Lease`] sees to both.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wasmtime::Store;
use wasmtime::component::Instance;

use super::fault::{CellError, HookFault};
use super::guest_log::{GuestLog, LogEnd};
use super::lanes::LongMark;
use super::limits::{CellLimits, LimitKind};
use super::memory::giving;
use super::snapshot::{FreezeError, Frozen, Snapshot};
use super::state::{CellState, new_store};
use super::{CellCode, Sandbox};
use crate::budget::{Account, CELL_BYTES};
use crate::hooks::{self, GuestError, GuestModel, Hook, HookTimes, Payload, Request};

/// What the cells of one model have in common.
#[derive(Clone)]
pub struct CellSpec {
    /// The model's name, for log lines.
    pub model: Arc<str>,
    /// The directory that the guest sees, read-only, at [`hooks::MODEL_DIR`].
    pub model_dir: Arc<Path>,
    /// Variables that the guest sees.
    pub environment: Arc<[(String, String)]>,
    /// Bytes of all linear memories together.
    pub memory_limit: usize,
    /// Bytes of strings and lists that leave the cell in one call, an answer among them.
    pub transfer_limit: usize,
    /// Bytes of stdout and stderr together that are logged for each request.
    pub log_limit: usize,
    /// The longest time for one hook of a request.
    pub hook_timeout: Duration,
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

/// One live sandbox.
pub struct Cell {
    store: Store<CellState>,
    guest: GuestModel,
    /// The instance in which `model_fn` ran, from which a snapshot can be taken.
    started: Option<Instance>,
    /// The first line that `model_fn` printed in it.
    description: Option<String>,
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
        let failed = |fault| CellError { hook, fault };
        let charge = spec
            .account
            .charge(CELL_BYTES)
            .map_err(|no_room| failed(HookFault::NoRoom(no_room)))?;
        let limits = CellLimits::new(spec.memory_limit, spec.transfer_limit, charge);
        let log = GuestLog::new(spec.model.clone(), spec.log_limit);
        let mut store = new_store(sandbox, spec, limits, &log);
        let started = timeout_at(deadline, async {
            let pre = code.pre.instance_pre();
            let instance = pre.instantiate_async(&mut store).await?;
            let guest = GuestModel::new(&mut store, &instance)?;
            let answer = guest
                .modelcell_inference_hooks()
                .call_model_fn(&mut store, hooks::MODEL_DIR)
                .await?;
            Ok::<_, wasmtime::Error>((instance, guest, answer))
        })
        .await;
        let fault = match started {
            Ok(Ok((instance, guest, Ok(())))) => {
                let description = finish(sandbox, &log).first_line;
                return Ok(Self {
                    store,
                    guest,
                    started: Some(instance),
                    description,
                    log,
                    hook,
                });
            }
            Ok(Ok((_, _, Err(error)))) => HookFault::of_returned(&mut store, error),
            Ok(Err(error)) => HookFault::of_call(&mut store, &error),
            Err(_) => HookFault::Deadline,
        };
        Err(fail(sandbox, spec, &log, failed(fault)))
    }

    /// What `model_fn` left in a cell that [`Cell::start`] made, which other cells can start from; and
    /// the cell, if it can still be used.
    pub async fn freeze(
        mut self,
        spec: &CellSpec,
    ) -> (Option<Self>, Result<Snapshot, FreezeError>) {
        let Some(instance) = self.started else {
            let thawed = "model_fn did not run in this cell";
            return (Some(self), Err(FreezeError::Unfit(thawed.into())));
        };
        // Its memory knows them by number, and another instance would not have them.
        let handles = self.store.data_mut().handles();
        if handles > 0 {
            let reason = format!(
                "model_fn left {handles} files, streams or timers open: close them, or build the \
                 model with Modelcell's guest SDK, which closes those of the standard library"
            );
            return (Some(self), Err(FreezeError::Unfit(reason)));
        }
        // The memory is passed as one list.
        self.store.set_hostcall_fuel(usize::MAX);
        let snapshot = Snapshot::take(&mut self.store, &instance, &spec.account).await;
        self.store.set_hostcall_fuel(spec.transfer_limit);
        // A trap in between is the end of the instance.
        let usable = snapshot.is_ok() || matches!(snapshot, Err(FreezeError::Kernel(_)));
        (usable.then_some(self), snapshot)
    }

    /// Makes a cell in the state that `model_fn` left, and says whether its memory was warm.
    ///
    /// # Errors
    ///
    /// [`HookFault::NoRoom`], [`HookFault::HostOutOfMemory`] or [`HookFault::Start`], in
    /// [`Hook::InputFn`].
    pub async fn thaw(
        sandbox: &Sandbox,
        frozen: &Frozen,
        spec: &CellSpec,
    ) -> Result<(Self, bool), CellError> {
        let hook = Hook::InputFn;
        let failed = |fault| CellError { hook, fault };
        let charge = spec
            .account
            .charge(CELL_BYTES)
            .map_err(|no_room| failed(HookFault::NoRoom(no_room)))?;
        let slot = frozen.slots.take();
        let (slot, warm) = slot.map_err(|error| failed(error.into()))?;
        let limits = CellLimits::new(spec.memory_limit, spec.transfer_limit, charge)
            .with_snapshot(frozen.slots.image().memory_bytes());
        let log = GuestLog::new(spec.model.clone(), spec.log_limit);
        let mut store = new_store(sandbox, spec, limits, &log);
        let mut slot = Some(slot);
        let made = {
            let mut making = pin!(frozen.code.pre.instantiate_async(&mut store));
            // The slot is laid ready for each step, because each may be on another thread.
            poll_fn(|context| giving(&mut slot, || making.as_mut().poll(context))).await
        };
        match made {
            Ok(guest) if slot.is_none() => Ok((
                Self {
                    store,
                    guest,
                    started: None,
                    description: None,
                    log,
                    hook,
                },
                warm,
            )),
            Ok(_) => {
                let unused = HookFault::Start("its snapshot has no memory".into());
                Err(fail(sandbox, spec, &log, failed(unused)))
            }
            Err(error) => {
                let fault = HookFault::of_call(&mut store, &error);
                Err(fail(sandbox, spec, &log, failed(fault)))
            }
        }
    }

    /// Runs `input_fn`, `predict_fn` and `output_fn`.
    ///
    /// # Errors
    ///
    /// Any [`HookFault`] but [`HookFault::Start`], with the hook in which it happened.
    pub async fn invoke(
        &mut self,
        sandbox: &Sandbox,
        spec: &CellSpec,
        request: &Request,
        deadline: Instant,
    ) -> Result<Invocation, CellError> {
        // A refusal that the guest coped with says nothing about this request.
        self.store.data_mut().limits.take_refused();
        // The last deadline may be long past, which would make the guest yield at once.
        self.store.set_epoch_deadline(1);
        self.store.data().long.clear();
        let fault = match self.run_hooks(spec, request, deadline).await {
            Ok(Ok(Ok(invocation))) => {
                finish(sandbox, &self.log);
                return Ok(invocation);
            }
            Ok(Ok(Err(error))) => HookFault::of_returned(&mut self.store, error),
            Ok(Err(error)) => HookFault::of_call(&mut self.store, &error),
            Err(fault) => fault,
        };
        let hook = self.hook;
        Err(fail(sandbox, spec, &self.log, CellError { hook, fault }))
    }

    /// Whether `model_fn` ran in it, and not in a cell that it was thawed from.
    pub fn was_started(&self) -> bool {
        self.started.is_some()
    }

    /// How `model_fn`, if it ran in this cell, described the model: the first line that it printed.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Set while a call goes on for longer than a tick.
    pub(super) fn long_mark(&self) -> LongMark {
        self.store.data().long.clone()
    }

    /// Bytes that the cell holds of the memory budget.
    pub fn charged(&self) -> u64 {
        self.store.data().limits.charged()
    }

    async fn run_hooks(
        &mut self,
        spec: &CellSpec,
        request: &Request,
        deadline: Instant,
    ) -> Result<wasmtime::Result<Result<Invocation, GuestError>>, HookFault> {
        let hooks = self.guest.modelcell_inference_hooks();
        let store = &mut self.store;
        let mut times = HookTimes::default();
        let mut clock = HookClock::start(spec.hook_timeout, deadline);

        self.hook = Hook::InputFn;
        let call = hooks.call_input_fn(&mut *store, request);
        let input = match clock.run(call, &mut times.input_fn).await? {
            Ok(Ok(input)) => input,
            Ok(Err(error)) => return Ok(Ok(Err(error))),
            Err(error) => return Ok(Err(error)),
        };

        self.hook = Hook::PredictFn;
        let call = hooks.call_predict_fn(&mut *store, input);
        let prediction = match clock.run(call, &mut times.predict_fn).await? {
            Ok(Ok(prediction)) => prediction,
            Ok(Err(error)) => return Ok(Ok(Err(error))),
            Err(error) => return Ok(Err(error)),
        };

        self.hook = Hook::OutputFn;
        let accept = request.accept.as_deref();
        let call = hooks.call_output_fn(store, prediction, accept);
        Ok(clock
            .run(call, &mut times.output_fn)
            .await?
            .map(|answer| answer.map(|payload| Invocation { payload, times })))
    }
}

/// Measures the hooks of a request and ends them at their deadlines.
struct HookClock {
    hook_timeout: Duration,
    deadline: Instant,
    /// When the last hook ended.
    now: Instant,
}

impl HookClock {
    fn start(hook_timeout: Duration, deadline: Instant) -> Self {
        let now = Instant::now();
        Self {
            hook_timeout,
            deadline,
            now,
        }
    }

    async fn run<T>(
        &mut self,
        hook: impl Future<Output = T>,
        time: &mut Duration,
    ) -> Result<T, HookFault> {
        let end = self.now + self.hook_timeout;
        let answer = timeout_at(self.deadline.min(end), hook).await;
        let answer = answer.map_err(|_| match end < self.deadline {
            true => HookFault::HookDeadline(self.hook_timeout),
            false => HookFault::Deadline,
        })?;
        let end = Instant::now();
        *time = end - self.now;
        self.now = end;
        Ok(answer)
    }
}

/// Ends a request's log.
fn finish(sandbox: &Sandbox, log: &GuestLog) -> LogEnd {
    let end = log.finish();
    if end.dropped > 0 {
        sandbox.breaches().count(LimitKind::Log);
    }
    end
}

/// Logs and counts what went wrong.
fn fail(sandbox: &Sandbox, spec: &CellSpec, log: &GuestLog, error: CellError) -> CellError {
    error.report(&spec.model, finish(sandbox, log).last_error_line);
    if let Some(kind) = error.fault.limit() {
        sandbox.breaches().count(kind);
    }
    error
}
