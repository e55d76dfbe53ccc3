//! Two lanes for calls into guests: the threads that serve requests, and others of lower priority.
//!
//! Every call begins where its request was received, and most end there within microseconds. One that
//! goes on after the engine's tick is taken over to the other lane, so that the next short request
//! finds its thread free, and the kernel prefers it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Set by the engine when a call has gone on for a tick.
#[derive(Debug, Clone, Default)]
pub(super) struct LongMark(Arc<AtomicBool>);

impl LongMark {
    /// The call goes on.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Another call begins.
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `call` here as long as it is short, and then on `long`. None if that lane was closed, which
/// only happens when the host ends. Dropping the future drops the call, wherever it is.
pub(super) async fn run<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
    mark: &LongMark,
    long: &Handle,
) -> Option<T> {
    let mut call = Box::pin(call);
    let short = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if mark.is_set() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    match short.await {
        Some(answer) => Some(answer),
        None => on(long, call).await,
    }
}

/// Runs `call` on `lane`. None if that was closed. Dropping the future drops the call.
pub(super) async fn on<T: Send + 'static>(
    lane: &Handle,
    call: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    match Bound(lane.spawn(call)).await {
        Ok(answer) => Some(answer),
        Err(error) => match error.try_into_panic() {
            // A bug of the host is this request's alone, as if it had run here.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

/// A task that ends with its handle.
struct Bound<T>(JoinHandle<T>);

impl<T> Future for Bound<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::background::BackgroundThreads;

    #[tokio::test]
    async fn a_call_that_goes_on_is_taken_over() {
        let threads = BackgroundThreads::start("long").unwrap();
        for long in [false, true] {
            let mark = LongMark::default();
            let marks = mark.clone();
            let call = async move {
                if long {
                    marks.set();
                }
                tokio::task::yield_now().await;
                thread::current().id()
            };
            let id = run(call, &mark, threads.handle()).await.unwrap();
            assert_eq!(id != thread::current().id(), long);
        }
    }
}
