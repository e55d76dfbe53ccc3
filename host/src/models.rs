//! The models by name: loading, ready, or not here.
//!
//! Invariants. A name has at most one entry in the [`table`]. Loads run in tasks of their own, so a
//! caller who leaves strands nobody; all who want the same cold model wait for the same task. A
//! failed load leaves no entry, but is remembered for a moment ([`failures`]). A model ends when
//! the table and every request have let go of it; [`Models::unload`] waits for that. Who needs memory
//! that is not free has the least recently used models go ([`evict`]); newer versions take the
//! place of older ones ([`refresh`]); pinned models stay ([`pins`]).

mod evict;
mod failures;
mod model;
mod pins;
mod refresh;
mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Clock, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::budget::{Budget, NoRoom};
use crate::load::progress::Progress;
use crate::load::{LoadError, Loaded, Loader, Source};
use crate::metrics::Metrics;
use crate::repository::{Freshness, ModelName, Repository, Version};
use crate::sandbox::printable;
use failures::{Failures, Recalled};
pub use model::{InUse, Model, Stats, StatsReading};
pub use pins::Pin;
pub use refresh::Origin;
use table::{Entry, Table};

/// How long a load waits for models in use to make room.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// How often S3 is asked whether an artifact that could not be loaded is still the same.
const ASK_S3_AFTER: Duration = Duration::from_secs(1);

/// A pause between two tries to find room.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

type LoadResult = Result<Arc<Model>, Arc<LoadError>>;

/// A load that goes on.
#[derive(Clone)]
pub struct Loading {
    url: Arc<str>,
    progress: Arc<Progress>,
    done: watch::Receiver<Option<LoadResult>>,
}

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

