//! Which versions were the newest a moment ago, so that S3 need not be asked again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::repository::ModelName;

/// What S3 said lately. It grows with the number of artifacts, for callers only name what there is.
#[derive(Debug)]
pub(super) struct Recent {
    /// For how long an answer holds.
    after: Duration,
    seen: Mutex<HashMap<ModelName, (String, Instant)>>,
}

impl Recent {
    /// Answers hold for `after`; none does if that is zero.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            seen: Mutex::default(),
        }
    }

    /// `etag` was the newest of `name` when S3 was asked, which began at `asked`.
    pub(super) fn note(&self, name: &ModelName, etag: &str, asked: Instant) {
        self.lock().insert(name.clone(), (etag.to_owned(), asked));
    }

    /// The next one who needs `name` must ask.
    pub(super) fn forget(&self, name: &ModelName) {
        self.lock().remove(name);
    }

    /// When S3 was asked last and `etag` was the newest of `name`, if that was a moment ago.
    pub(super) fn when(&self, name: &ModelName, etag: &str) -> Option<Instant> {
        let seen = self.lock();
        let (known, asked) = seen.get(name)?;
        (known == etag && asked.elapsed() < self.after).then_some(*asked)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ModelName, (String, Instant)>> {
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
