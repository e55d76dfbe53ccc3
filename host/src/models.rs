//! The models by name: loading, ready, or not here.
//!
//! Invariants. A name has at most one entry. Loads run in tasks of their own, so a caller who leaves
//! strands nobody; all who want the same cold model wait for the same task. A failed load leaves no
//! entry, so the next request tries again. A model ends when the map and every request have let go
//! of it; [`Models::unload`] waits for that.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::hooks::HookTimes;
use crate::load::{LoadError, Loaded, Loader, Source};
use crate::sandbox::printable;

/// A model that is ready for requests.
pub struct Model {
    /// The name under which it is invoked.
    pub name: String,
    /// Where it came from, as the one who asked for it put it.
    pub url: String,
    /// When it became ready.
    pub loaded_at: SystemTime,
    /// What it has done so far.
    pub stats: Stats,
    loaded: Loaded,
}

impl Model {
    /// Its cells and limits.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }
}

/// Counters of one model since it was loaded.
#[derive(Debug, Default)]
pub struct Stats {
    invocations: AtomicU64,
    errors: AtomicU64,
    hook_nanos: [AtomicU64; 3],
}

/// A reading of [`Stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatsReading {
    /// Requests that were resolved to the model, those that found all its cells busy included.
    pub invocations: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Time spent in each hook by those that did not fail.
    pub times: HookTimes,
}

impl Stats {
    /// Counts a request that was answered.
    pub fn answered(&self, times: &HookTimes) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let [input, predict, output] = &self.hook_nanos;
        for (sum, time) in [
            (input, times.input_fn),
            (predict, times.predict_fn),
            (output, times.output_fn),
        ] {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            sum.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Counts a request that failed.
    pub fn failed(&self) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn read(&self) -> StatsReading {
        let nanos = |n: &AtomicU64| std::time::Duration::from_nanos(n.load(Ordering::Relaxed));
        let [input, predict, output] = &self.hook_nanos;
        StatsReading {
            invocations: self.invocations.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            times: HookTimes {
                input_fn: nanos(input),
                predict_fn: nanos(predict),
                output_fn: nanos(output),
            },
        }
    }
}

type LoadResult = Result<Arc<Model>, Arc<LoadError>>;
type Loading = watch::Receiver<Option<LoadResult>>;

enum Entry {
    Loading(Loading),
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

/// All models.
pub struct Models {
    loader: Arc<Loader>,
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

impl Models {
    /// No models yet.
    pub fn new(loader: Arc<Loader>) -> Self {
        Self {
            loader,
            entries: Arc::default(),
        }
    }

    /// The model `name`, if it is ready.
    pub fn get(&self, name: &str) -> Option<Arc<Model>> {
        match self.lock().get(name) {
            Some(Entry::Ready(model)) => Some(model.clone()),
            _ => None,
        }
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
        let loading = match self.lock().get(name) {
            None => return Err(ModelsError::NotFound(name.to_owned())),
            Some(Entry::Ready(model)) => return Ok(model.clone()),
            Some(Entry::Loading(loading)) => loading.clone(),
        };
        wait(name, loading, deadline).await
    }

    /// The model `name`, loaded from `source` if need be.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Load`], or [`ModelsError::NotReady`] at the deadline.
    pub async fn get_or_load(
        &self,
        name: &str,
        url: &str,
        source: Source,
        deadline: Instant,
    ) -> Result<Arc<Model>, ModelsError> {
        let loading = {
            let mut entries = self.lock();
            match entries.get(name) {
                Some(Entry::Ready(model)) => return Ok(model.clone()),
                Some(Entry::Loading(loading)) => loading.clone(),
                None => self.begin_load(&mut entries, name, url, source),
            }
        };
        wait(name, loading, deadline).await
    }

