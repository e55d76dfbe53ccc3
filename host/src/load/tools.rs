//! What the loaders of all endpoints share.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::runtimes::Runtimes;
use crate::background::BackgroundThreads;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::sandbox::Sandbox;
use crate::workspace::Workspace;

/// The engine, the cache directory, the runtimes and the threads for loads: one of each in a process.
pub struct Tools {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) workspace: Arc<Workspace>,
    pub(super) runtimes: Arc<Runtimes>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) unpacking: Semaphore,
    pub(super) compiling: Arc<Semaphore>,
    threads: BackgroundThreads,
}

impl Tools {
    /// Opens the cache directory and starts the engine.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> Result<Arc<Self>, String> {
        let workspace = Arc::new(Workspace::open(
            &settings.cache_dir,
            settings.disk_budget,
            &settings.compile,
        )?);
        // Unpacking and compiling keep a processor busy each.
        let parallel = std::thread::available_parallelism().map_or(1, |n| n.get());
        Ok(Arc::new(Self {
            sandbox: Arc::new(Sandbox::new(settings.max_cells).map_err(|e| e.to_string())?),
            workspace,
            runtimes: Arc::new(Runtimes::new(settings.runtimes.clone())),
            metrics,
            unpacking: Semaphore::new(parallel),
            compiling: Arc::new(Semaphore::new(parallel)),
            threads: BackgroundThreads::start("load")?,
        }))
    }

    /// The threads that loads are to run on.
    pub fn threads(&self) -> &Handle {
        self.threads.handle()
    }

    /// The engine and what its cells did.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The cache directory.
    pub fn workspace(&self) -> &Arc<Workspace> {
        &self.workspace
    }
}
