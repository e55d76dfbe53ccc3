//! Makes room in memory and on disk: the least recently used model that may goes, one at a time; if
//! none may, idle cells beyond the first of models that stay.

use std::sync::Arc;
use std::time::Instant;

use super::Models;
use super::model::Model;
use super::table::Entry;
use crate::budget::Evict;
use crate::workspace::disk::DiskFull;

impl Evict for Models {
    fn evictable(&self) -> u64 {
        let table = self.lock();
        let all = table.evictable().map(|model| would_free(model));
        let spare = table
            .staying()
            .map(|model| model.loaded().cells.spare_bytes());
        all.chain(spare).sum()
    }

    fn evict_one(&self) -> bool {
        match self.take_victim() {
            Some(model) => {
                self.free(model);
                true
            }
            None => self.trim_one(),
        }
    }
}

impl Models {
    /// Lets a model go for `full`, if all that may go would be enough. Returns whether to try again.
    pub(super) async fn make_room_on_disk(&self, full: DiskFull) -> bool {
        let DiskFull::Budget { needs, limit, held } = full else {
            return false;
        };
        let evictable: u64 = {
            let table = self.lock();
            table
                .evictable()
                .map(|model| model.loaded().disk_bytes())
                .sum()
        };
        if !self.evicts || held.saturating_sub(evictable).saturating_add(needs) > limit {
            return false;
        }
        let Some(model) = self.take_victim() else {
            return false;
        };
        let mut ended = model.loaded().ended();
        self.free(model);
        // Nothing is ever sent: this returns when the files are gone.
        let _ = ended.changed().await;
        true
    }

    /// Takes the model that goes next out of the table.
    fn take_victim(&self) -> Option<Arc<Model>> {
        let mut table = self.lock();
        let name = table.victim(Instant::now())?;
        match table.remove(&name)? {
            Entry::Ready(model, _) => Some(model),
            Entry::Loading(_) => None,
        }
    }

    /// Ends a model that was taken out of the table; outside of its lock, because it frees memory.
    fn free(&self, model: Arc<Model>) {
        let begin = Instant::now();
        self.metrics.evictions.inc();
        tracing::info!(
            model = &*model.name,
            bytes = model.loaded().cells.usage().bytes,
            "evicted to make room"
        );
        drop(model);
        self.metrics
            .unloading
            .observe(begin.elapsed().as_secs_f64());
    }

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

/// What ending a model gives back: its cells, and its part of the code that others may share.
fn would_free(model: &Model) -> u64 {
    let loaded = model.loaded();
    let users = Arc::strong_count(&loaded.code) as u64;
    loaded.cells.usage().bytes + loaded.code.bytes() / users
}
