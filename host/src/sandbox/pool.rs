//! The cells of one model: how many there may be, and who has them.
//!
//! A cell that has answered goes back and serves the next request; the most recently used one goes
//! out first, so that its memory is still in the processor's caches. When none is free a new one is
//! made, up to the limit, which costs an instantiation and a run of `model_fn`. Beyond that,
//! requests wait, but no more than [`QUEUE`] of them and none longer than half of its time: one that
//! gets its cell at the last moment would be ended half-way, and its cell with it, for nothing.
//!
//! [`Lease`] is the only way to a cell. Only [`Lease::invoke`] that ended well puts the cell back;
//! dropping a lease in any other way drops the cell.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::cell::{Cell, CellError, CellSpec, Invocation};
use super::{CellCode, Sandbox};
use crate::hooks::Request;

/// Requests that may wait for a cell of one model, as multi-model-server's job queue has it.
const QUEUE: usize = 100;

/// The cells of one model.
pub struct CellPool {
    sandbox: Arc<Sandbox>,
    code: CellCode,
    spec: CellSpec,
    idle: Mutex<Vec<Cell>>,
    permits: Arc<Semaphore>,
    /// As many as may wait.
    queue: Semaphore,
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
        let idle = self.lock().pop();
        let cell = match idle {
            Some(cell) => cell,
            None => Cell::start(&self.sandbox, &self.code, &self.spec, deadline).await?,
        };
        Ok(Lease {
            pool: self.clone(),
            cell,
            _permit: permit,
        })
    }

    async fn wait(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, LeaseError> {
        let _place = self.queue.try_acquire().map_err(|_| LeaseError::Busy)?;
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / 2;
        match timeout_at(until, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed, so this is the end of the wait.
            _ => Err(LeaseError::Busy),
        }
    }

    /// Bytes of machine code that the cells share.
    pub fn code_bytes(&self) -> usize {
        self.code.code_bytes()
    }

    /// Cells that wait for a request, and the bytes of their linear memories.
    pub fn idle(&self) -> (usize, usize) {
        let idle = self.lock();
        (idle.len(), idle.iter().map(Cell::memory).sum())
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
        }
        result
    }
}
