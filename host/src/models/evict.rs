//! Makes room in memory and on disk: the least recently used model that may goes, one at a time; if
//! none may, idle cells beyond what models that stay need.
//!
//! In SageMaker's multi-model mode no model goes, because the platform would not know; idle cells do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::Models;
use super::model::Model;
use super::table::Entry;
use crate::budget::{Evict, NoRoom};
use crate::sandbox::CellCode;
use crate::workspace::disk::DiskFull;

impl Evict for Models {
    fn can_free(&self, bytes: u64) -> bool {
        let table = self.lock();
        let mut found = 0;
        let mut code: HashMap<*const CellCode, usize> = HashMap::new();
        for (name, model, _) in table.ready() {
            let loaded = model.loaded();
            if !self.evicts || !table.may_go(name, model) {
                found += loaded.cells.spare_bytes();
                continue;
            }
            found += loaded.cells.usage().bytes;
            // Code is free when all who share it have gone.
            let shared = loaded.cells.code();
            let gone = code.entry(Arc::as_ptr(&shared)).or_default();
            *gone += 1;
            // Less the one here.
            if *gone == Arc::strong_count(&shared) - 1 {
                found += shared.bytes();
            }
            if found >= bytes {
                return true;
            }
        }
        found >= bytes
    }

    fn evict_one(&self) -> bool {
        let victim = match self.evicts {
            true => self.take_victim(|_| true),
            false => None,
        };
        match victim {
            Some(model) => {
                self.free(model);
                true
            }
            None => self.trim_one(),
        }
    }

    fn no_room(&self, budget: u64) -> NoRoom {
        match self.evicts {
            true => NoRoom::InUse { budget },
            false => NoRoom::Full { budget },
        }
    }
}

/// The models of all endpoints, whose files are on one disk.
#[derive(Default)]
pub struct Neighbours(Mutex<Vec<Weak<Models>>>);

impl Neighbours {
    pub(super) fn add(&self, models: Weak<Models>) {
        self.lock().push(models);
    }

    /// Those of all endpoints, `first` first.
    fn beginning_with(&self, first: &Models) -> Vec<Arc<Models>> {
        let mut all: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        all.sort_by_key(|models| !std::ptr::eq(&**models, first));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Models>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Models {
    /// Lets a model go for `full`, if all that may go would be enough: one of this endpoint, or else
    /// one of another. Returns whether to try again.
    pub(super) async fn make_room_on_disk(&self, full: DiskFull) -> bool {
        let DiskFull::Budget { needs, limit, held } = full else {
            return false;
        };
        let all = self.neighbours.beginning_with(self);
        let evictable: u64 = all.iter().map(|models| models.evictable_on_disk()).sum();
        if !self.evicts || held.saturating_sub(evictable).saturating_add(needs) > limit {
            return false;
        }
        let on_disk = |model: &Arc<Model>| model.loaded().disk_bytes() > 0;
        let mut found = all
            .iter()
            .filter_map(|models| Some((models, models.take_victim(on_disk)?)));
        let Some((models, model)) = found.next() else {
            return false;
        };
        let mut ended = model.loaded().ended();
        models.free(model);
        // Nothing is ever sent: this returns when the files are gone.
        let _ = ended.changed().await;
        true
    }

    fn evictable_on_disk(&self) -> u64 {
        let table = self.lock();
        let files = table.evictable().map(|model| model.loaded().disk_bytes());
        files.sum()
    }

    /// Takes the model that goes next out of the table.
    fn take_victim(&self, helps: impl Fn(&Arc<Model>) -> bool) -> Option<Arc<Model>> {
        let mut table = self.lock();
        let name = table.victim(Instant::now(), helps)?;
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
            model = &*self.label(&model.name),
            bytes = model.loaded().cells.usage().bytes,
            "evicted to make room"
        );
        drop(model);
        self.metrics
            .unloading
            .observe(begin.elapsed().as_secs_f64());
    }

    /// Lets go of the idle cells that a model does not need.
    fn trim_one(&self) -> bool {
        let spare = {
            let table = self.lock();
            let mut models = table.ready().rev().map(|(_, model, _)| model);
            models
                .find(|model| model.loaded().cells.spare_bytes() > 0)
                .cloned()
        };
        spare.is_some_and(|model| model.loaded().cells.trim())
    }
}
