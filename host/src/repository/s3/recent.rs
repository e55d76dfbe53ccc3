//! Which versions were the newest a moment ago, so that S3 need not be asked again.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::repository::ModelName;

/// Names that are remembered. Forgetting one costs a request.
const NAMES: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// What S3 said lately.
#[derive(Debug)]
pub(super) struct Recent {
    /// For how long an answer holds.
    after: Duration,
    seen: Mutex<LruCache<ModelName, (String, Instant)>>,
}

impl Recent {
    /// Answers hold for `after`; none does if that is zero.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            seen: Mutex::new(LruCache::new(NAMES)),
        }
    }

    /// `etag` was the newest of `name` when S3 was asked, which began at `asked`.
    /// What was asked later counts, whatever is answered first.
    pub(super) fn note(&self, name: &ModelName, etag: &str, asked: Instant) {
        let mut seen = self.lock();
        let later = seen.peek(name).is_some_and(|(_, known)| *known > asked);
        if !later {
            seen.put(name.clone(), (etag.to_owned(), asked));
        }
    }

    /// The next one who needs `name` must ask.
    pub(super) fn forget(&self, name: &ModelName) {
        self.lock().pop(name);
    }

    /// When S3 was asked last and `etag` was the newest of `name`, if that was a moment ago.
    pub(super) fn when(&self, name: &ModelName, etag: &str) -> Option<Instant> {
        let seen = self.lock();
        let (known, asked) = seen.peek(name)?;
        (known == etag && asked.elapsed() < self.after).then_some(*asked)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<ModelName, (String, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_its_version_and_time() {
        let name = ModelName::parse("m.tar.gz").unwrap();
        let recent = Recent::new(Duration::from_secs(60));
        assert!(recent.when(&name, "1").is_none());
        recent.note(&name, "1", Instant::now());
        assert!(recent.when(&name, "1").is_some());
        assert!(recent.when(&name, "2").is_none());
        recent.forget(&name);
        assert!(recent.when(&name, "1").is_none());

        let always = Recent::new(Duration::ZERO);
        always.note(&name, "1", Instant::now());
        assert!(always.when(&name, "1").is_none());
    }
}
