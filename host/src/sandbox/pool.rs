//! The cells of one model: how many there may be, and who has them.
//!
//! A cell that has answered goes back and serves the next request; the most recently used one goes
//! out first, so that its memory is still in the processor's caches. When none is free a new one is
//! made, up to the limit, which costs an instantiation and a run of `model_fn`. Beyond that, or if
//! the memory budget has no room for another, requests wait, but no more than [`QUEUE`] of them and
//! none longer than half of its time.
//!
//! [`Lease`] is the only way to a cell. Only [`Lease::invoke`] that ended well puts the cell back;
//! dropping a lease in any other way drops the cell.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::cell::{Cell, CellError, CellSpec, HookFault, Invocation};
use super::{CellCode, Sandbox};
use crate::budget::NoRoom;
use crate::hooks::{Hook, Request};

/// Requests that may wait for a cell of one model. When a cold model is ready, all that waited for it
/// come at once. What their bodies hold is bounded by `--request-memory`.
const QUEUE: usize = 1000;

/// Pauses between two looks for a cell when there is no room for another one.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// The cells of one model.
pub struct CellPool {
    sandbox: Arc<Sandbox>,
    code: CellCode,
    spec: CellSpec,
    idle: Mutex<Vec<Cell>>,
    /// Cells that are lent out.
    leased: AtomicUsize,
    /// Bytes of the first cell, which the next one will need as well.
    cell_bytes: u64,
    max_cells: usize,
    permits: Arc<Semaphore>,
    /// As many as may wait.
    queue: Semaphore,
}

/// What a model holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellUsage {
    /// Cells, busy ones included.
    pub cells: usize,
    /// Cells that wait for a request.
    pub idle: usize,
    /// Bytes of the linear memories and tables of all cells, and what the host keeps for them.
    pub bytes: u64,
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
    /// Makes the pool and its first cell, so that a model whose `model_fn` fails never counts as
    /// loaded.
    pub async fn start(
        sandbox: Arc<Sandbox>,
        code: CellCode,
        spec: CellSpec,
        max_cells: usize,
        deadline: Instant,
    ) -> Result<Arc<Self>, CellError> {
        let first = Cell::start(&sandbox, &code, &spec, deadline).await?;
        Ok(Arc::new(Self {
            sandbox,
            code,
            spec,
            cell_bytes: first.charged(),
            idle: Mutex::new(vec![first]),
            leased: AtomicUsize::new(0),
            max_cells,
            permits: Arc::new(Semaphore::new(max_cells)),
            queue: Semaphore::new(QUEUE),
        }))
    }

    /// Lends a cell for a request that must be done at `deadline`.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Busy`], or why a further cell could not be made.
    pub async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, LeaseError> {
        // One that gets its cell later would be ended half-way, and its cell with it, for nothing.
        let until = half_time(deadline);
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait(until).await?,
        };
        let cell = self.cell(deadline, until).await?;
        Ok(Lease {
            cell,
            _counted: Leased::count(self),
            pool: self.clone(),
            _permit: permit,
        })
    }

    /// An idle cell or a new one, for somebody who has a permit.
    async fn cell(&self, deadline: Instant, until: Instant) -> Result<Cell, LeaseError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let idle = self.lock().pop();
            if let Some(cell) = idle {
                return Ok(cell);
            }
            let error = match self.new_cell(deadline).await {
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

    /// Another cell. Room is asked for all at once, before anything is made.
    async fn new_cell(&self, deadline: Instant) -> Result<Cell, CellError> {
        match self.spec.account.charge(self.cell_bytes) {
            Ok(room) => drop(room),
            Err(no_room) => {
                return Err(CellError {
                    hook: Hook::ModelFn,
                    fault: HookFault::NoRoom(no_room),
                });
            }
        }
        Cell::start(&self.sandbox, &self.code, &self.spec, deadline).await
    }

    async fn wait(&self, until: Instant) -> Result<OwnedSemaphorePermit, LeaseError> {
        let _place = self.queue.try_acquire().map_err(|_| LeaseError::Busy)?;
        match timeout_at(until, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed, so this is the end of the wait.
            _ => Err(LeaseError::Busy),
        }
    }

    /// What the cells hold now.
    pub fn usage(&self) -> CellUsage {
        let idle = self.lock().len();
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Cell>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cell, lent for one request.
pub struct Lease {
    cell: Cell,
    _counted: Leased,
    pool: Arc<CellPool>,
    // After `cell`, so that a dropped cell's memory is free before another one may be made.
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Serves one request, and gives the cell back if it can serve another.
    pub async fn invoke(
        mut self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Invocation, CellError> {
        let result = self.cell.invoke(&self.pool.spec, request, deadline).await;
        if result.as_ref().err().is_none_or(CellError::cell_is_usable) {
            self.pool.lock().push(self.cell);
        }
        result
    }
}

/// Counts a cell as lent out, as long as it lives.
struct Leased(Arc<CellPool>);

impl Leased {
    fn count(pool: &Arc<CellPool>) -> Self {
        pool.leased.fetch_add(1, Ordering::Relaxed);
        Self(pool.clone())
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.0.leased.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Half-way from now to `deadline`.
fn half_time(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}
