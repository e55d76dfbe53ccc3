//! What all requests share.

use std::sync::Arc;

use crate::config::Settings;
use crate::load::Loader;
use crate::models::Models;
use crate::repository::Repository;
use crate::workspace::Workspace;

/// The host: its settings, its repository and its models.
pub struct Host {
    /// As the operator gave them.
    pub settings: Settings,
    /// Where target models come from. None in SageMaker's multi-model mode, where the platform
    /// says what to load.
    pub repository: Option<Arc<Repository>>,
    /// What is loaded.
    pub models: Models,
}

impl Host {
    /// Opens the repository and the cache directory and starts the engine.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub async fn start(settings: Settings) -> Result<Self, String> {
        let workspace = Arc::new(Workspace::open(&settings.cache_dir, settings.disk_budget)?);
        let repository = match &settings.repository {
            Some(options) => Some(Arc::new(Repository::open(options, &workspace).await?)),
            None => None,
        };
        let loader = Loader::start(workspace, repository.clone(), settings.limits.clone())?;
        Ok(Self {
            settings,
            repository,
            models: Models::new(Arc::new(loader)),
        })
    }
}