    /// Begins to load a model that must not be there yet. Returns at once; [`Models::get_or_wait`]
    /// waits for it.
    ///
    /// # Errors
    ///
    /// [`ModelsError::AlreadyRegistered`]
    pub fn register(&self, name: &str, url: &str, source: Source) -> Result<(), ModelsError> {
        let mut entries = self.lock();
        if entries.contains_key(name) {
            return Err(ModelsError::AlreadyRegistered(name.to_owned()));
        }
        self.begin_load(&mut entries, name, url, source);
        Ok(())
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
        let removed = {
            let mut entries = self.lock();
            match entries.get(name) {
                Some(Entry::Ready(now)) if Arc::ptr_eq(now, &model) => entries.remove(name),
                // Somebody else has unloaded it in the meantime.
                _ => return Err(ModelsError::NotFound(name.to_owned())),
            }
        };
        let mut ended = model.loaded.ended();
        drop(removed);
        drop(model);
        tracing::info!(model = name, "unloaded");
        // Nothing is ever sent: `changed` returns when the sender, and with it the model, is gone.
        match timeout_at(deadline, ended.changed()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ModelsError::UnloadTimeout(name.to_owned())),
        }
    }

    /// At most `limit` ready models, by name, beginning after the name `after`.
    pub fn page(&self, after: Option<&str>, limit: usize) -> Page {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.lock();
        let mut ready = entries
            .range::<str, _>((from, Bound::Unbounded))
            .filter_map(|(_, entry)| match entry {
                Entry::Ready(model) => Some(model.clone()),
                Entry::Loading(_) => None,
            });
        let models = ready.by_ref().take(limit).collect();
        let more = ready.next().is_some();
        Page { models, more }
    }

    fn begin_load(
        &self,
        entries: &mut BTreeMap<String, Entry>,
        name: &str,
        url: &str,
        source: Source,
    ) -> Loading {
        let (done, loading) = watch::channel(None);
        entries.insert(name.to_owned(), Entry::Loading(loading.clone()));
        let loader = self.loader.clone();
        let entries = self.entries.clone();
        let (name, url) = (name.to_owned(), url.to_owned());
        tokio::spawn(async move {
            let load = {
                let name = name.clone();
                // A task of its own, so that even a panic ends as a failed load.
                tokio::spawn(async move {
                    loader
                        .load(&name, source, &crate::load::progress::Progress::default())
                        .await
                })
            };
            let result = match load.await {
                Ok(Ok(loaded)) => Ok(Arc::new(new_model(name.clone(), url, loaded))),
                Ok(Err(error)) => Err(Arc::new(error)),
                Err(error) => Err(Arc::new(LoadError::Internal(error.to_string()))),
            };
            finish_load(&entries, name, &result);
            // Nobody may be waiting any more.
            let _ = done.send(Some(result));
        });
        loading
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        lock(&self.entries)
    }
}

fn new_model(name: String, url: String, loaded: Loaded) -> Model {
    Model {
        name,
        url,
        loaded_at: SystemTime::now(),
        stats: Stats::default(),
        loaded,
    }
}

fn finish_load(entries: &Mutex<BTreeMap<String, Entry>>, name: String, result: &LoadResult) {
    let mut entries = lock(entries);
    match result {
        Ok(model) => {
            entries.insert(name, Entry::Ready(model.clone()));
        }
        Err(error) => {
            // An artifact's own text is in some errors, and must not forge log lines.
            let error = printable(&error.to_string());
            tracing::error!(model = name, error, "load failed");
            entries.remove(&name);
        }
    }
}

async fn wait(
    name: &str,
    mut loading: Loading,
    deadline: Instant,
) -> Result<Arc<Model>, ModelsError> {
    let not_ready = || ModelsError::NotReady(name.to_owned());
    let result = timeout_at(deadline, loading.wait_for(Option::is_some))
        .await
        .map_err(|_| not_ready())?
        // The task that loads always sends a result, unless the runtime is shutting down.
        .map_err(|_| not_ready())?
        .clone();
    match result {
        Some(Ok(model)) => Ok(model),
        Some(Err(error)) => Err(ModelsError::Load(error)),
        None => Err(not_ready()),
    }
}

/// No code that holds this lock can panic half-way through a change, so poison is no reason to stop.
fn lock(entries: &Mutex<BTreeMap<String, Entry>>) -> MutexGuard<'_, BTreeMap<String, Entry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}
