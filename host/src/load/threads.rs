//! The threads that load models: others than those that serve requests, and of lower priority, so that
//! a request to a loaded model does not wait for the `model_fn` of another one.

use tokio::runtime::{Builder, Handle, Runtime};

/// How much the kernel prefers other threads, from 0 (not at all) to 19. At 10 a thread gets a ninth
/// of what one that serves requests gets, if both want the same processor.
pub(super) const NICENESS: i32 = 10;

/// A runtime for loads.
pub(super) struct LoadThreads {
    handle: Handle,
    /// None when it ends.
    runtime: Option<Runtime>,
}

impl LoadThreads {
    /// Starts as many threads as there are processors.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub(super) fn start() -> Result<Self, String> {
        Builder::new_multi_thread()
            .enable_all()
            .thread_name("load")
            .on_thread_start(|| {
                // On Linux this is of the calling thread. Without it loads are only less considerate.
                if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                    tracing::debug!(%error, "the priority of a thread stays as it is");
                }
            })
            .build()
            .map(|runtime| Self {
                handle: runtime.handle().clone(),
                runtime: Some(runtime),
            })
            .map_err(|e| format!("threads cannot be started: {e}"))
    }

    /// Where to run loads.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for LoadThreads {
    /// Waits for no load: nobody needs it any more.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
