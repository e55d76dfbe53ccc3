//! What the commands that load a model without a server have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::config::Options;
use crate::load::compiler::Compiler;
use crate::load::progress::Progress;
use crate::load::{Loaded, Loader, Source};
use crate::sandbox::Isolation;

/// How often to look for the snapshot's code, which may have to be compiled first, and for how long.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// Where such a command finds things.
#[derive(Debug, Args)]
pub(super) struct Places {
    /// Where compiled code is kept [default: ~/.cache/modelcell].
    #[arg(long, env = "MODELCELL_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,

    /// The folder with the runtimes, components for artifacts without code: NAME.wasm each [default:
    /// `runtimes` beside the program].
    #[arg(long, env = "MODELCELL_RUNTIMES", value_name = "DIR")]
    runtimes: Option<PathBuf>,
}

/// A loader and the threads that its models run on.
pub(super) struct Local {
    pub(super) threads: Runtime,
    loader: Loader,
}

impl Places {
    pub(super) fn start(self) -> Result<Local, String> {
        let options = Options {
            cache_dir: self.cache_dir,
            runtimes: self.runtimes,
            ..Options::default()
        };
        let mut settings = options.resolve(&super::environment)?;
        settings.compile.compiler = Compiler::of_this_program();
        Ok(Local {
            loader: Loader::local(&settings)?,
            threads: Runtime::new().map_err(|e| format!("threads cannot be started: {e}"))?,
        })
    }
}

impl Local {
    /// Loads the artifact at `path`. Its name is that of the file.
    pub(super) fn load(&self, path: &Path) -> Result<(String, Loaded), String> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let progress = Progress::default();
        let loading = self.loader.load(&name, Source::at(path), &progress);
        let loaded = self.threads.block_on(loading);
        Ok((name, loaded.map_err(|e| e.to_string())?))
    }

    /// Waits until the model's cells start from its snapshot, if they are going to: until then it takes
    /// more memory.
    pub(super) fn settle(&self, loaded: &Loaded) {
        let settled = async {
            loop {
                let state = loaded.cells.isolation();
                if state.snapshot || state.reason.is_some() || state.isolation == Isolation::Model {
                    return;
                }
                sleep(PAUSE).await;
            }
        };
        // Who looks at a model can do without its exact size.
        let _ = self
            .threads
            .block_on(async { timeout(PATIENCE, settled).await });
    }
}
