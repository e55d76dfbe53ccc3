//! Keeps loaded models up to date with the repository.
//!
//! A model from the repository knows its version. When that has not been compared for
//! `--revalidate-after`, a task asks the repository, whether anybody calls the model or not; so no
//! request waits for it. With an interval of zero each request asks first ([`Models::revalidate`]).
//!
//! Another version is loaded beside the old one, which answers until the new one is ready, and goes
//! on if it fails to load. A model that is gone from the repository is let go. What the repository
//! does not answer changes nothing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant as Clock};

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::model::Model;
use super::table::Entry;
use super::{Models, new_model};
use crate::load::progress::Progress;
use crate::load::{LoadError, Source};
use crate::repository::{Freshness, ModelName, Repository, RepositoryError, Version};
use crate::sandbox::printable;

/// Questions to the repository at a time.
const CHECKS: usize = 16;

/// How often a model that nobody calls is compared at most, if each request asks by itself.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// How long after a load that failed before it found its version the next one is tried.
const RETRY: Duration = Duration::from_secs(5);

/// How long a request waits for the repository's answer if each one asks.
const REQUEST_CHECK: Duration = Duration::from_secs(2);

/// Where a model came from, and how fresh it is.
pub struct Origin {
    name: ModelName,
    version: Version,
    state: Mutex<State>,
}

struct State {
    checked_at: Instant,
    /// Somebody asks or loads another version right now.
    busy: bool,
    failure: Option<Failure>,
}

/// Why a newer version could not be loaded.
struct Failure {
    text: String,
    version: Option<Version>,
    at: Instant,
}

impl Origin {
    /// A version that was the newest when the repository was asked, at `as_of`.
    pub(super) fn new(name: ModelName, version: Version, as_of: Instant) -> Self {
        let state = State {
            checked_at: as_of,
            busy: false,
            failure: None,
        };
        Self {
            name,
            version,
            state: Mutex::new(state),
        }
    }

    /// The artifact's name in the repository.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Why a newer version could not be loaded.
    pub fn failure(&self) -> Option<String> {
        let state = self.lock();
        state.failure.as_ref().map(|failure| failure.text.clone())
    }

    /// Whether the caller should ask the repository now: nobody else does, and it is time.
    fn begin(&self, after: Duration) -> bool {
        let mut state = self.lock();
        let due = !state.busy && state.checked_at.elapsed() >= after;
        state.busy |= due;
        due
    }

    fn end(&self, failure: Option<Failure>) {
        let mut state = self.lock();
        state.busy = false;
        state.checked_at = Instant::now();
        state.failure = failure;
    }

    /// The question was not answered: what was known before still holds.
    fn end_unanswered(&self) {
        let mut state = self.lock();
        state.busy = false;
        state.checked_at = Instant::now();
    }

