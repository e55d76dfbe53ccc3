//! The models of an endpoint by name: loading, ready, or not here.
//!
//! Invariants. A name has at most one entry in the `table`. Loads run in tasks of their own, so a
//! caller who leaves strands nobody; all who want the same cold model wait for the same task. A
//! failed load leaves no entry, but is remembered for a moment (`failures`). A model ends when
//! the table and every request have let go of it; [`Models::unload`] waits for that. Who needs memory
//! that is not free has the least recently used models go (`evict`); newer versions take the
//! place of older ones (`refresh`); pinned models stay (`pins`).

mod evict;
mod failures;
mod loading;
mod model;
mod pins;
mod refresh;
mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Clock};

use tokio::time::{Instant, timeout_at};

use crate::budget::Budget;
use crate::load::progress::Progress;
use crate::load::{LoadError, Loader, Source};
use crate::metrics::Metrics;
use crate::repository::{ModelName, Repository};
pub use evict::Neighbours;
use failures::Failures;
pub use loading::Loading;
pub use model::{Model, Stats, StatsReading};
pub use pins::Pin;
pub use refresh::Origin;
use table::{Entry, Table};

/// How often S3 is asked whether an artifact that could not be loaded is still the same.
const ASK_S3_AFTER: Duration = Duration::from_secs(1);

/// What is known of a name, for whoever asks.
pub enum Status {
    /// It is being loaded.
    Loading {
        /// Where it comes from.
        url: Arc<str>,
        /// How far it is.
        progress: Arc<Progress>,
    },
    /// It is here.
    Ready(Arc<Model>),
}

/// Why a model is not at hand.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// No model of this name is loaded.
    #[error("Model not found: {0}")]
    NotFound(String),
    /// A model of this name is loaded already, or about to be.
    #[error("Model {0} is already registered.")]
    AlreadyRegistered(String),
    /// The load goes on, but the caller's time is up.
    #[error("Model {0} is still being loaded; try again")]
    NotReady(String),
    /// The load failed.
    #[error(transparent)]
    Load(Arc<LoadError>),
    /// Requests of an unloaded model did not end in time.
    #[error("Timed out while cleaning resources: {0}")]
    UnloadTimeout(String),
}

/// A page of the list of models.
pub struct Page {
    /// Models in the order of their names.
    pub models: Vec<Arc<Model>>,
    /// Whether there are more.
    pub more: bool,
}

/// How many models there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Models that are loaded.
    pub ready: usize,
    /// Models that are being loaded.
    pub loading: usize,
    /// Requests that wait for those.
    pub waiting: usize,
}

/// What the operator says of all models of an endpoint together.
pub struct Policy {
    /// The endpoint's name in log lines, before its models'; none for the default endpoint.
    pub endpoint: Option<Arc<str>>,
    /// The models of all endpoints, which share the disk.
    pub neighbours: Arc<Neighbours>,
    /// The memory budget.
    pub budget: Arc<Budget>,
    /// Whether models are evicted when it is used up. In SageMaker's multi-model mode the platform
    /// says what goes.
    pub evicts: bool,
    /// How long a loaded model stays, unless nothing else can make room.
    pub min_residency: Duration,
    /// Where models come from.
    pub repository: Option<Arc<Repository>>,
    /// How long a model is taken for the newest.
    pub revalidate_after: Duration,
    /// Models that are loaded at the start and stay.
    pub pins: Vec<ModelName>,
}

/// All models of an endpoint.
pub struct Models {
    loader: Loader,
    metrics: Arc<Metrics>,
    endpoint: Option<Arc<str>>,
    neighbours: Arc<Neighbours>,
    budget: Arc<Budget>,
    evicts: bool,
    table: Mutex<Table<Loading, Arc<Model>>>,
    failures: Failures,
    /// The pinned models, and why one could not be loaded the last time.
    pins: Mutex<BTreeMap<ModelName, Option<String>>>,
    repository_failing: AtomicBool,
    /// Requests that wait for a model to be loaded.
    waiting: AtomicUsize,
    /// Loads that go on, those of new versions included.
    loading: AtomicUsize,
}

