//! Pinned models: loaded at the start, never evicted, and brought back if they go.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::Models;
use crate::load::Source;
use crate::repository::ModelName;
use crate::sandbox::printable;

/// How long after a look at the pinned models the next one comes.
const PAUSE: Duration = Duration::from_secs(5);

/// A pinned model's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name.
    pub name: ModelName,
    /// Whether it is loaded.
    pub ready: bool,
    /// Why it could not be loaded the last time.
    pub error: Option<String>,
}

/// Loads the pinned models, and again whenever one is missing, as long as there is a host.
pub(super) async fn keep_pinned(models: Weak<Models>) {
    loop {
        let Some(models) = models.upgrade() else {
            return;
        };
        let names: Vec<_> = models.lock_pins().keys().cloned().collect();
        let loads = names.into_iter().map(|name| {
            let models = models.clone();
            tokio::spawn(async move { models.load_pin(&name).await })
        });
        for load in loads.collect::<Vec<_>>() {
            // A load that panicked is tried again like one that failed.
            let _ = load.await;
        }
        drop(models);
        tokio::time::sleep(PAUSE).await;
    }
}

impl Models {
    /// The pinned models, in the order of their names.
    pub fn pins(&self) -> Vec<Pin> {
        let pins = self.lock_pins().clone();
        let pin = |(name, error): (ModelName, _)| Pin {
            ready: self.is_ready(name.as_str()),
            error,
            name,
        };
        pins.into_iter().map(pin).collect()
    }

    async fn load_pin(self: &Arc<Self>, name: &ModelName) {
        if self.is_ready(name.as_str()) {
            return;
        }
        let source = Source::Repository(name.clone());
        let deadline = Instant::now() + self.load_timeout();
        let result = self
            .get_or_load(name.as_str(), name.as_str(), source, deadline)
            .await;
        // It is in the log since it happened.
        let error = result.err().map(|error| printable(&error.to_string()));
        self.lock_pins().insert(name.clone(), error);
    }

    fn lock_pins(&self) -> MutexGuard<'_, BTreeMap<ModelName, Option<String>>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
