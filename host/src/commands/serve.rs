//! `modelcell serve`

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Options, Settings};
use crate::host::Host;
use crate::load::compiler::Compiler;
use crate::server;

/// Serve the models of a repository over HTTP.
///
/// Callers send POST /invocations and name a model in the header X-Amzn-SageMaker-Target-Model or
/// the query parameter TargetModel; a model is loaded when it is first named. The port also speaks
/// SageMaker's container contract: GET /ping and the model-management API under /models.
///
/// Sizes are written 512MiB, times 30s. Each flag may also be set in the environment or in a file
/// (--config) under the flag's name; flags win over the environment, and that over the file.
#[derive(Debug, Args)]
pub struct Serve {
    /// A settings file (TOML) with the names of the flags below, such as `max-body = "6MiB"`.
    #[arg(long, env = "MODELCELL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), String> {
        let file = match &self.config {
            Some(file) => Options::read(file)?,
            None => Options::default(),
        };
        let mut settings = self.options.or(file).resolve(&super::environment)?;
        settings.compile.compiler = Compiler::of_this_program();
        settings.require_models()?;
        settings.require_access()?;
        raise_file_limit();
        let runtime = Runtime::new().map_err(|e| format!("threads cannot be started: {e}"))?;
        let drained = runtime.block_on(serve(settings))?;
        if !drained {
            tracing::warn!("some requests were not finished in time and were cut off");
        }
        // Not to wait for a compilation that nobody needs any more.
        runtime.shutdown_background();
        Ok(())
    }
}

async fn serve(settings: Settings) -> Result<bool, String> {
    // Before the port opens, so that whoever sees it open can also stop the server.
    let shutdown = shutdown_signal().map_err(|e| format!("signals cannot be handled: {e}"))?;
    let bind = settings.bind;
    // Without a handler the signal would end the process.
    let hangup =
        signal(SignalKind::hangup()).map_err(|e| format!("signals cannot be handled: {e}"))?;
    let host = Arc::new(Host::start(settings).await?);
    tokio::spawn(reload_keys(Arc::downgrade(&host), hangup));
    let listener = TcpListener::bind(bind)
        .await
        .map_err(|e| format!("cannot listen on {bind}: {e} (choose another with --bind)"))?;
    let address = listener.local_addr().unwrap_or(bind);
    tracing::info!("listening on http://{address}");
    Ok(server::serve(host, listener, shutdown).await)
}

/// Reads the keys file again at each SIGHUP.
///
/// It does not keep the host alive, whose end removes its files.
async fn reload_keys(host: Weak<Host>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let Some(host) = host.upgrade() else { return };
        // Reading a file blocks.
        let _ = tokio::task::spawn_blocking(move || host.access.reload()).await;
    }
}

/// Ends at the first SIGTERM or SIGINT.
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Each connection and each cell has a file open, and many systems allow only 1,024 by default.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
