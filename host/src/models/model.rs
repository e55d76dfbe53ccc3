//! A loaded model, who uses it, and what it has done.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::refresh::Origin;
use super::table::Resident;
use crate::hooks::HookTimes;
use crate::load::Loaded;

/// A model that is ready for requests.
pub struct Model {
    /// The name under which it is invoked.
    pub name: Arc<str>,
    /// Where it came from, as the one who asked for it put it.
    pub url: String,
    /// When it became ready.
    pub loaded_at: SystemTime,
    /// What it has done so far, its earlier versions included.
    pub stats: Arc<Stats>,
    /// Which version of the repository's artifact it is. None if it is not from the repository.
    pub origin: Option<Origin>,
    pub(super) loaded: Loaded,
    pub(super) users: AtomicUsize,
}

impl Model {
    /// Its cells and limits.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }
}

impl Resident for Arc<Model> {
    fn in_use(&self) -> bool {
        self.users.load(Ordering::Acquire) > 0
    }
}

/// A model in use: as long as this lives it is not evicted.
pub struct InUse(Arc<Model>);

impl InUse {
    /// Called under the table's lock, or the model may be evicted at the same moment: its memory is
    /// then free when this is dropped.
    pub(super) fn of(model: &Arc<Model>) -> Self {
        model.users.fetch_add(1, Ordering::AcqRel);
        Self(model.clone())
    }

    /// The model itself.
    pub fn model(&self) -> &Arc<Model> {
        &self.0
    }
}

impl Deref for InUse {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.loaded.cells.account().budget().notify();
        }
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
        let nanos = |n: &AtomicU64| Duration::from_nanos(n.load(Ordering::Relaxed));
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