impl Models {
    /// No models yet; those that are pinned are loaded from now on. Needs a tokio runtime.
    pub fn start(loader: Loader, policy: Policy, metrics: Arc<Metrics>) -> Arc<Self> {
        // Looking at a file costs nothing, asking S3 does.
        let ask_after = match policy.repository.as_deref() {
            Some(Repository::Directory(_)) | None => Duration::ZERO,
            Some(Repository::S3(_)) => ASK_S3_AFTER,
        };
        let pin_names = policy.pins.iter().map(|name| Arc::from(name.as_str()));
        let models = Arc::new(Self {
            table: Mutex::new(Table::new(pin_names.collect(), policy.min_residency)),
            loader,
            metrics,
            endpoint: policy.endpoint,
            neighbours: policy.neighbours,
            budget: policy.budget,
            evicts: policy.evicts,
            failures: Failures::new(ask_after),
            pins: Mutex::new(policy.pins.into_iter().map(|name| (name, None)).collect()),
            repository_failing: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            loading: AtomicUsize::new(0),
        });
        let weak = Arc::downgrade(&models);
        models.budget.evict_by(weak.clone());
        models.neighbours.add(weak.clone());
        if policy.repository.is_some() {
            let after = policy.revalidate_after;
            tokio::spawn(refresh::keep_fresh(weak.clone(), after));
        }
        tokio::spawn(pins::keep_pinned(weak));
        models
    }

    /// The model `name`, if it is ready, for a request.
    pub fn get(&self, name: &str) -> Option<Arc<Model>> {
        match self.lock().touch(name) {
            Some(Entry::Ready(model, _)) => Some(model.clone()),
            _ => None,
        }
    }

    /// What is known of `name`. No use of it.
    pub fn status(&self, name: &str) -> Option<Status> {
        Some(match self.lock().peek(name)? {
            Entry::Ready(model, _) => Status::Ready(model.clone()),
            Entry::Loading(loading) => Status::Loading {
                url: loading.url.clone(),
                progress: loading.progress.clone(),
            },
        })
    }

    /// Whether `name` is loaded.
    pub fn is_ready(&self, name: &str) -> bool {
        matches!(self.lock().peek(name), Some(Entry::Ready(..)))
    }

