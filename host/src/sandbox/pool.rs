//! The cells of one model: how many there may be, and who has them.
//!
//! A cell that has answered goes back and serves the next request; the most recently used one goes
//! out first, so that its memory is still in the processor's caches. When none is free a new one is
//! made, up to the limit, which costs an instantiation and a run of `model_fn`. Beyond that, or if
//! the memory budget has no room for another, requests wait, but no more than [`QUEUE`] of them and
//! none longer than half of its time: one that gets its cell at the last moment would be ended
//! half-way, and its cell with it, for nothing.
//!
//! [`Lease`] is the only way to a cell. Only [`Lease::invoke`] that ended well puts the cell back;
//! dropping a lease in any other way drops the cell.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::cell::{Cell, CellError, CellSpec, HookFault, Invocation};
use super::{CellCode, Sandbox};
use crate::budget::{Account, NoRoom};
use crate::hooks::Request;

/// Requests that may wait for a cell of one model. When a cold model is ready, all that waited for it
/// come at once. What their bodies hold is bounded by `--request-memory`.
const QUEUE: usize = 1000;

/// The cells of one model.
pub struct CellPool {
    sandbox: Arc<Sandbox>,
    code: CellCode,
    spec: CellSpec,
    idle: Mutex<Vec<Cell>>,
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
            idle: Mutex::new(vec![first]),
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
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait(deadline).await?,
        };
        Ok(Lease {
            cell: self.cell(deadline).await?,
            pool: self.clone(),
            _permit: permit,
        })
    }

    /// An idle cell or a new one, for somebody who has a permit.
    async fn cell(&self, deadline: Instant) -> Result<Cell, LeaseError> {
        loop {
            // Before anything is tried, so that nothing that happens meanwhile is missed.
            let changed = self.spec.account.budget().changed();
            let idle = self.lock().pop();
            if let Some(cell) = idle {
                return Ok(cell);
            }
            match Cell::start(&self.sandbox, &self.code, &self.spec, deadline).await {
                Ok(cell) => return Ok(cell),
                // One of this model that comes back will do, or a place that becomes free.
                Err(CellError {
                    fault: HookFault::NoRoom(NoRoom::InUse { .. }),
                    ..
                }) => timeout_at(half_time(deadline), changed)
                    .await
                    .map_err(|_| LeaseError::Busy)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn wait(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, LeaseError> {
        let _place = self.queue.try_acquire().map_err(|_| LeaseError::Busy)?;
        let until = half_time(deadline);
        match timeout_at(until, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed, so this is the end of the wait.
            _ => Err(LeaseError::Busy),
        }
    }

    /// What the cells hold now.
    pub fn usage(&self) -> CellUsage {
        let idle = self.lock().len();
        let busy = self.max_cells - self.permits.available_permits();
        CellUsage {
            cells: idle + busy,
            idle,
            bytes: self.spec.account.held(),
        }
    }

    /// Requests that wait for a cell.
    pub fn queued(&self) -> usize {
        QUEUE.saturating_sub(self.queue.available_permits())
    }

    /// The account that the cells are charged to.
    pub fn account(&self) -> &Arc<Account> {
        &self.spec.account
    }

    /// Lets go of idle cells that are more than the model needs to answer at once: all but one, or
    /// all if others are busy. Returns whether there were any.
    pub fn trim(&self) -> bool {
        let extra = {
            let mut idle = self.lock();
            let keep = self.spare_from(idle.len());
            idle.split_off(keep)
        };
        !extra.is_empty()
    }

    /// Bytes that [`CellPool::trim`] would give back.
    pub fn spare_bytes(&self) -> u64 {
        let idle = self.lock();
        let keep = self.spare_from(idle.len());
        idle.iter().skip(keep).map(Cell::charged).sum()
    }

    /// How many of `idle` cells are to be kept.
    fn spare_from(&self, idle: usize) -> usize {
        let busy = self.max_cells - self.permits.available_permits();
        idle.min(usize::from(busy == 0))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Cell>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cell, lent for one request.
pub struct Lease {
    pool: Arc<CellPool>,
    cell: Cell,
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
            self.pool.spec.account.budget().notify();
        }
        result
    }
}

/// Half-way from now to `deadline`.
fn half_time(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}
