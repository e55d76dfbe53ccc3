//! What all requests share.

use std::sync::Arc;

use crate::budget::Budget;
use crate::config::Settings;
use crate::load::Loader;
use crate::metrics::Metrics;
use crate::models::{Models, Policy};
use crate::repository::Repository;
use crate::workspace::Workspace;
use crate::workspace::disk::Disk;

/// The host: its settings, its repository and its models.
pub struct Host {
    /// As the operator gave them.
    pub settings: Settings,
    /// Where target models come from. None in SageMaker's multi-model mode, where the platform
    /// says what to load.
    pub repository: Option<Arc<Repository>>,
    /// What is loaded.
    pub models: Arc<Models>,
    /// The memory that models may hold.
    pub budget: Arc<Budget>,
    /// The disk that the cache directory may take.
    pub disk: Arc<Disk>,
    /// What operators watch.
    pub metrics: Arc<Metrics>,
    /// The memory that bodies and answers of requests in flight may hold.
    pub buffers: Arc<Budget>,
}

impl Host {
    /// Opens the repository and the cache directory and starts the engine.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub async fn start(settings: Settings) -> Result<Self, String> {
        let workspace = Arc::new(Workspace::open(
            &settings.cache_dir,
            settings.disk_budget,
            &settings.compile,
        )?);
        let repository = match &settings.repository {
            Some(options) => Some(Arc::new(Repository::open(options, &workspace).await?)),
            None => None,
        };
        let budget = Budget::new(settings.memory_budget);
        let metrics = Arc::new(Metrics::new()?);
        let disk = workspace.disk().clone();
        let loader = Loader::start(
            workspace,
            repository.clone(),
            settings.limits.clone(),
            settings.runtimes.clone(),
            budget.clone(),
            metrics.clone(),
        )?;
        let policy = Policy {
            budget: budget.clone(),
            evicts: !settings.multi_model,
            min_residency: settings.min_residency,
            repository: repository.clone(),
            revalidate_after: settings.revalidate_after,
            pins: settings.pins.clone(),
        };
        Ok(Self {
            models: Models::start(loader, policy, metrics.clone()),
            buffers: Budget::new(settings.request_memory),
            settings,
            repository,
            budget,
            disk,
            metrics,
        })
    }
}