    /// The newer version that could not be loaded, if it is known; and whether that was just now.
    fn failed(&self) -> (Option<Version>, bool) {
        let state = self.lock();
        let failure = state.failure.as_ref();
        let just_now = failure.is_some_and(|failure| failure.at.elapsed() < RETRY);
        (
            failure.and_then(|failure| failure.version.clone()),
            just_now,
        )
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares all models with the repository, each when it is time, as long as there is a host.
pub(super) async fn keep_fresh(models: Weak<Models>, repository: Arc<Repository>, after: Duration) {
    let after = if after.is_zero() { IDLE_CHECK } else { after };
    let pause = (after / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let checks = Arc::new(Semaphore::new(CHECKS));
    loop {
        tokio::time::sleep(pause).await;
        let Some(models) = models.upgrade() else {
            return;
        };
        // One that would be due before the next look is due now, so that none is late.
        for model in models.due(after.saturating_sub(pause)) {
            // The semaphore is never closed.
            let Ok(turn) = checks.clone().acquire_owned().await else {
                return;
            };
            let (models, repository) = (models.clone(), repository.clone());
            tokio::spawn(async move {
                let _turn = turn;
                if models.check(&repository, &model).await == Some(Freshness::Changed) {
                    models.replace(&model).await;
                }
            });
        }
    }
}

impl Models {
    /// Asks the repository whether `model` is still the newest, as each request does if
    /// `--revalidate-after` is zero. If there is another version it is loaded meanwhile. Returns
    /// false if the model is gone.
    pub async fn revalidate(
        self: &Arc<Self>,
        repository: &Arc<Repository>,
        model: &Arc<Model>,
    ) -> bool {
        let origin = model.origin.as_ref();
        if !origin.is_some_and(|origin| origin.begin(Duration::ZERO)) {
            return true;
        }
        // In a task of its own: a caller who leaves must not leave the model marked as busy.
        let (models, repository, of) = (self.clone(), repository.clone(), model.clone());
        let check = tokio::spawn(async move {
            let freshness = models.check(&repository, &of).await;
            if freshness == Some(Freshness::Changed) {
                tokio::spawn(async move { models.replace(&of).await });
            }
            freshness
        });
        let answer = timeout(REQUEST_CHECK, check).await;
        !matches!(answer, Ok(Ok(Some(Freshness::Gone))))
    }

    /// Models that are to be compared; they are marked as busy.
    fn due(&self, after: Duration) -> Vec<Arc<Model>> {
        let table = self.lock();
        let due = table.ready().map(|(_, model, _)| model);
        due.filter(|model| model.origin.as_ref().is_some_and(|o| o.begin(after)))
            .cloned()
            .collect()
    }

    /// What the repository says of `model`, which is marked as busy. None if it does not answer.
    /// A model that is gone is let go; one that has changed stays busy.
    async fn check(&self, repository: &Repository, model: &Arc<Model>) -> Option<Freshness> {
        let origin = model.origin.as_ref()?;
        let mut answer = repository.check(&origin.name, &origin.version).await;
        self.note_reachable(answer.as_ref().err());
        if answer == Ok(Freshness::Changed) {
            // The version that failed would fail again.
            answer = match origin.failed() {
                (Some(failed), _) => repository.check(&origin.name, &failed).await,
                (None, true) => Ok(Freshness::Same),
                (None, false) => answer,
            };
            if answer == Ok(Freshness::Same) {
                origin.end_unanswered();
                return None;
            }
        }
        match answer {
            Ok(Freshness::Same) => origin.end(None),
            Ok(Freshness::Gone) => {
                origin.end(None);
                self.let_go(model, "deleted from the repository");
            }
            Ok(Freshness::Changed) => {}
            Err(_) => origin.end_unanswered(),
        }
        answer.ok()
    }

    /// Loads the version that the repository has now and puts it in the place of `old`.
    async fn replace(self: &Arc<Self>, old: &Arc<Model>) {
        let Some(origin) = &old.origin else {
            return;
        };
        let source = Source::Repository(origin.name.clone());
        let progress = Progress::default();
        match self.load(&old.name, source, &progress).await {
            Ok(loaded) => {
                let stats = old.stats.clone();
                let name = Some(&origin.name);
                let new = new_model(old.name.clone(), old.url.clone(), name, loaded, stats);
                self.swap(old, Arc::new(new));
                origin.end(None);
            }
            Err(LoadError::Repository(RepositoryError::NotFound(_))) => {
                origin.end(None);
                self.let_go(old, "deleted from the repository");
            }
            Err(error) => {
                let text = printable(&error.to_string());
                tracing::error!(
                    model = &*old.name,
                    error = text,
                    "the new version could not be loaded; the old one goes on"
                );
                self.metrics.load_failures.inc();
                origin.end(Some(Failure {
                    text,
                    version: progress.version().cloned(),
                    at: Instant::now(),
                }));
            }
        }
    }

    fn swap(&self, old: &Arc<Model>, new: Arc<Model>) {
        let (name, now) = (new.name.clone(), Clock::now());
        let replaced = {
            let mut table = self.lock();
            match table.peek(&name) {
                Some(Entry::Ready(current, _)) if Arc::ptr_eq(current, old) => {}
                // Evicted or unloaded meanwhile, and loaded again maybe.
                _ => return,
            }
            table.put(name.clone(), Entry::Ready(new, now))
        };
        tracing::info!(model = &*name, "replaced by its new version");
        drop(replaced);
    }

    /// Tells once when the repository stops to answer, and once when it answers again.
    fn note_reachable(&self, error: Option<&RepositoryError>) {
        let failing = error.is_some();
        if self.repository_failing.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        match error {
            Some(error) => tracing::warn!(
                error = printable(&error.to_string()),
                "the repository does not answer; loaded models go on"
            ),
            None => tracing::info!("the repository answers again"),
        }
    }
}
