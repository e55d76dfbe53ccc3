//! The cells of one model: how many there may be, who has them, and what they are made of.
//!
//! Under `isolation = "request"` each request gets a cell of its own, which is dropped after the
//! answer: thawed from the model's snapshot, or, until the snapshot's code is compiled, started anew by
//! a run of `model_fn`. Under `"model"` a cell that has answered goes back and serves the next request;
//! the most recently used one goes out first, so that its memory is still in the processor's caches.
//!
//! Whoever asks for a cell gets one that is ready, or one that is made, or waits, or is refused
//! ([`Outcome`]). What bounds it: cells of the model, places of the host ([`Places`]) and the memory
//! budget. No more than [`QUEUE`] requests wait, and none longer than half of its time.
//!
//! [`Lease`] is the only way to a cell. Dropping it drops the cell, whatever the guest was doing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::cell::{Cell, CellSpec};
use super::fault::{CellError, HookFault};
use super::lease::{Lease, closing};
use super::places::{ModelId, Place};
use super::snapshot::{Frozen, Snapshot};
use super::{CellCode, Isolation, Outcome, Sandbox, lanes};
use crate::budget::NoRoom;
use crate::hooks::Hook;

/// Requests that may wait for a cell of one model. When a cold model is ready, all that waited for it
/// come at once. What their bodies hold is bounded by `--request-memory`.
const QUEUE: usize = 1000;

/// Pauses between two looks for a cell when there is no room for another one.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// The cells of one model.
pub struct CellPool {
    sandbox: Arc<Sandbox>,
    spec: CellSpec,
    model: ModelId,
    source: RwLock<Source>,
    /// What cells will start from when there is code for it. Here, so that it goes with the pool.
    awaiting: Mutex<Option<Snapshot>>,
    /// Cells in which `model_fn` ran.
    idle: Mutex<Vec<Cell>>,
    /// Cells that are lent out.
    leased: AtomicUsize,
    /// Bytes of the first cell, which the next one that is started will need as well.
    cell_bytes: u64,
    max_cells: usize,
    permits: Arc<Semaphore>,
    /// As many as may wait.
    queue: Semaphore,
}

/// What cells are made of.
#[derive(Clone)]
enum Source {
    /// A snapshot; each serves one request.
    Frozen(Arc<Frozen>),
    /// A run of `model_fn`; each serves one request. With the reason if there will be no snapshot.
    Once(Arc<CellCode>, Option<Arc<str>>),
    /// A run of `model_fn`; each serves many requests. With the reason if they were not to.
    Reused(Arc<CellCode>, Option<Arc<str>>),
}

/// What a model holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellUsage {
    /// Cells, busy ones included.
    pub cells: usize,
    /// Cells, or the memories of cells, that wait for a request.
    pub idle: usize,
    /// Bytes of the linear memories and tables of all cells, and what the host keeps for them.
    pub bytes: u64,
}

/// How a model's requests are kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolationState {
    /// What holds.
    pub isolation: Isolation,
    /// Cells start from a snapshot.
    pub snapshot: bool,
    /// Why there is no snapshot, and will be none, although there was to be one.
    pub reason: Option<Arc<str>>,
}

/// Why no cell could be leased.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// All cells were busy for too long, or too many requests wait for one.
    #[error("all cells of the model are busy")]
    Busy,
    /// A further cell could not be made.
    #[error(transparent)]
    Start(#[from] CellError),
}

impl CellPool {
    /// A pool with its first cell, in which `model_fn` ran, if it can still be used; each further one
    /// will hold `cell_bytes`.
    pub fn started(
        sandbox: Arc<Sandbox>,
        code: Arc<CellCode>,
        spec: CellSpec,
        max_cells: usize,
        isolation: Isolation,
        (first, cell_bytes): (Option<Cell>, u64),
    ) -> Arc<Self> {
        let source = match isolation {
            Isolation::Request => Source::Once(code, None),
            Isolation::Model => Source::Reused(code, None),
        };
        Self::new(sandbox, source, spec, max_cells, (first, cell_bytes))
    }

    /// A pool whose cells start from a snapshot.
    pub fn frozen(
        sandbox: Arc<Sandbox>,
        frozen: Frozen,
        spec: CellSpec,
        max_cells: usize,
    ) -> Arc<Self> {
        let source = Source::Frozen(Arc::new(frozen));
        Self::new(sandbox, source, spec, max_cells, (None, 0))
    }

