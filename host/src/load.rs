//! The load sequence: from an artifact to a model that has a cell.
//!
//! unpack -> read settings -> compile -> link -> first cell (`model_fn`) -> snapshot. Each step's result is a
//! value that cleans up after itself when it is dropped, so a load that fails half-way leaves
//! nothing behind. Blocking steps run on their own threads; several artifacts are unpacked and
//! compiled side by side, but no more than there are processors, because each keeps them busy.

mod cells;
mod code;
pub mod compile;
pub mod compiler;
pub mod complexity;
mod error;
pub mod files;
pub mod progress;
pub mod rewrite;
pub mod runtimes;
pub mod settings;
pub mod snapshots;
mod tools;
pub mod unpack;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::budget::{Budget, Charge};
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::repository::{Freshness, ModelName, Repository, RepositoryError, Version};
use crate::sandbox::{CellPool, Isolation};
use cells::{CellMaker, CellPlan, Made};
use code::Component;
pub use error::LoadError;
use error::{compile_error, internal, model_fn_error, sandbox_error};
use files::{ModelFiles, check_foreign, open_archive, unpack_into};
use progress::{Progress, Stage};
use runtimes::Chosen;
use settings::ArtifactSettings;
pub use tools::Tools;
use unpack::UnpackLimits;

/// Where an artifact lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An artifact of the repository, by its name.
    Repository(ModelName),
    /// A `tar.gz`, `tar` or bare component.
    Archive(PathBuf),
    /// An unpacked artifact, as the SageMaker platform makes it. Not written to.
    Directory(PathBuf),
}

impl Source {
    /// What lies at `path`: a directory is an unpacked artifact.
    pub fn at(path: &Path) -> Self {
        if path.is_dir() {
            Self::Directory(path.to_owned())
        } else {
            Self::Archive(path.to_owned())
        }
    }
}

/// What the operator allows each model.
#[derive(Debug, Clone)]
pub struct ModelLimits {
    /// What an artifact may unpack to.
    pub unpack: UnpackLimits,
    /// Bytes of linear memory of one cell.
    pub cell_memory: usize,
    /// The least isolation of a model's requests from each other.
    pub isolation: Isolation,
    /// Cells of one model.
    pub cells: usize,
    /// Bytes of a guest's output that are logged for each request.
    pub guest_log: usize,
    /// Bytes of strings and lists that leave a cell in one call, an answer among them.
    pub transfer: usize,
    /// The longest time for one request.
    pub request_timeout: Duration,
    /// The longest time for one hook of a request.
    pub hook_timeout: Duration,
    /// The longest time for a load.
    pub load_timeout: Duration,
}

/// A model that is ready for requests.
pub struct Loaded {
    /// Its cells.
    pub cells: Arc<CellPool>,
    /// The longest time for one request.
    pub request_timeout: Duration,
    /// The runtime that serves it, if the artifact has no code of its own.
    pub runtime: Option<String>,
    /// The first line that `model_fn` printed.
    pub description: Option<String>,
    /// Which version of the repository's artifact it is, and when that was the newest.
    pub version: Option<(Version, tokio::time::Instant)>,
    _charge: Charge,
    // Last, because cells may read the files as long as they live, and their end tells of all the rest.
    files: ModelFiles,
}

impl Loaded {
    /// Bytes of the disk budget that its files hold.
    pub fn disk_bytes(&self) -> u64 {
        self.files.bytes()
    }

    /// Closes when the model has been dropped and everything of it is gone, its files included.
    pub fn ended(&self) -> watch::Receiver<()> {
        self.files.ended()
    }
}

/// Loads the models of one endpoint.
pub struct Loader {
    tools: Arc<Tools>,
    repository: Option<Arc<Repository>>,
    limits: ModelLimits,
    cells: CellMaker,
}

impl Loader {
    /// Loads models under the operator's limits: those of `repository`, and others that lie on this
    /// machine. What they hold is charged to `budget`.
    pub fn new(
        tools: Arc<Tools>,
        repository: Option<Arc<Repository>>,
        limits: ModelLimits,
        budget: Arc<Budget>,
    ) -> Self {
        Self {
            cells: CellMaker::new(&tools, budget),
            tools,
            repository,
            limits,
        }
    }

