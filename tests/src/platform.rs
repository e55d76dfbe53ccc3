//! What SageMaker does around a container of a multi-model endpoint.
//!
//! [`Platform`] has the artifacts, unpacks one when it is first asked for, has the container load it,
//! and when that answers that memory is short, unloads models until it does. It knows what it has
//! loaded and finds it a fault if the container says otherwise. Meanwhile [`Watch`] asks whether the
//! container is well, as the platform does.
//!
//! - [`launch`]: how a container is started, in an image or as the bare binary
//! - [`container`]: LOAD, INVOKE, LIST and UNLOAD
//! - [`disk`]: artifacts and unpacked models
//! - [`watch`]: the health check

pub mod container;
pub mod disk;
pub mod launch;
pub mod watch;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::Reply;
pub use container::Container;
use disk::Disk;
pub use disk::hash;
pub use launch::{Launch, SAFE_PORTS};
use watch::Watch;

/// A platform with one container. Derefs to the [`Container`], for calls that it does not make itself.
pub struct Platform {
    // Before the container, which must not go first.
    watch: Watch,
    disk: Disk,
    table: Mutex<Table>,
    idle: Condvar,
    container: Container,
}

/// What the platform believes is loaded, by the names that callers know.
#[derive(Default)]
struct Table {
    models: BTreeMap<String, Loaded>,
    uses: u64,
    told_full: u64,
}

#[derive(Default)]
struct Loaded {
    last_use: u64,
    /// Each request has another one.
    requests: Arc<()>,
}

impl Loaded {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.requests) == 1
    }
}

impl Platform {
    /// Starts a container and begins to ask whether it is well.
    ///
    /// # Panics
    ///
    /// If it does not become healthy.
    pub fn start(launch: Launch) -> Self {
        let container = launch.start();
        Self {
            watch: Watch::begin(container.launch().port()),
            disk: Disk::new(container.launch().models()),
            table: Mutex::default(),
            idle: Condvar::new(),
            container,
        }
    }

    /// Puts an artifact where models come from.
    pub fn store(&self, target: &str, artifact: &[u8]) {
        self.disk.store(target, artifact);
    }

    /// Unpacks a model without loading it; returns the url that a LOAD would have.
    pub fn unpack(&self, target: &str) -> String {
        self.disk.unpack(target);
        self.container.url(&hash(target))
    }

    /// Asks a model with a text, as for a caller of InvokeEndpoint: it is loaded if it is not, and
    /// others are unloaded if that is what it takes. The answer is the model's, or that of the LOAD
    /// that failed.
    ///
    /// # Panics
    ///
    /// If the container does not answer, or has other models than it should have.
    pub fn ask(&self, target: &str, body: &str) -> Reply {
        let _taken = match self.take(target) {
            Ok(taken) => taken,
            Err(reply) => return *reply,
        };
        self.container.invoke(&hash(target), target, body)
    }

    /// Unloads a model, also one that is in use, and deletes its files.
    ///
    /// # Panics
    ///
    /// If the container does not do it, or has other models than it should have afterwards.
    #[track_caller]
    pub fn retire(&self, target: &str) {
        self.retire_from(&mut self.lock(), target);
    }

    /// The models that are loaded, as the platform knows it.
    pub fn loaded(&self) -> Vec<String> {
        self.lock().models.keys().cloned().collect()
    }

    /// How many LOADs the container answered with 507.
    pub fn told_full(&self) -> u64 {
        self.lock().told_full
    }

    /// Sends SIGTERM. What was asked all the time is not from then on, because it may be refused.
    ///
    /// # Panics
    ///
    /// If the container was not well before.
    pub fn terminate(&mut self) -> Duration {
        let slowest = self.watch.end();
        self.container.terminate();
        slowest
    }

    /// The container, to wait for its end.
    pub fn container(&mut self) -> &mut Container {
        &mut self.container
    }

    /// Has a model loaded, and not unloaded for others until it is given back; the LOAD's answer if that
    /// fails.
    fn take(&self, target: &str) -> Result<Taken<'_>, Box<Reply>> {
        let mut table = self.lock();
        while !table.models.contains_key(target) {
            let reply = self.bring(target);
            match reply.status {
                200 => {
                    table.models.insert(target.to_owned(), Loaded::default());
                    self.check(&table);
                }
                507 if !table.models.is_empty() => {
                    table.told_full += 1;
                    table = self.make_room(table);
                }
                _ => {
                    self.disk.remove(target);
                    self.check(&table);
                    return Err(reply.into());
                }
            }
        }
        table.uses += 1;
        let use_number = table.uses;
        let model = table.models.get_mut(target).unwrap();
        model.last_use = use_number;
        Ok(Taken {
            request: Some(model.requests.clone()),
            platform: self,
        })
    }

    fn bring(&self, target: &str) -> Reply {
        let url = self.unpack(target);
        self.container.load(&hash(target), &url, target)
    }

    /// Unloads the least recently used model, or waits until one can be.
    fn make_room<'a>(&self, mut table: MutexGuard<'a, Table>) -> MutexGuard<'a, Table> {
        let unused = table.models.iter().filter(|(_, model)| model.is_idle());
        let oldest = unused.min_by_key(|(_, model)| model.last_use);
        match oldest.map(|(target, _)| target.clone()) {
            Some(target) => {
                self.retire_from(&mut table, &target);
                table
            }
            None => self.idle.wait(table).unwrap(),
        }
    }

    fn retire_from(&self, table: &mut Table, target: &str) {
        self.container.unload(&hash(target), target).ok();
        table.models.remove(target);
        self.disk.remove(target);
        self.check(table);
    }

    /// The container must have what the platform believes that it has.
    fn check(&self, table: &Table) {
        let mut expected: Vec<_> = table
            .models
            .keys()
            .map(|target| hash(target))
            .map(|hash| (hash.clone(), self.container.url(&hash)))
            .collect();
        expected.sort();
        assert_eq!(self.container.list(), expected);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }
}

impl Deref for Platform {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

/// A request that keeps its model from being unloaded.
struct Taken<'a> {
    request: Option<Arc<()>>,
    platform: &'a Platform,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Between two looks of whoever waits; after a panic nobody does.
        let _table = self.platform.table.lock();
        self.request.take();
        self.platform.idle.notify_all();
    }
}