    /// The model `name`; if it is being loaded, once that is done.
    ///
    /// # Errors
    ///
    /// [`ModelsError::NotFound`], or as [`Models::get_or_load`].
    pub async fn get_or_wait(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Arc<Model>, ModelsError> {
        let loading = match self.lock().touch(name) {
            None => return Err(ModelsError::NotFound(name.to_owned())),
            Some(Entry::Ready(model, _)) => return Ok(model.clone()),
            Some(Entry::Loading(loading)) => loading.clone(),
        };
        self.wait(name, loading, deadline).await
    }

    /// The model `name`, loaded from `source` if need be.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Load`], or [`ModelsError::NotReady`] at the deadline.
    pub async fn get_or_load(
        self: &Arc<Self>,
        name: &str,
        url: &str,
        source: Source,
        deadline: Instant,
    ) -> Result<Arc<Model>, ModelsError> {
        let unknown = self.lock().peek(name).is_none();
        if unknown {
            self.recall_failure(name, &source).await?;
        }
        let loading = {
            let mut table = self.lock();
            match table.touch(name) {
                Some(Entry::Ready(model, _)) => return Ok(model.clone()),
                Some(Entry::Loading(loading)) => loading.clone(),
                None => self.begin_load(&mut table, name, url, source),
            }
        };
        self.wait(name, loading, deadline).await
    }

    /// Begins to load a model that must not be there yet. Returns at once; [`Models::wait`] waits
    /// for it.
    ///
    /// # Errors
    ///
    /// [`ModelsError::AlreadyRegistered`]
    pub fn register(
        self: &Arc<Self>,
        name: &str,
        url: &str,
        source: Source,
    ) -> Result<Loading, ModelsError> {
        let mut table = self.lock();
        if table.peek(name).is_some() {
            return Err(ModelsError::AlreadyRegistered(name.to_owned()));
        }
        self.failures.forget(name);
        Ok(self.begin_load(&mut table, name, url, source))
    }

    /// Takes a model away: at once for new requests. Returns when the requests that have it are
    /// done, its memory is free and its files are gone.
    ///
    /// # Errors
    ///
    /// [`ModelsError::NotFound`]; [`ModelsError::UnloadTimeout`] at the deadline, the model then
    /// ends with its last request.
    pub async fn unload(&self, name: &str, deadline: Instant) -> Result<(), ModelsError> {
        let begin = Clock::now();
        let mut ended = loop {
            // A load cannot be broken off, so it is waited for. If it fails there is nothing to
            // unload.
            let model = self
                .get_or_wait(name, deadline)
                .await
                .map_err(|error| match error {
                    ModelsError::Load(_) => ModelsError::NotFound(name.to_owned()),
                    ModelsError::NotReady(name) => ModelsError::UnloadTimeout(name),
                    other => other,
                })?;
            // Otherwise its new version has taken its place, or somebody else has unloaded it.
            if self.let_go(&model, "unloaded") {
                // Who wants a model away and calls it again wants the newest.
                if let Some(origin) = &model.origin {
                    self.loader.forget(origin.name());
                }
                break model.loaded().ended();
            }
        };
        // Nothing is ever sent: `changed` returns when the sender, and with it the model, is gone.
        match timeout_at(deadline, ended.changed()).await {
            Ok(_) => {
                self.metrics
                    .unloading
                    .observe(begin.elapsed().as_secs_f64());
                Ok(())
            }
            Err(_) => Err(ModelsError::UnloadTimeout(name.to_owned())),
        }
    }

    /// At most `limit` ready models, by name, beginning after the name `after`.
    pub fn page(&self, after: Option<&str>, limit: usize) -> Page {
        let table = self.lock();
        let (names, more) = table.page(after, limit);
        let ready = names.iter().filter_map(|name| match table.peek(name)? {
            Entry::Ready(model, _) => Some(model.clone()),
            Entry::Loading(_) => None,
        });
        Page {
            models: ready.collect(),
            more,
        }
    }

    /// Looks at all ready models, the most recently used first. Others wait meanwhile, so `look`
    /// should be quick.
    pub fn look_at_all(&self, mut look: impl FnMut(&Model)) {
        let table = self.lock();
        table.ready().for_each(|(_, model, _)| look(model));
    }

    /// Whether a model is being loaded, which may hold memory that it gives back when it fails.
    pub fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Relaxed) > 0
    }

    /// How many models are ready, how many are being loaded, and how many requests wait for those.
    pub fn counts(&self) -> Counts {
        let table = self.lock();
        Counts {
            ready: table.ready().count(),
            loading: table.loading(),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// Takes `model` out of the table, unless it is not there any more.
    fn let_go(&self, model: &Arc<Model>, why: &str) -> bool {
        self.let_go_if(&model.name, why, |now| Arc::ptr_eq(now, model))
    }

    fn let_go_if(&self, name: &str, why: &str, is: impl FnOnce(&Arc<Model>) -> bool) -> bool {
        let removed = {
            let mut table = self.lock();
            match table.peek(name) {
                Some(Entry::Ready(now, _)) if is(now) => table.remove(name),
                _ => return false,
            }
        };
        tracing::info!(model = &*self.label(name), "{why}");
        // Outside of the lock, because it frees memory.
        drop(removed);
        true
    }

    /// The model's name in log lines: with its endpoint's, if that is not the default one.
    fn label<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}:{name}").into(),
            None => name.into(),
        }
    }

    fn load_timeout(&self) -> Duration {
        self.loader.limits().load_timeout
    }

    /// No code that holds this lock can panic half-way through a change, so poison is no reason to
    /// stop.
    fn lock(&self) -> MutexGuard<'_, Table<Loading, Arc<Model>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