    fn new(
        sandbox: Arc<Sandbox>,
        source: Source,
        spec: CellSpec,
        max_cells: usize,
        (first, cell_bytes): (Option<Cell>, u64),
    ) -> Arc<Self> {
        Arc::new(Self {
            model: sandbox.places().new_model(),
            sandbox,
            spec,
            source: RwLock::new(source),
            awaiting: Mutex::default(),
            cell_bytes,
            idle: Mutex::new(first.into_iter().collect()),
            leased: AtomicUsize::new(0),
            max_cells,
            permits: Arc::new(Semaphore::new(max_cells)),
            queue: Semaphore::new(QUEUE),
        })
    }

    /// From now on, cells start from a snapshot.
    pub fn start_from(&self, frozen: Frozen) {
        self.set_source(Source::Frozen(Arc::new(frozen)));
        let started = std::mem::take(&mut *self.lock());
        drop(started);
    }

    /// Keeps a snapshot until there is code for it ([`Self::start_with`]).
    pub fn await_code(&self, snapshot: Snapshot) {
        *self.awaiting() = Some(snapshot);
    }

    /// From now on, cells start from the snapshot that waits for this code.
    pub fn start_with(&self, code: Arc<CellCode>) {
        let snapshot = self.awaiting().take();
        if let Some(snapshot) = snapshot {
            self.start_from(Frozen::new(code, snapshot, self.spec.account.clone()));
        }
    }

    /// There will be no snapshot for cells to start from, for `reason`. So they are reused, or, if that
    /// is not allowed (`strict`), `model_fn` runs for each request.
    pub fn without_snapshot(&self, reason: &str, strict: bool) {
        self.awaiting().take();
        let (Source::Once(code, _) | Source::Reused(code, _)) = self.source() else {
            return;
        };
        let model = &*self.spec.model;
        let kept = Some(reason.into());
        self.set_source(if strict {
            tracing::warn!(
                model,
                reason,
                "the model's state cannot be frozen, so model_fn runs for each request"
            );
            Source::Once(code, kept)
        } else {
            tracing::warn!(
                model,
                reason,
                "the model's state cannot be frozen, so its cells are reused (isolation = \"model\")"
            );
            Source::Reused(code, kept)
        });
    }

    /// How the model's requests are kept apart.
    pub fn isolation(&self) -> IsolationState {
        let (isolation, snapshot, reason) = match self.source() {
            Source::Frozen(_) => (Isolation::Request, true, None),
            Source::Once(_, reason) => (Isolation::Request, false, reason),
            Source::Reused(_, reason) => (Isolation::Model, false, reason),
        };
        IsolationState {
            isolation,
            snapshot,
            reason,
        }
    }

    /// The code that its cells run.
    pub fn code(&self) -> Arc<CellCode> {
        match self.source() {
            Source::Frozen(frozen) => frozen.code.clone(),
            Source::Once(code, _) | Source::Reused(code, _) => code,
        }
    }

    /// Lends a cell for a request that must be done at `deadline`.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Busy`], or why a further cell could not be made.
    pub async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, LeaseError> {
        let begin = Instant::now();
        let result = self.try_lease(deadline, begin).await;
        if let Err(LeaseError::Busy) = result {
            self.sandbox.outcomes().count(Outcome::Refused);
        }
        result
    }

    async fn try_lease(
        self: &Arc<Self>,
        deadline: Instant,
        begin: Instant,
    ) -> Result<Lease, LeaseError> {
        // One that gets its cell later would be ended half-way, and its cell with it, for nothing.
        let until = begin + deadline.saturating_duration_since(begin) / 2;
        let free = self.permits.clone().try_acquire_owned().ok();
        let free = free.and_then(|permit| Some((permit, self.sandbox.places().try_take()?)));
        let waits = free.is_none();
        let (permit, place) = match free {
            Some(both) => both,
            None => self.wait(until).await?,
        };
        let (cell, outcome) = self.cell(deadline, until).await?;
        let outcome = if waits { Outcome::Waited } else { outcome };
        self.sandbox.outcomes().count(outcome);
        Ok(Lease::new(cell, self.clone(), (place, permit)))
    }

