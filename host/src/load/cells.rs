//! The last steps of a load: from a component to cells that can answer.
//!
//! Either the model was loaded before, and its snapshot is in the cache: snapshot -> code for it. Or
//! all has to be done: code -> first cell (`model_fn`) -> snapshot -> code for it. The last one is
//! mostly at hand, because all models of a component share it. Where it must be compiled first,
//! requests do not wait for it: until then each gets a cell in which `model_fn` runs anew.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant as StdInstant};

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::code::{CodeError, CodeRegistry, Component};
use super::compile::{CompileError, Origin};
use super::progress::{Progress, Stage};
use super::rewrite::Rewrite;
use super::snapshots::SnapshotKey;
use super::{LoadError, Tools, internal, model_fn_error};
use crate::budget::{Account, Budget, Charge, MODEL_BYTES};
use crate::sandbox::{
    Cell, CellCode, CellPool, CellSpec, FreezeError, Frozen, Isolation, Sandbox, SandboxError,
    Snapshot,
};
use crate::workspace::Workspace;

/// Pauses between two tries to come by the code of a snapshot.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// What the cells of a model are to be: the artifact's settings within the operator's.
pub(super) struct CellPlan {
    pub(super) model: Arc<str>,
    pub(super) model_dir: Arc<Path>,
    pub(super) environment: Arc<[(String, String)]>,
    /// The digest of the artifact, if it is known.
    pub(super) artifact: Option<[u8; 32]>,
    pub(super) memory_limit: usize,
    pub(super) transfer_limit: usize,
    pub(super) log_limit: usize,
    pub(super) hook_timeout: Duration,
    pub(super) max_cells: usize,
    pub(super) isolation: Isolation,
    /// The operator wants no less than that.
    pub(super) strict: bool,
}

/// The cells of a model, and how they were come by.
pub(super) struct Made {
    pub(super) cells: Arc<CellPool>,
    pub(super) origin: Origin,
    /// When there was code for `model_fn`.
    pub(super) compiled: StdInstant,
    pub(super) charge: Charge,
    /// The first line that `model_fn` printed.
    pub(super) description: Option<String>,
}

/// Makes the cells of models.
pub(super) struct CellMaker {
    sandbox: Arc<Sandbox>,
    workspace: Arc<Workspace>,
    budget: Arc<Budget>,
    registry: Arc<CodeRegistry>,
}

/// The code that `model_fn` is to run in.
struct FirstCode {
    code: Arc<CellCode>,
    origin: Origin,
    isolation: Isolation,
    /// Why no snapshot can be taken, if one is wanted.
    unfit: Option<String>,
}

impl CellMaker {
    pub(super) fn new(tools: &Tools, budget: Arc<Budget>) -> Self {
        Self {
            sandbox: tools.sandbox.clone(),
            workspace: tools.workspace.clone(),
            registry: Arc::new(CodeRegistry::new(tools, budget.clone())),
            budget,
        }
    }

    /// The cells of a model, the first of which can answer.
    ///
    /// # Errors
    ///
    /// If the component cannot be compiled, `model_fn` fails, or there is no room.
    pub(super) async fn make(
        &self,
        plan: CellPlan,
        component: Component,
        progress: &Progress,
        deadline: Instant,
    ) -> Result<Made, LoadError> {
        let key = plan
            .artifact
            .filter(|_| plan.isolation == Isolation::Request);
        let key = key.map(|artifact| {
            let memory_limit = plan.memory_limit;
            SnapshotKey::of(component.key(), &artifact, memory_limit, &plan.environment)
        });
        if let Some(key) = &key
            && let Some(made) = self.restore(&plan, &component, key).await?
        {
            return Ok(made);
        }
        let first = timeout_at(deadline, self.first_code(&component, plan.isolation));
        let first = first
            .await
            .map_err(|_| LoadError::Deadline("compiling the component"))??;
        let (origin, compiled) = (first.origin, StdInstant::now());
        progress.enter(Stage::ModelFn);
        let (spec, charge) = self.spec(&plan, &first.code)?;
        let started = self.start(first, component, spec, &plan, key, deadline);
        let (cells, description) = started.await?;
        Ok(Made {
            cells,
            origin,
            compiled,
            charge,
            description,
        })
    }

    /// The cells of a model whose snapshot is in the cache and whose code is at hand.
    async fn restore(
        &self,
        plan: &CellPlan,
        component: &Component,
        key: &SnapshotKey,
    ) -> Result<Option<Made>, LoadError> {
        let (workspace, key) = (self.workspace.clone(), key.clone());
        let found = spawn_blocking(move || workspace.snapshots().find(&key));
        let Some(found) = found.await.map_err(internal)? else {
            return Ok(None);
        };
        let rewrite = Rewrite::Freeze(found.globals().clone());
        let Some((code, origin)) = self.registry.get_compiled(component, &rewrite).await? else {
            return Ok(None);
        };
        let compiled = StdInstant::now();
        let (spec, charge) = self.spec(plan, &code)?;
        let account = spec.account.clone();
        let description = found.description().map(str::to_owned);
        let restored = spawn_blocking(move || found.restore(&account));
        let Some(snapshot) = restored.await.map_err(internal)?? else {
            return Ok(None);
        };
        let frozen = Frozen::new(code, snapshot, spec.account.clone());
        frozen.warm_up().map_err(model_fn_error)?;
        Ok(Some(Made {
            cells: CellPool::frozen(self.sandbox.clone(), frozen, spec, plan.max_cells),
            origin,
            compiled,
            charge,
            description,
        }))
    }

