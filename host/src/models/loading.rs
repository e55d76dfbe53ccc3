//! How a model comes into the table: one load for all who want it, in a task of its own, and what
//! they wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant as Clock, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::failures::Recalled;
use super::table::{Entry, Table};
use super::{Model, Models, ModelsError, Origin, Stats};
use crate::budget::NoRoom;
use crate::load::progress::{Progress, Stage};
use crate::load::{LoadError, Loaded, Source};
use crate::repository::{Freshness, ModelName, Version};
use crate::sandbox::printable;

/// How long a load waits for models in use to make room.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// The first pause between two tries to find room; it doubles.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

type LoadResult = Result<Arc<Model>, Arc<LoadError>>;

/// A load that goes on.
#[derive(Clone)]
pub struct Loading {
    pub(super) url: Arc<str>,
    pub(super) progress: Arc<Progress>,
    done: watch::Receiver<Option<LoadResult>>,
}

impl Models {
    /// Fails as a load did a moment ago, if the artifact is still the same.
    pub(super) async fn recall_failure(
        &self,
        name: &str,
        source: &Source,
    ) -> Result<(), ModelsError> {
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

    pub(super) fn begin_load(
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
                let threads = models.loader.tools().threads().clone();
                threads.spawn(async move { models.load(&name, source, &progress).await })
            };
            let result = match load.await {
                Ok(Ok(loaded)) => {
                    let stats = Arc::default();
                    let model = new_model(name.clone(), url, origin.as_ref(), loaded, stats);
                    Ok(Arc::new(model))
                }
                Ok(Err(error)) => Err(Arc::new(error)),
                Err(error) => {
                    // A panic's text is for the log alone.
                    tracing::error!(model = &*models.label(&name), %error, "the load was ended");
                    let text = "the host failed while it loaded the model";
                    Err(Arc::new(LoadError::Internal(text.into())))
                }
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
                tracing::error!(model = &*self.label(&name), error = text, "load failed");
                self.metrics.load_failures.inc();
                self.failures.remember(&name, version, error, Clock::now());
                self.lock().remove(&name);
            }
        }
    }

    /// Loads a model. If those that are in use leave no room in memory, waits a moment for one of
    /// them; if others take the disk that it needs, lets them go.
    pub(super) async fn load(
        &self,
        name: &str,
        source: Source,
        progress: &Progress,
    ) -> Result<Loaded, LoadError> {
        let _loading = Counted::begin(&self.loading);
        let give_up = Instant::now() + ROOM_WAIT;
        let mut pause = ROOM_PAUSE;
        let label = self.label(name);
        loop {
            let result = self.loader.load(&label, source.clone(), progress).await;
            match &result {
                Err(LoadError::NoRoom(NoRoom::InUse { .. })) if Instant::now() < give_up => {
                    progress.enter(Stage::Waiting);
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => match error.disk_full() {
                    Some(full) if self.make_room_on_disk(full).await => {}
                    _ => return result,
                },
                Ok(_) => return result,
            }
        }
    }

    /// The model `name`, whose load goes on.
    ///
    /// # Errors
    ///
    /// As [`Models::get_or_load`].
    pub async fn wait(
        &self,
        name: &str,
        mut loading: Loading,
        deadline: Instant,
    ) -> Result<Arc<Model>, ModelsError> {
        let begin = Clock::now();
        let _waiting = Counted::begin(&self.waiting);
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
            Some(Ok(model)) => Ok(model),
            Some(Err(error)) => Err(ModelsError::Load(error)),
            None => Err(not_ready()),
        }
    }
}

pub(super) fn new_model(
    name: Arc<str>,
    url: String,
    origin: Option<&ModelName>,
    loaded: Loaded,
    stats: Arc<Stats>,
) -> Model {
    let origin = origin.zip(loaded.version.clone());
    let origin =
        origin.map(|(name, (version, as_of))| Arc::new(Origin::new(name.clone(), version, as_of)));
    Model {
        name,
        url,
        loaded_at: SystemTime::now(),
        stats,
        origin,
        loaded,
    }
}

/// Counts a request as long as it waits, or a load as long as it goes on.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
