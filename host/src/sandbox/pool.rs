//! The cells of one model: how many there may be, and who has them.
//!
//! A cell that has answered goes back and serves the next request; the most recently used one goes
//! out first, so that its memory is still in the processor's caches. When none is free a new one is
//! made, up to the limit, which costs an instantiation and a run of `model_fn`. Beyond that,
//! requests wait until their deadline.
//!
//! [`Lease`] is the only way to a cell. Only [`Lease::invoke`] that ended well puts the cell back;
//! dropping a lease in any other way drops the cell.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::cell::{Cell, CellError, CellSpec, Invocation};
use super::{CellCode, Sandbox};
use crate::hooks::Request;

/// The cells of one model.
pub struct CellPool {
    sandbox: Arc<Sandbox>,
    code: CellCode,
    spec: CellSpec,
    idle: Mutex<Vec<Cell>>,
    permits: Arc<Semaphore>,
}

/// Why no cell could be leased.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// All cells were busy until the deadline.
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
        }))
    }

    /// Lends a cell, waiting for one until `deadline`.
    pub async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, LeaseError> {
        let acquired = timeout_at(deadline, self.permits.clone().acquire_owned()).await;
        // The semaphore is never closed, so the inner error does not happen; busy is what it means.
        let Ok(Ok(permit)) = acquired else {
            return Err(LeaseError::Busy);
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