    /// What all cells have in common, and what the model takes of the memory budget beside them.
    fn spec(&self, plan: &CellPlan, code: &CellCode) -> Result<(CellSpec, Charge), LoadError> {
        let variables = plan.environment.iter();
        let variables: usize = variables
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let held = MODEL_BYTES + variables as u64;
        let account = Account::beside(&self.budget, code.bytes() + held);
        let charge = account.charge(held)?;
        let spec = CellSpec {
            model: plan.model.clone(),
            model_dir: plan.model_dir.clone(),
            environment: plan.environment.clone(),
            memory_limit: plan.memory_limit,
            transfer_limit: plan.transfer_limit,
            log_limit: plan.log_limit,
            hook_timeout: plan.hook_timeout,
            account,
        };
        Ok((spec, charge))
    }

    /// The component's code, prepared for a snapshot if one is wanted.
    async fn first_code(
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

    /// Runs `model_fn` and freezes what it left. Gives the first line that it printed, too.
    async fn start(
        &self,
        first: FirstCode,
        component: Component,
        spec: CellSpec,
        plan: &CellPlan,
        key: Option<SnapshotKey>,
        deadline: Instant,
    ) -> Result<(Arc<CellPool>, Option<String>), LoadError> {
        let cell = Cell::start(&self.sandbox, &first.code, &spec, deadline)
            .await
            .map_err(model_fn_error)?;
        let cell_bytes = cell.charged();
        let description = cell.description().map(str::to_owned);
        let (cell, snapshot) = match (first.isolation, first.unfit) {
            (Isolation::Model, _) => (Some(cell), None),
            (Isolation::Request, Some(reason)) => (Some(cell), Some(Err(reason))),
            (Isolation::Request, None) => match cell.freeze(&spec).await {
                (cell, Ok(snapshot)) => (cell, Some(Ok(snapshot))),
                (cell, Err(FreezeError::Unfit(reason))) => (cell, Some(Err(reason))),
                (_, Err(FreezeError::NoRoom(no_room))) => return Err(no_room.into()),
                (_, Err(FreezeError::Kernel(error))) => {
                    return Err(LoadError::Internal(format!(
                        "the host cannot keep what model_fn left: {}",
                        error.kind()
                    )));
                }
            },
        };
        let account = spec.account.clone();
        let pool = CellPool::started(
            self.sandbox.clone(),
            first.code,
            spec,
            plan.max_cells,
            first.isolation,
            (cell, cell_bytes),
        );
        match snapshot {
            None => {}
            Some(Err(reason)) => pool.without_snapshot(&reason, plan.strict),
            Some(Ok(snapshot)) => {
                self.keep(key, &snapshot, description.clone());
                let thawing = Thawing {
                    registry: self.registry.clone(),
                    component,
                    rewrite: Rewrite::Freeze(snapshot.globals.clone()),
                    strict: plan.strict,
                };
                thawing.begin(snapshot, account, &pool).await?;
            }
        }
        Ok((pool, description))
    }

    /// Writes a snapshot to the cache. Nobody waits for it.
    fn keep(&self, key: Option<SnapshotKey>, snapshot: &Snapshot, description: Option<String>) {
        let Some(key) = key else { return };
        let workspace = self.workspace.clone();
        let (image, globals) = (snapshot.image.clone(), snapshot.globals.clone());
        spawn_blocking(move || {
            let snapshots = workspace.snapshots();
            if let Err(error) = snapshots.store(&key, &image, &globals, description.as_deref()) {
                tracing::debug!(%error, "a snapshot could not be kept; model_fn runs again next time");
            }
        });
    }
}

/// How to come by the code for a snapshot. It does not hold the snapshot, which must be gone as soon as
/// the model is.
struct Thawing {
    registry: Arc<CodeRegistry>,
    component: Component,
    rewrite: Rewrite,
    /// No cell may be reused, not even without a snapshot.
    strict: bool,
}

impl Thawing {
    /// Has `pool` start from the snapshot: now, or when its code is compiled.
    async fn begin(
        self,
        snapshot: Snapshot,
        account: Arc<Account>,
        pool: &Arc<CellPool>,
    ) -> Result<(), LoadError> {
        match self
            .registry
            .get_compiled(&self.component, &self.rewrite)
            .await?
        {
            Some((code, _)) => {
                let frozen = Frozen::new(code, snapshot, account);
                frozen.warm_up().map_err(model_fn_error)?;
                pool.start_from(frozen);
            }
            None => {
                pool.await_code(snapshot);
                tokio::spawn(self.compile(Arc::downgrade(pool)));
            }
        }
        Ok(())
    }

    async fn compile(self, pool: Weak<CellPool>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let result = tokio::select! {
                result = self.registry.get(&self.component, self.rewrite.clone()) => result,
                // Which ends the compiler, if nobody else waits for it.
                () = gone(&pool) => return,
            };
            let Some(pool) = pool.upgrade() else { return };
            match result {
                Ok((code, _)) => return pool.start_with(code),
                Err(error) if may_pass(&error) => {
                    tracing::debug!(%error, "a snapshot waits for its code");
                }
                Err(error) => {
                    let reason = LoadError::from(error).to_string();
                    return pool.without_snapshot(&reason, self.strict);
                }
            }
            drop(pool);
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

/// Returns when the model is gone, which needs no code any more.
async fn gone(pool: &Weak<CellPool>) {
    while pool.strong_count() > 0 {
        sleep(FIRST_PAUSE).await;
    }
}

/// Whether the same may succeed a while later: it was the host's fault, not the component's. The
/// compiler's time is that of a clock on the wall, so neighbours may have used it up.
fn may_pass(error: &CodeError) -> bool {
    matches!(
        error,
        CodeError::Link(SandboxError::NoRoom(_))
            | CodeError::Compile(
                CompileError::Host(_) | CompileError::GivenUp | CompileError::TooLong { .. }
            )
            | CodeError::Load(LoadError::Internal(_))
    )
}
