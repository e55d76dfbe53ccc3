//! Models that are loaded in this process: what a cell costs, without HTTP.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use modelcell::config::Options;
use modelcell::hooks::{HookTimes, Payload, Request};
use modelcell::load::progress::Progress;
use modelcell::load::{Loaded, Loader, Source};
use modelcell::sandbox::Isolation;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant as Deadline;

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Room for everything that is measured here.
const AMPLE: u64 = 16 << 30;

/// A host of the library alone, and the threads that its loads run on.
pub struct InProcess {
    runtime: Runtime,
    loader: Loader,
    /// One model after the other lies here while it is loaded.
    next: Mutex<u64>,
    dir: TempDir,
}

/// A request's answer and what it cost.
pub struct Answered {
    /// The answer.
    pub payload: Payload,
    /// To come by a cell.
    pub lease: Duration,
    /// The three hooks, each by the host's own clock.
    pub hooks: HookTimes,
    /// All of it, until the cell was gone or back in its pool.
    pub total: Duration,
}

impl InProcess {
    /// Starts a host whose models have at most `cells` cells each.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn start(cells: usize) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let options = Options {
            cache_dir: Some(dir.path().join("cache")),
            cells_per_model: Some(cells),
            max_cells: Some(cells),
            ..Options::default()
        };
        let mut settings = options.resolve(&|_| None)?;
        settings.memory_budget = AMPLE;
        Ok(Self {
            runtime: Runtime::new().map_err(|e| e.to_string())?,
            loader: Loader::local(&settings)?,
            next: Mutex::default(),
            dir,
        })
    }

    /// Where requests are to run.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Loads a model of `component` and its `files`, and waits until its cells are as `isolation` says:
    /// fresh ones start from a snapshot, whose code may have to be compiled first. Without a component
    /// the files are for a runtime, of those beside the program.
    ///
    /// # Errors
    ///
    /// One line that says what failed, or why there is no snapshot.
    pub fn load(
        &self,
        component: Option<&Path>,
        files: &[(&str, &[u8])],
        isolation: Isolation,
    ) -> Result<Loaded, String> {
        let timed = self.load_timed(component, files, isolation)?;
        Ok(timed.0)
    }

    /// Loads a model likewise, and says how long the host took until it would answer. Not in that: putting
    /// the files in place, and the wait for code that had to be compiled.
    ///
    /// # Errors
    ///
    /// One line that says what failed, or why there is no snapshot.
    pub fn load_timed(
        &self,
        component: Option<&Path>,
        files: &[(&str, &[u8])],
        isolation: Isolation,
    ) -> Result<(Loaded, Duration), String> {
        let named = |e: std::io::Error| e.to_string();
        let number = {
            let mut next = self.next.lock().map_err(|e| e.to_string())?;
            *next += 1;
            *next
        };
        let artifact = self.dir.path().join(format!("{number:05}"));
        fs::create_dir(&artifact).map_err(named)?;
        if let Some(component) = component {
            fs::copy(component, artifact.join("model.wasm")).map_err(named)?;
        }
        for (name, content) in files {
            fs::write(artifact.join(name), content).map_err(named)?;
        }
        if isolation == Isolation::Model {
            fs::write(artifact.join("modelcell.toml"), REUSE).map_err(named)?;
        }
        let source = Source::Directory(artifact.clone());
        let progress = Progress::default();
        let load = self.loader.load("bench", source, &progress);
        let begin = Instant::now();
        let loaded = self.runtime.block_on(load).map_err(|e| e.to_string())?;
        let time = begin.elapsed();
        // These models read their files in model_fn alone, and a thousand of them fill a disk.
        fs::remove_dir_all(&artifact).map_err(named)?;
        wait_for_snapshot(&loaded, isolation)?;
        Ok((loaded, time))
    }

    /// Asks `request` of `loaded`.
    ///
    /// # Errors
    ///
    /// What the host or the guest says.
    pub fn ask(&self, loaded: &Loaded, request: &Request) -> Result<Answered, String> {
        self.runtime.block_on(ask(loaded, request))
    }
}

/// The settings of an artifact whose cells are reused.
pub const REUSE: &str = "isolation = \"model\"\n";

/// Asks `request` of `loaded`.
///
/// # Errors
///
/// What the host or the guest says.
pub async fn ask(loaded: &Loaded, request: &Request) -> Result<Answered, String> {
    let begin = Instant::now();
    let deadline = Deadline::from_std(begin + PATIENCE);
    let lease = loaded.cells.lease(deadline).await;
    let lease = lease.map_err(|e| e.to_string())?;
    let leased = Instant::now();
    let answer = lease.invoke(request.clone(), deadline).await;
    let end = Instant::now();
    let answer = answer.map_err(|e| e.to_string())?;
    Ok(Answered {
        payload: answer.payload,
        lease: leased - begin,
        hooks: answer.times,
        total: end - begin,
    })
}

fn wait_for_snapshot(loaded: &Loaded, isolation: Isolation) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        let state = loaded.cells.isolation();
        if let Some(reason) = state.reason {
            return Err(format!("there is no snapshot: {reason}"));
        }
        if state.isolation != isolation {
            return Err(format!("the isolation is {:?}", state.isolation));
        }
        if isolation == Isolation::Model || state.snapshot {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err("the snapshot's code was not compiled in time".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
