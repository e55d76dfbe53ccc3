//! Loads that failed a moment ago, so that a broken model that callers hammer costs nothing.
//!
//! A failure belongs to a version of the artifact. While it is remembered the repository is asked now
//! and then whether that version still lies there, so that a mended model works at once.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::budget::NoRoom;
use crate::load::LoadError;
use crate::repository::{RepositoryError, Version};
use crate::sandbox::HookFault;

/// How long the failure of a version is remembered.
const MEMORY: Duration = Duration::from_secs(30);

/// How long a failure is remembered that has nothing to do with a version, such as missing rights.
const MEMORY_WITHOUT_VERSION: Duration = Duration::from_secs(1);

/// Names that are remembered; callers may send any number of them.
const NAMES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

struct Failure {
    error: Arc<LoadError>,
    version: Option<Version>,
    at: Instant,
    asked_at: Instant,
}

/// What is remembered of a name.
#[derive(Debug)]
pub(super) enum Recalled {
    /// It failed, and there is no need to ask anybody.
    Failed(Arc<LoadError>),
    /// This version of it failed: ask whether it still lies in the repository.
    Ask(Arc<LoadError>, Version),
}

/// Failures by the model's name.
pub(super) struct Failures {
    by_name: Mutex<LruCache<Arc<str>, Failure>>,
    ask_after: Duration,
}

impl Failures {
    /// No failures yet. The repository may be asked for a version every `ask_after`.
    pub(super) fn new(ask_after: Duration) -> Self {
        Self {
            by_name: Mutex::new(LruCache::new(NAMES)),
            ask_after,
        }
    }

    /// Remembers why `version` of `name` could not be loaded, if the same would happen again.
    pub(super) fn remember(
        &self,
        name: &Arc<str>,
        version: Option<&Version>,
        error: &Arc<LoadError>,
        now: Instant,
    ) {
        if lasts(error) {
            let failure = Failure {
                error: error.clone(),
                version: version.filter(|_| belongs_to_version(error)).cloned(),
                at: now,
                asked_at: now,
            };
            self.lock().put(name.clone(), failure);
        }
    }

    /// What is remembered of `name`. Who gets [`Recalled::Ask`] is the only one for a while.
    pub(super) fn recall(&self, name: &str, now: Instant) -> Option<Recalled> {
        let mut failures = self.lock();
        let failure = failures.peek_mut(name)?;
        let memory = match failure.version {
            Some(_) => MEMORY,
            None => MEMORY_WITHOUT_VERSION,
        };
        if now.saturating_duration_since(failure.at) >= memory {
            failures.pop(name);
            return None;
        }
        let error = failure.error.clone();
        match &failure.version {
            Some(version) if now.saturating_duration_since(failure.asked_at) >= self.ask_after => {
                failure.asked_at = now;
                Some(Recalled::Ask(error, version.clone()))
            }
            _ => Some(Recalled::Failed(error)),
        }
    }

    /// Forgets the failure of `name`: it is another version now, or somebody insists.
    pub(super) fn forget(&self, name: &str) {
        self.lock().pop(name);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Arc<str>, Failure>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the same version would fail again. Too little time or room says more of the machine.
pub(super) fn belongs_to_version(error: &LoadError) -> bool {
    match error {
        LoadError::InvalidArtifact(_) | LoadError::NoRoom(NoRoom::Alone { .. }) => true,
        LoadError::ModelFn(error) => !matches!(
            error.fault,
            HookFault::Deadline | HookFault::HostOutOfMemory | HookFault::Start(_)
        ),
        _ => false,
    }
}

/// Whether trying again at once would fail in the same way. What is not in the repository may be put
/// there at any moment, as may a runtime, and what is busy now may be free the next.
fn lasts(error: &LoadError) -> bool {
    match error {
        LoadError::NotFound(_)
        | LoadError::NoRuntime(_)
        | LoadError::DiskFull(_)
        | LoadError::Storage(_)
        | LoadError::Internal(_) => false,
        LoadError::Repository(error) => !matches!(
            error,
            RepositoryError::NotFound(_)
                | RepositoryError::Ambiguous(_)
                | RepositoryError::Changing
                | RepositoryError::Io(_)
                | RepositoryError::Full(_)
        ),
        LoadError::NoRoom(no_room) => matches!(no_room, NoRoom::Alone { .. }),
        LoadError::InvalidArtifact(_) | LoadError::ModelFn(_) | LoadError::Deadline(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Duration = Duration::from_secs(1);

    fn broken() -> Arc<LoadError> {
        Arc::new(LoadError::InvalidArtifact("broken".into()))
    }

    #[test]
    fn a_versions_failure_is_remembered_and_asked_about_now_and_then() {
        let failures = Failures::new(ASK);
        let (name, now) = (Arc::from("a"), Instant::now());
        failures.remember(&name, Some(&Version("1".into())), &broken(), now);
        let recall = |seconds| failures.recall("a", now + Duration::from_millis(seconds));
        assert!(matches!(recall(500), Some(Recalled::Failed(_))));
        assert!(matches!(recall(1000), Some(Recalled::Ask(..))));
        assert!(
            matches!(recall(1001), Some(Recalled::Failed(_))),
            "asked by one"
        );
        assert!(matches!(recall(2000), Some(Recalled::Ask(..))));
        assert!(recall(30_000).is_none());

        failures.remember(&name, None, &broken(), now);
        assert!(matches!(recall(999), Some(Recalled::Failed(_))));
        assert!(recall(1000).is_none());
        failures.remember(&name, None, &broken(), now);
        failures.forget("a");
        assert!(recall(0).is_none());
    }

    #[test]
    fn what_may_change_at_any_moment_is_not_remembered() {
        let failures = Failures::new(ASK);
        let (name, now) = (Arc::from("a"), Instant::now());
        let missing = LoadError::Repository(RepositoryError::NotFound("a".into()));
        let busy = LoadError::NoRoom(NoRoom::InUse { budget: 1 });
        for error in [missing, busy] {
            failures.remember(&name, None, &Arc::new(error), now);
            assert!(failures.recall("a", now).is_none());
        }
    }
}
