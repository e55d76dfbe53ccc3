//! Threads for what takes long: others than those that serve requests, and of lower priority, so that
//! a short request does not wait for another model's `model_fn` or long prediction.

use tokio::runtime::{Builder, Handle, Runtime};

/// How much the kernel prefers other threads, from 0 (not at all) to 19. At 10 a thread gets a ninth
/// of what one that serves requests gets, if both want the same processor.
pub(super) const NICENESS: i32 = 10;

/// A runtime of lower priority.
pub struct BackgroundThreads {
    handle: Handle,
    /// None when it ends.
    runtime: Option<Runtime>,
}

impl BackgroundThreads {
    /// Starts as many threads as there are processors, all by this name.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn start(name: &str) -> Result<Self, String> {
        Builder::new_multi_thread()
            .enable_all()
            .thread_name(name)
            .on_thread_start(|| {
                // On Linux this is of the calling thread. Without it they are only less considerate.
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

    /// Where to run what takes long.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for BackgroundThreads {
    /// Waits for nothing: nobody needs it any more.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