    /// A loader without a repository, for artifacts on this machine alone.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub fn local(settings: &Settings) -> Result<Self, String> {
        let tools = Tools::start(settings, Arc::new(Metrics::new()?))?;
        let budget = Budget::new(settings.memory_budget);
        Ok(Self::new(tools, None, settings.limits.clone(), budget))
    }

    /// What it shares with the loaders of other endpoints.
    pub fn tools(&self) -> &Arc<Tools> {
        &self.tools
    }

    /// What the operator allows each model.
    pub fn limits(&self) -> &ModelLimits {
        &self.limits
    }

    /// Loads the model `name` from `source`, and says in `progress` how far it is.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; nothing of the model is left then.
    pub async fn load(
        &self,
        name: &str,
        source: Source,
        progress: &Progress,
    ) -> Result<Loaded, LoadError> {
        let begin = Instant::now();
        let (files, version) = self.files(source, begin, progress).await?;
        let mut ended = files.ended();
        let result = self.load_files(name, files, version, begin, progress).await;
        if result.is_err() {
            // Nothing is ever sent: this returns when the files are gone.
            let _ = ended.changed().await;
        } else {
            self.tools
                .metrics
                .loading
                .observe(begin.elapsed().as_secs_f64());
        }
        result
    }

    /// Has the next load of `name` ask the repository for the newest version.
    pub fn forget(&self, name: &ModelName) {
        if let Some(repository) = &self.repository {
            repository.forget(name);
        }
    }

    /// Whether `version` is still what lies under `name` in the repository.
    ///
    /// # Errors
    ///
    /// As [`Repository::check`], and if there is no repository.
    pub async fn freshness(
        &self,
        name: &ModelName,
        version: &Version,
    ) -> Result<Freshness, RepositoryError> {
        match &self.repository {
            Some(repository) => repository.check(name, version).await,
            None => Err(RepositoryError::NotFound(name.to_string())),
        }
    }

    /// The model's files, and their version if they are from the repository.
    async fn files(
        &self,
        source: Source,
        begin: Instant,
        progress: &Progress,
    ) -> Result<(ModelFiles, Option<(Version, tokio::time::Instant)>), LoadError> {
        match source {
            Source::Directory(dir) => {
                let entries = self.limits.unpack.entries;
                let checked = dir.clone();
                spawn_blocking(move || check_foreign(&checked, entries))
                    .await
                    .map_err(internal)??;
                Ok((ModelFiles::foreign(dir), None))
            }
            Source::Archive(path) => {
                let archive = spawn_blocking(move || open_archive(&path))
                    .await
                    .map_err(internal)??;
                progress.enter(Stage::Unpacking);
                Ok((self.unpack(archive).await?, None))
            }
            Source::Repository(name) => {
                let repository = self.repository.as_ref();
                let repository = repository.ok_or_else(|| LoadError::NotFound(name.to_string()))?;
                let end = begin + self.limits.load_timeout;
                let artifact = repository.fetch(&name, end.into(), progress).await?;
                progress.found(&artifact.version);
                if progress.bytes().is_some() {
                    self.tools
                        .metrics
                        .downloading
                        .observe(begin.elapsed().as_secs_f64());
                }
                progress.enter(Stage::Unpacking);
                let file = artifact.file.try_clone().map_err(internal)?;
                let unpacked = self.unpack(file).await;
                // First, because what is read while somebody writes looks damaged.
                artifact.verify()?;
                Ok((unpacked?, Some((artifact.version, artifact.as_of))))
            }
        }
    }

    async fn load_files(
        &self,
        name: &str,
        files: ModelFiles,
        version: Option<(Version, tokio::time::Instant)>,
        begin: Instant,
        progress: &Progress,
    ) -> Result<Loaded, LoadError> {
        let end = begin + self.limits.load_timeout;
        let unpacked = begin.elapsed();
        check_time(end, "unpacking the artifact")?;
        progress.enter(Stage::Compiling);
        let (settings, component, runtime) = self.code(name, &files.path).await?;
        let given: &[_] = match runtime {
            Some(_) => self.tools.runtimes.environment(),
            None => &[],
        };
        let limits = &self.limits;
        let plan = CellPlan {
            model: name.into(),
            model_dir: files.path.as_path().into(),
            environment: settings.variables(given).into(),
            artifact: files.digest,
            memory_limit: settings.cell_memory(limits.cell_memory),
            transfer_limit: settings.transfer(limits.transfer),
            log_limit: limits.guest_log,
            hook_timeout: settings.hook_timeout(limits.hook_timeout),
            max_cells: settings.cells(limits.cells),
            isolation: settings.isolation(limits.isolation),
            strict: limits.isolation == Isolation::Request,
        };
        let made = self.cells.make(plan, component, progress, end.into());
        let Made {
            cells,
            origin,
            compiled,
            charge,
            description,
        } = made.await.map_err(|error| match &runtime {
            Some(runtime) => error.of_runtime(runtime),
            None => error,
        })?;
        tracing::info!(
            model = name,
            unpack_ms = millis(unpacked),
            compile_ms = millis(compiled - begin - unpacked),
            code = ?origin,
            model_fn_ms = millis(compiled.elapsed()),
            "loaded"
        );
        Ok(Loaded {
            cells,
            request_timeout: settings.request_timeout(self.limits.request_timeout),
            runtime,
            description,
            version,
            files,
            _charge: charge,
        })
    }

    /// The artifact's settings, its component, and the name of the runtime if it is one.
    async fn code(
        &self,
        model: &str,
        dir: &Path,
    ) -> Result<(ArtifactSettings, Component, Option<String>), LoadError> {
        let (dir, sandbox) = (dir.to_owned(), self.tools.sandbox.clone());
        let runtimes = self.tools.runtimes.clone();
        let found = spawn_blocking(move || {
            let settings = ArtifactSettings::read(&dir).map_err(LoadError::InvalidArtifact)?;
            let (component, chosen) = runtimes.component(sandbox.engine(), &dir, &settings)?;
            Ok::<_, LoadError>((settings, component, chosen))
        });
        let (settings, component, chosen) = found.await.map_err(internal)??;
        let runtime = chosen.map(|Chosen { name, why }| {
            tracing::info!(model, runtime = name, why, "the artifact carries data only");
            name
        });
        if let (None, Some(unused)) = (&runtime, &settings.runtime) {
            tracing::info!(model, "its model.wasm serves it, not the runtime {unused}");
        }
        Ok((settings, component, runtime))
    }

    async fn unpack(&self, archive: File) -> Result<ModelFiles, LoadError> {
        // The semaphores are never closed.
        let _slot = self.tools.unpacking.acquire().await.map_err(internal)?;
        let workspace = self.tools.workspace.clone();
        let limits = self.limits.unpack;
        spawn_blocking(move || unpack_into(&workspace, archive, &limits))
            .await
            .map_err(internal)?
    }
}

/// Unpacking cannot be broken off, so the time is looked at when it is done.
fn check_time(end: Instant, step: &'static str) -> Result<(), LoadError> {
    if Instant::now() < end {
        return Ok(());
    }
    Err(LoadError::Deadline(step))
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 1e2
}
