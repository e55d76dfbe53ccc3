//! Makes room in memory: the least recently used model that may goes, one at a time; if none may,
//! idle cells beyond the first of models that stay.

use std::time::Instant;

use super::Models;
use super::table::Entry;
use crate::budget::Evict;

impl Evict for Models {
    fn evictable(&self) -> u64 {
        let table = self.lock();
        let spare = table
            .staying()
            .map(|model| model.loaded().cells.spare_bytes());
        table.evictable() + spare.sum::<u64>()
    }

    fn evict_one(&self) -> bool {
        let begin = Instant::now();
        let victim = {
            let mut table = self.lock();
            let name = table.victim(begin);
            name.and_then(|name| table.remove(&name))
        };
        let Some(Entry::Ready(model, since)) = victim else {
            return self.trim_one();
        };
        self.metrics.evictions.inc();
        tracing::info!(
            model = &*model.name,
            bytes = model.loaded().cells.usage().bytes,
            loaded_for = ?since.elapsed(),
            "evicted to make room"
        );
        // Outside of the lock, because it frees memory.
        drop(model);
        self.metrics
            .unloading
            .observe(begin.elapsed().as_secs_f64());
        true
    }
}

impl Models {
    /// Lets go of the idle cells that a model which stays does not need.
    fn trim_one(&self) -> bool {
        let spare = {
            let table = self.lock();
            let mut staying = table.staying();
            staying
                .find(|model| model.loaded().cells.spare_bytes() > 0)
                .cloned()
        };
        spare.is_some_and(|model| model.loaded().cells.trim())
    }
}
