//! The last steps of a load: from a component to cells that can answer.
//!
//! code -> first cell (`model_fn`) -> snapshot -> code for the snapshot. The last one is mostly at hand,
//! because all models of a component share it. Where it must be compiled first, requests do not wait
//! for it: until then each gets a cell in which `model_fn` runs anew.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::LoadError;
use super::code::{CodeError, CodeRegistry, Component};
use super::compile::{CompileError, Origin};
use super::model_fn_error;
use super::rewrite::Rewrite;
use crate::sandbox::{
    Cell, CellCode, CellPool, CellSpec, FreezeError, Frozen, Isolation, Sandbox, SandboxError,
    Snapshot,
};

/// How long to wait before asking the memory budget again.
const PAUSE: Duration = Duration::from_secs(1);

/// How the requests of a model are to be kept apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct IsolationWish {
    /// What is wanted.
    pub(super) isolation: Isolation,
    /// The operator wants no less.
    pub(super) strict: bool,
}

/// The code that `model_fn` is to run in.
pub(super) struct FirstCode {
    pub(super) code: Arc<CellCode>,
    pub(super) origin: Origin,
    isolation: Isolation,
    /// Why no snapshot can be taken, if one is wanted.
    unfit: Option<String>,
}

/// Makes the cells of models.
pub(super) struct CellMaker {
    sandbox: Arc<Sandbox>,
    registry: Arc<CodeRegistry>,
}

impl CellMaker {
    pub(super) fn new(sandbox: Arc<Sandbox>, registry: CodeRegistry) -> Self {
        Self {
            sandbox,
            registry: Arc::new(registry),
        }
    }

    /// The component's code, prepared for a snapshot if one is wanted.
    pub(super) async fn code(
        &self,
        component: &Component,
        wish: IsolationWish,
        deadline: Instant,
    ) -> Result<FirstCode, LoadError> {
        let code = self.try_code(component, wish.isolation);
        timeout_at(deadline, code)
            .await
            .map_err(|_| LoadError::Deadline("compiling the component"))?
    }

    async fn try_code(
        &self,
        component: &Component,
        isolation: Isolation,
    ) -> Result<FirstCode, LoadError> {
        let mut unfit = None;
        if isolation == Isolation::Request {
            match self.registry.get(component, Rewrite::Instrument).await {
                Ok((code, origin)) => {
                    return Ok(FirstCode {
                        code,
                        origin,
                        isolation,
                        unfit,
                    });
                }
                Err(CodeError::Compile(CompileError::Rewrite(reason))) => unfit = Some(reason),
                Err(error) => return Err(error.into()),
            }
        }
        let (code, origin) = self.registry.get(component, Rewrite::Plain).await?;
        Ok(FirstCode {
            code,
            origin,
            isolation,
            unfit,
        })
    }

    /// Runs `model_fn` and freezes what it left.
    pub(super) async fn start(
        &self,
        first: FirstCode,
        component: Component,
        spec: CellSpec,
        max_cells: usize,
        wish: IsolationWish,
        deadline: Instant,
    ) -> Result<Arc<CellPool>, LoadError> {
        let mut cell = Cell::start(&self.sandbox, &first.code, &spec, deadline)
            .await
            .map_err(model_fn_error)?;
        let snapshot = match (first.isolation, first.unfit) {
            (Isolation::Model, _) => None,
            (Isolation::Request, Some(reason)) => Some(Err(reason)),
            (Isolation::Request, None) => match cell.freeze(&spec).await {
                Ok(snapshot) => Some(Ok(snapshot)),
                Err(FreezeError::Unfit(reason)) => Some(Err(reason)),
                Err(FreezeError::NoRoom(no_room)) => return Err(no_room.into()),
            },
        };
        let account = spec.account.clone();
        let (sandbox, code) = (self.sandbox.clone(), first.code);
        let pool = CellPool::new(sandbox, code, spec, max_cells, first.isolation, cell);
        match snapshot {
            None => {}
            Some(Err(reason)) => pool.without_snapshot(&reason, wish.strict),
            Some(Ok(snapshot)) => {
                let thawing = Thawing {
                    registry: self.registry.clone(),
                    component,
                    rewrite: Rewrite::Freeze(snapshot.globals.clone()),
                    snapshot,
                    account,
                };
                thawing.begin(&pool, wish.strict).await?;
            }
        }
        Ok(pool)
    }
}

/// A snapshot on its way to the code for it.
struct Thawing {
    registry: Arc<CodeRegistry>,
    component: Component,
    rewrite: Rewrite,
    snapshot: Snapshot,
    account: Arc<crate::budget::Account>,
}

impl Thawing {
    /// Has `pool` start from the snapshot: now, or when its code is compiled.
    async fn begin(self, pool: &Arc<CellPool>, strict: bool) -> Result<(), LoadError> {
        let compiled = self.registry.get_compiled(&self.component, &self.rewrite);
        match compiled.await? {
            Some(code) => self.end(pool, code),
            None => {
                let pool = Arc::downgrade(pool);
                tokio::spawn(self.compile(pool, strict));
            }
        }
        Ok(())
    }

    async fn compile(self, pool: Weak<CellPool>, strict: bool) {
        loop {
            let rewrite = self.rewrite.clone();
            let result = self.registry.get(&self.component, rewrite).await;
            // A model that is gone needs no code.
            let Some(pool) = pool.upgrade() else { return };
            match result {
                Ok((code, _)) => return self.end(&pool, code),
                Err(CodeError::Link(SandboxError::NoRoom(_))) => {}
                Err(error) => {
                    let reason = LoadError::from(error).to_string();
                    return pool.without_snapshot(&reason, strict);
                }
            }
            drop(pool);
            sleep(PAUSE).await;
        }
    }

    fn end(self, pool: &CellPool, code: Arc<CellCode>) {
        let Snapshot { image, charge, .. } = self.snapshot;
        pool.start_from(Frozen::new(code, image, charge, self.account));
    }
}