/// What the operator says of all models together.
pub struct Policy {
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

/// All models.
pub struct Models {
    loader: Loader,
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
    evicts: bool,
    table: Mutex<Table<Loading, Arc<Model>>>,
    failures: Failures,
    /// The pinned models, and why one could not be loaded the last time.
    pins: Mutex<BTreeMap<ModelName, Option<String>>>,
    repository_failing: AtomicBool,
    /// Requests that wait for a model to be loaded.
    waiting: AtomicUsize,
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
            budget: policy.budget,
            evicts: policy.evicts,
            failures: Failures::new(ask_after),
            pins: Mutex::new(policy.pins.into_iter().map(|name| (name, None)).collect()),
            repository_failing: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        });
        let weak = Arc::downgrade(&models);
        if policy.evicts {
            models.budget.evict_by(weak.clone());
        }
        if let Some(repository) = policy.repository {
            let after = policy.revalidate_after;
            tokio::spawn(refresh::keep_fresh(weak.clone(), repository, after));
        }
        tokio::spawn(pins::keep_pinned(weak));
        models
    }

    /// The model `name`, if it is ready, for a request.
    pub fn get(&self, name: &str) -> Option<InUse> {
        match self.lock().touch(name) {
            Some(Entry::Ready(model, _)) => Some(InUse::of(model)),
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
    pub async fn get_or_wait(&self, name: &str, deadline: Instant) -> Result<InUse, ModelsError> {
        let loading = match self.lock().touch(name) {
            None => return Err(ModelsError::NotFound(name.to_owned())),
            Some(Entry::Ready(model, _)) => return Ok(InUse::of(model)),
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
    ) -> Result<InUse, ModelsError> {
        self.recall_failure(name, &source).await?;
        let loading = {
            let mut table = self.lock();
            match table.touch(name) {
                Some(Entry::Ready(model, _)) => return Ok(InUse::of(model)),
                Some(Entry::Loading(loading)) => loading.clone(),
                None => self.begin_load(&mut table, name, url, source),
            }
        };
        self.wait(name, loading, deadline).await
    }

    /// Fails as a load did a moment ago, if the artifact is still the same.
    async fn recall_failure(&self, name: &str, source: &Source) -> Result<(), ModelsError> {
        let error = match (self.failures.recall(name, Clock::now()), source) {
            (None, _) => return Ok(()),
            (Some(Recalled::Failed(error)), _) => error,
            (Some(Recalled::Ask(error, version)), Source::Repository(artifact)) => {
                match self.loader.freshness(artifact, &version).await {
                    Ok(Freshness::Changed | Freshness::Gone) => {
                        self.failures.forget(name);
                        return Ok(());
                    }
                    Ok(Freshness::Same) | Err(_) => error,
                }
            }
            (Some(Recalled::Ask(error, _)), _) => error,
        };
        Err(ModelsError::Load(error))
    }

    /// Begins to load a model that must not be there yet. Returns at once; [`Models::finish`] waits
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
        Ok(self.begin_load(&mut table, name, url, source))
    }

    /// The model `name`, whose load was begun by [`Models::register`].
    ///
    /// # Errors
    ///
    /// As [`Models::get_or_load`].
    pub async fn finish(
        &self,
        name: &str,
        loading: Loading,
        deadline: Instant,
    ) -> Result<InUse, ModelsError> {
        self.wait(name, loading, deadline).await
    }

    /// Takes a model away: at once for new requests. Returns when the requests that have it are
    /// done, its memory is free and its files are gone.
    ///
    /// # Errors
    ///
    /// [`ModelsError::NotFound`]; [`ModelsError::UnloadTimeout`] at the deadline, the model then
    /// ends with its last request.
    pub async fn unload(&self, name: &str, deadline: Instant) -> Result<(), ModelsError> {
        // A load cannot be broken off, so it is waited for. If it fails there is nothing to unload.
        let model = self
            .get_or_wait(name, deadline)
            .await
            .map_err(|error| match error {
                ModelsError::Load(_) => ModelsError::NotFound(name.to_owned()),
                ModelsError::NotReady(name) => ModelsError::UnloadTimeout(name),
                other => other,
            })?;
        let begin = Clock::now();
        let mut ended = model.loaded().ended();
        if !self.let_go(model.model(), "unloaded") {
            // Somebody else has unloaded it in the meantime.
            return Err(ModelsError::NotFound(name.to_owned()));
        }
        // Who wants a model away and calls it again wants the newest.
        if let Some(origin) = &model.origin {
            self.loader.forget(origin.name());
        }
        drop(model);
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

    /// At most `limit` ready models, the most recently used first.
    pub fn recent(&self, limit: usize) -> Vec<Arc<Model>> {
        let table = self.lock();
        let models = table.ready().map(|(_, model, _)| model.clone());
        models.take(limit).collect()
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
        let removed = {
            let mut table = self.lock();
            match table.peek(&model.name) {
                Some(Entry::Ready(now, _)) if Arc::ptr_eq(now, model) => table.remove(&model.name),
                _ => return false,
            }
        };
        tracing::info!(model = &*model.name, "{why}");
        // Outside of the lock, because it frees memory.
        drop(removed);
        true
    }

    fn begin_load(
        self: &Arc<Self>,
        table: &mut Table<Loading, Arc<Model>>,
        name: &str,
        url: &str,
        source: Source,
    ) -> Loading {
        let (done, receiver) = watch::channel(None);
        let loading = Loading {
            url: url.into(),
            progress: Arc::default(),
            done: receiver,
        };
        let name: Arc<str> = name.into();
        table.put(name.clone(), Entry::Loading(loading.clone()));
        let (models, progress) = (self.clone(), loading.progress.clone());
        let url = url.to_owned();
        tokio::spawn(async move {
            let origin = match &source {
                Source::Repository(name) => Some(name.clone()),
                _ => None,
            };
            let load = {
                let (models, name, progress) = (models.clone(), name.clone(), progress.clone());
                // A task of its own, so that even a panic ends as a failed load.
                tokio::spawn(async move { models.load(&name, source, &progress).await })
            };
            let result = match load.await {
                Ok(Ok(loaded)) => {
                    let stats = Arc::default();
                    let model = new_model(name.clone(), url, origin.as_ref(), loaded, stats);
                    Ok(Arc::new(model))
                }
                Ok(Err(error)) => Err(Arc::new(error)),
                Err(error) => Err(Arc::new(LoadError::Internal(error.to_string()))),
            };
            models.finish_load(name, progress.version(), &result);
            // Nobody may be waiting any more.
            let _ = done.send(Some(result));
        });
        loading
    }

    fn finish_load(&self, name: Arc<str>, version: Option<&Version>, result: &LoadResult) {
        match result {
            Ok(model) => {
                self.failures.forget(&name);
                let entry = Entry::Ready(model.clone(), Clock::now());
                self.lock().put(name, entry);
            }
            Err(error) => {
                // An artifact's own text is in some errors, and must not forge log lines.
                let text = printable(&error.to_string());
                tracing::error!(model = &*name, error = text, "load failed");
                self.metrics.load_failures.inc();
                self.failures.remember(&name, version, error, Clock::now());
                self.lock().remove(&name);
            }
        }
    }

    /// Loads a model. If those that are in use leave no room in memory, waits a moment for one of
    /// them; if others take the disk that it needs, lets them go.
    async fn load(
        &self,
        name: &str,
        source: Source,
        progress: &Progress,
    ) -> Result<Loaded, LoadError> {
        let give_up = Instant::now() + ROOM_WAIT;
        loop {
            let changed = self.budget.changed();
            let result = self.loader.load(name, source.clone(), progress).await;
            match &result {
                Err(LoadError::NoRoom(NoRoom::InUse { .. })) if Instant::now() < give_up => {
                    // Whatever happens then, it is tried once more.
                    let _ = timeout_at(give_up, changed).await;
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                Err(error) => match error.disk_full() {
                    Some(full) if self.make_room_on_disk(full).await => {}
                    _ => return result,
                },
                Ok(_) => return result,
            }
        }
    }

    async fn wait(
        &self,
        name: &str,
        mut loading: Loading,
        deadline: Instant,
    ) -> Result<InUse, ModelsError> {
        let begin = Clock::now();
        let _waiting = Waiting::begin(&self.waiting);
        let not_ready = || ModelsError::NotReady(name.to_owned());
        let result = timeout_at(deadline, loading.done.wait_for(Option::is_some))
            .await
            .map_err(|_| not_ready())?
            // The task that loads always sends a result, unless the runtime is shutting down.
            .map_err(|_| not_ready())?
            .clone();
        self.metrics
            .loading_wait
            .observe(begin.elapsed().as_secs_f64());
        match result {
            Some(Ok(model)) => Ok(InUse::of(&model)),
            Some(Err(error)) => Err(ModelsError::Load(error)),
            None => Err(not_ready()),
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

fn new_model(
    name: Arc<str>,
    url: String,
    origin: Option<&ModelName>,
    loaded: Loaded,
    stats: Arc<Stats>,
) -> Model {
    let origin = origin.zip(loaded.version.clone());
    let origin = origin.map(|(name, (version, as_of))| Origin::new(name.clone(), version, as_of));
    Model {
        name,
        url,
        loaded_at: SystemTime::now(),
        stats,
        origin,
        loaded,
        users: AtomicUsize::new(0),
    }
}

/// Counts a request as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