    /// A cell for somebody who has a permit and a place.
    async fn cell(&self, deadline: Instant, until: Instant) -> Result<(Cell, Outcome), LeaseError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.ready_or_made(deadline).await {
                Ok(cell) => return Ok(cell),
                Err(error) => error,
            };
            let HookFault::NoRoom(no_room) = &error.fault else {
                return Err(error.into());
            };
            // One of this model that comes back will do. Without any, only room that others make.
            let others = self.leased.load(Ordering::Relaxed) > 0;
            if !others && !matches!(no_room, NoRoom::InUse { .. }) {
                return Err(error.into());
            }
            if Instant::now() >= until {
                return Err(LeaseError::Busy);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn ready_or_made(&self, deadline: Instant) -> Result<(Cell, Outcome), CellError> {
        let code = match self.source() {
            Source::Frozen(frozen) => {
                let (cell, warm) = Cell::thaw(&self.sandbox, &frozen, &self.spec).await?;
                let outcome = if warm { Outcome::Ready } else { Outcome::Made };
                return Ok((cell, outcome));
            }
            Source::Once(code, _) | Source::Reused(code, _) => code,
        };
        let idle = self.lock().pop();
        if let Some(cell) = idle {
            return Ok((cell, Outcome::Ready));
        }
        // Room is asked for all at once, before anything is made.
        match self.spec.account.charge(self.cell_bytes) {
            Ok(room) => drop(room),
            Err(no_room) => {
                return Err(CellError {
                    hook: Hook::ModelFn,
                    fault: HookFault::NoRoom(no_room),
                });
            }
        }
        // Seldom short.
        let (sandbox, spec) = (self.sandbox.clone(), self.spec.clone());
        let start = async move { Cell::start(&sandbox, &code, &spec, deadline).await };
        match lanes::on(self.sandbox.long(), start).await {
            Some(cell) => Ok((cell?, Outcome::Made)),
            None => Err(closing(Hook::ModelFn)),
        }
    }

    async fn wait(&self, until: Instant) -> Result<(OwnedSemaphorePermit, Place), LeaseError> {
        let _queued = self.queue.try_acquire().map_err(|_| LeaseError::Busy)?;
        let both = async {
            // First the model's own limit: only so many of its requests wait for places.
            let permit = self.permits.clone().acquire_owned().await;
            let place = self.sandbox.places().take(self.model).await;
            permit.map(|permit| (permit, place))
        };
        match timeout_at(until, both).await {
            Ok(Ok(both)) => Ok(both),
            // The semaphore is never closed, so this is the end of the wait.
            _ => Err(LeaseError::Busy),
        }
    }

    /// What the cells hold now.
    pub fn usage(&self) -> CellUsage {
        let idle = self.idle();
        CellUsage {
            cells: idle + self.leased.load(Ordering::Relaxed),
            idle,
            bytes: self.spec.account.held(),
        }
    }

    /// Requests that wait for a cell.
    pub fn queued(&self) -> usize {
        QUEUE.saturating_sub(self.queue.available_permits())
    }

    /// Lets go of idle cells that are more than the model needs to answer at once. Returns whether
    /// there were any.
    pub fn trim(&self) -> bool {
        if let Source::Frozen(frozen) = self.source() {
            let spare = self.spare(frozen.slots.idle());
            frozen.slots.release(spare);
            return spare > 0;
        }
        let extra: Vec<Cell> = {
            let mut idle = self.lock();
            let spare = self.spare(idle.len());
            // The coldest ones are at the front.
            idle.drain(..spare).collect()
        };
        !extra.is_empty()
    }

    /// Bytes that [`CellPool::trim`] would give back.
    pub fn spare_bytes(&self) -> u64 {
        if let Source::Frozen(frozen) = self.source() {
            let spare = self.spare(frozen.slots.idle());
            return spare as u64 * frozen.slots.idle_bytes();
        }
        let idle = self.lock();
        let spare = self.spare(idle.len());
        idle.iter().take(spare).map(Cell::charged).sum()
    }

    /// How many of `idle` cells are too many: all but those that somebody with a permit is about to
    /// take, and but one if no other is at work.
    fn spare(&self, idle: usize) -> usize {
        let leased = self.leased.load(Ordering::Relaxed);
        let permitted = self.max_cells - self.permits.available_permits();
        let keep = permitted
            .saturating_sub(leased)
            .max(usize::from(leased == 0));
        idle.saturating_sub(keep)
    }

    pub(super) fn spec(&self) -> &CellSpec {
        &self.spec
    }

    pub(super) fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The number of cells that are lent out.
    pub(super) fn leased(&self) -> &AtomicUsize {
        &self.leased
    }

    /// Takes a cell back, if cells are reused.
    pub(super) fn take_back(&self, cell: Cell) {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        if let Source::Reused(..) = *source {
            self.lock().push(cell);
        }
    }

    fn idle(&self) -> usize {
        match self.source() {
            Source::Frozen(frozen) => frozen.slots.idle(),
            Source::Once(..) | Source::Reused(..) => self.lock().len(),
        }
    }

    fn source(&self) -> Source {
        let source = self.source.read();
        source.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_source(&self, source: Source) {
        let mut current = self.source.write().unwrap_or_else(PoisonError::into_inner);
        *current = source;
    }

    fn awaiting(&self) -> MutexGuard<'_, Option<Snapshot>> {
        self.awaiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Cell>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
