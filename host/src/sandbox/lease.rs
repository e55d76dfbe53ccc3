//! A cell, lent for one request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::cell::{Cell, Invocation};
use super::fault::{CellError, HookFault};
use super::lanes;
use super::places::Place;
use super::pool::CellPool;
use crate::hooks::{Hook, Request};

/// A cell, lent for one request.
pub struct Lease {
    cell: Cell,
    _counted: Leased,
    pool: Arc<CellPool>,
    // After `cell`, so that a dropped cell's memory is free before another one may be made.
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn new(
        cell: Cell,
        pool: Arc<CellPool>,
        (place, permit): (Place, OwnedSemaphorePermit),
    ) -> Self {
        Self {
            cell,
            _counted: Leased::count(&pool),
            pool,
            _place: place,
            _permit: permit,
        }
    }

    /// Serves one request. The cell's end is that of its memory, but for a reused one that can serve
    /// another request.
    ///
    /// # Errors
    ///
    /// Any [`HookFault`].
    pub async fn invoke(
        self,
        request: Request,
        deadline: Instant,
    ) -> Result<Invocation, CellError> {
        let (mark, sandbox) = (self.cell.long_mark(), self.pool.sandbox().clone());
        let answer = lanes::run(self.call(request, deadline), &mark, sandbox.long()).await;
        answer.unwrap_or_else(|| Err(closing(Hook::InputFn)))
    }

    async fn call(mut self, request: Request, deadline: Instant) -> Result<Invocation, CellError> {
        let pool = &self.pool;
        let result = self
            .cell
            .invoke(pool.sandbox(), pool.spec(), &request, deadline)
            .await;
        let usable = result.as_ref().err().is_none_or(CellError::cell_is_usable);
        if usable && self.cell.was_started() {
            pool.take_back(self.cell);
        }
        result
    }
}

/// The threads of long calls are gone.
pub(super) fn closing(hook: Hook) -> CellError {
    let fault = HookFault::Start("the host is stopping".into());
    CellError { hook, fault }
}

/// Counts a cell as lent out, as long as it lives.
struct Leased(Arc<CellPool>);

impl Leased {
    fn count(pool: &Arc<CellPool>) -> Self {
        pool.leased().fetch_add(1, Ordering::Relaxed);
        Self(pool.clone())
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.0.leased().fetch_sub(1, Ordering::Relaxed);
    }
}
