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

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::Models;
use super::failures::belongs_to_version;
use super::loading::new_model;
use super::model::{Model, Stats};
use super::table::Entry;
use crate::load::progress::Progress;
use crate::load::{LoadError, Source};
use crate::repository::{Freshness, ModelName, RepositoryError, Version};
use crate::sandbox::printable;

/// Questions to the repository at a time.
const CHECKS: usize = 16;

/// New versions that are loaded at a time.
const REPLACEMENTS: usize = 4;

/// How often a model that nobody calls is compared at most, if each request asks by itself.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// How long after a load that failed for no fault of its version the next one is tried.
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
    /// Another version is being loaded.
    replacing: bool,
    failure: Option<Failure>,
}

/// Why a newer version could not be loaded.
struct Failure {
    text: String,
    /// The version, if it would fail again.
    version: Option<Version>,
    at: Instant,
}

impl Origin {
    /// A version that was the newest when the repository was asked, at `as_of`.
    pub(super) fn new(name: ModelName, version: Version, as_of: Instant) -> Self {
        let state = State {
            checked_at: as_of,
            busy: false,
            replacing: false,
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

    /// Whether a newer version is being loaded.
    pub(super) fn is_replacing(&self) -> bool {
        self.lock().replacing
    }

    fn is_due(&self, after: Duration) -> bool {
        let state = self.lock();
        !state.busy && state.checked_at.elapsed() >= after
    }

    /// The right to ask the repository, if it is time and nobody else has it.
    fn begin(self: &Arc<Self>, after: Duration) -> Option<Turn> {
        let mut state = self.lock();
        let due = !state.busy && state.checked_at.elapsed() >= after;
        state.busy |= due;
        due.then(|| Turn(self.clone()))
    }

    /// The newer version that could not be loaded, if it would fail again; and whether any failed
    /// just now.
    fn failed(&self) -> (Option<Version>, bool) {
        let state = self.lock();
        let failure = state.failure.as_ref();
        let just_now = failure.is_some_and(|failure| failure.at.elapsed() < RETRY);
        (
            failure.and_then(|failure| failure.version.clone()),
            just_now,
        )
    }

    fn set_failure(&self, failure: Option<Failure>) {
        self.lock().failure = failure;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to compare a model with the repository and to replace it. However that ends, the next
/// one may have it then.
struct Turn(Arc<Origin>);

impl Turn {
    fn replacing(&self) {
        self.0.lock().replacing = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy = false;
        state.replacing = false;
        state.checked_at = Instant::now();
    }
}

/// What is needed of a model to replace it. Not the model itself, which may go meanwhile.
struct Old {
    name: Arc<str>,
    url: String,
    origin: Arc<Origin>,
    stats: Arc<Stats>,
}

impl Old {
    fn of(model: &Model) -> Option<Self> {
        Some(Self {
            name: model.name.clone(),
            url: model.url.clone(),
            origin: model.origin.clone()?,
            stats: model.stats.clone(),
        })
    }

    fn is(&self, model: &Model) -> bool {
        let origin = model.origin.as_ref();
        origin.is_some_and(|origin| Arc::ptr_eq(origin, &self.origin))
    }
}

/// Compares all models with the repository, each when it is time, as long as there is a host.
pub(super) async fn keep_fresh(models: Weak<Models>, after: Duration) {
    let after = if after.is_zero() { IDLE_CHECK } else { after };
    let pause = (after / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
    // One that would be due before the next look is due now, so that none is late.
    let after = after.saturating_sub(pause);
    let checks = Arc::new(Semaphore::new(CHECKS));
    let replacements = Arc::new(Semaphore::new(REPLACEMENTS));
    loop {
        tokio::time::sleep(pause).await;
        let Some(models) = models.upgrade() else {
            return;
        };
        for old in models.due(after) {
            // The semaphores are never closed.
            let Ok(check) = checks.clone().acquire_owned().await else {
                return;
            };
            // Others may have asked while this one waited.
            let Some(turn) = old.origin.begin(after) else {
                continue;
            };
            let (models, replacements) = (models.clone(), replacements.clone());
            tokio::spawn(async move {
                let freshness = models.check(&old).await;
                drop(check);
                if freshness == Some(Freshness::Changed) {
                    let one = replacements.acquire_owned().await;
                    models.begin_replace(old, turn, one.ok());
                }
            });
        }
    }
}

impl Models {
    /// Asks the repository whether `model` is still the newest, as each request does if
    /// `--revalidate-after` is zero. If there is another version it is loaded meanwhile. Returns
    /// false if the model is gone.
    pub async fn revalidate(self: &Arc<Self>, model: &Model) -> bool {
        let old = Old::of(model);
        let turn = old.and_then(|old| Some((old.origin.begin(Duration::ZERO)?, old)));
        let Some((turn, old)) = turn else {
            return true;
        };
        // In a task of its own: what a caller began goes on when he leaves.
        let models = self.clone();
        let check = tokio::spawn(async move {
            let freshness = models.check(&old).await;
            if freshness == Some(Freshness::Changed) {
                models.begin_replace(old, turn, None);
            }
            freshness
        });
        let answer = timeout(REQUEST_CHECK, check).await;
        !matches!(answer, Ok(Ok(Some(Freshness::Gone))))
    }

    /// Models that are to be compared.
    fn due(&self, after: Duration) -> Vec<Old> {
        let table = self.lock();
        let due = table.ready().map(|(_, model, _)| model);
        due.filter_map(|model| Old::of(model))
            .filter(|old| old.origin.is_due(after))
            .collect()
    }

    /// What the repository says of a model. None if it does not answer. A model that is gone is let
    /// go.
    async fn check(&self, old: &Old) -> Option<Freshness> {
        let origin = &*old.origin;
        let mut answer = self.loader.freshness(&origin.name, &origin.version).await;
        self.note_reachable(answer.as_ref().err());
        match answer {
            Ok(Freshness::Same) => origin.set_failure(None),
            Ok(Freshness::Gone) => self.gone(old),
            // The version that failed would fail again.
            Ok(Freshness::Changed) => match origin.failed() {
                (Some(failed), _) => {
                    answer = self.loader.freshness(&origin.name, &failed).await;
                    if answer == Ok(Freshness::Gone) {
                        self.gone(old);
                    }
                }
                (None, true) => answer = Ok(Freshness::Same),
                (None, false) => {}
            },
            Err(_) => {}
        }
        answer.ok()
    }

    fn gone(&self, old: &Old) {
        self.let_go_if(&old.name, "deleted from the repository", |now| old.is(now));
    }

    /// Runs [`Models::replace`] where loads run.
    fn begin_replace(self: &Arc<Self>, old: Old, turn: Turn, one: Option<OwnedSemaphorePermit>) {
        let models = self.clone();
        self.loader.tools().threads().spawn(async move {
            let _one = one;
            models.replace(&old, turn).await;
        });
    }

    /// Loads the version that the repository has now and puts it in the place of `old`, which is not
    /// evicted meanwhile.
    async fn replace(self: &Arc<Self>, old: &Old, turn: Turn) {
        turn.replacing();
        let origin = &*old.origin;
        let source = Source::Repository(origin.name.clone());
        let progress = Progress::default();
        match self.load(&old.name, source, &progress).await {
            Ok(loaded) => {
                let (name, stats) = (old.name.clone(), old.stats.clone());
                let new = new_model(name, old.url.clone(), Some(&origin.name), loaded, stats);
                self.swap(old, Arc::new(new));
            }
            Err(LoadError::Repository(RepositoryError::NotFound(_))) => self.gone(old),
            Err(error) => {
                let text = printable(&error.to_string());
                tracing::error!(
                    model = &*old.name,
                    error = text,
                    "the new version could not be loaded; the old one goes on"
                );
                self.metrics.load_failures.inc();
                let version = progress.version().filter(|_| belongs_to_version(&error));
                origin.set_failure(Some(Failure {
                    text,
                    version: version.cloned(),
                    at: Instant::now(),
                }));
            }
        }
    }

    fn swap(&self, old: &Old, new: Arc<Model>) {
        let replaced = {
            let mut table = self.lock();
            match table.peek(&old.name) {
                Some(Entry::Ready(current, _)) if old.is(current) => {}
                // Unloaded meanwhile, and loaded again maybe.
                _ => return,
            }
            table.put(old.name.clone(), Entry::Ready(new, Clock::now()))
        };
        tracing::info!(model = &*old.name, "replaced by its new version");
        drop(replaced);
    }

    /// Tells once when the repository stops to answer, and once when it answers again.
    fn note_reachable(&self, error: Option<&RepositoryError>) {
        let outage = error.filter(|error| {
            matches!(
                error,
                RepositoryError::Outage(_) | RepositoryError::Setup(_)
            )
        });
        if self
            .repository_failing
            .swap(outage.is_some(), Ordering::Relaxed)
            == outage.is_some()
        {
            return;
        }
        match outage {
            Some(error) => tracing::warn!(
                error = printable(&error.to_string()),
                "the repository does not answer; loaded models go on"
            ),
            None => tracing::info!("the repository answers again"),
        }
    }
}
