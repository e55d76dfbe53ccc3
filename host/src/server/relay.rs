//! Polls a connection again at once when it woke itself.
//!
//! hyper wakes its own task whenever a request's body is taken. For tokio that is a task that must
//! run again, so it wakes an idle thread to do it: a system call and a thread's start for each
//! request, only to find nothing to do. Here such a wake-up means one more poll, and only those from
//! elsewhere (sockets, timers) reach tokio.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

/// Polls in a row. A connection that goes on waking itself must let others have the thread.
const POLLS: usize = 8;

/// Nobody polls: whoever wakes must wake the task.
const IDLE: u8 = 0;
/// The connection is being polled.
const POLLING: u8 = 1;
/// It was woken while it was being polled.
const AGAIN: u8 = 2;

/// A future with the relay between it and its task.
pub(super) struct Relayed<F> {
    inner: Pin<Box<F>>,
    relay: Arc<Relay>,
    waker: Waker,
}

struct Relay {
    task: AtomicWaker,
    state: AtomicU8,
}

impl<F: Future> Relayed<F> {
    pub(super) fn new(inner: F) -> Self {
        let relay = Arc::new(Relay {
            task: AtomicWaker::new(),
            state: AtomicU8::new(IDLE),
        });
        Self {
            inner: Box::pin(inner),
            waker: Waker::from(relay.clone()),
            relay,
        }
    }
}

impl<F: Future> Future for Relayed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.relay.task.register(cx.waker());
        for _ in 0..POLLS {
            this.relay.state.store(POLLING, Ordering::SeqCst);
            let mut inner = Context::from_waker(&this.waker);
            let result = this.inner.as_mut().poll(&mut inner);
            // One step, so that a wake-up is either seen here or finds nobody polling.
            if this.relay.state.swap(IDLE, Ordering::SeqCst) == POLLING || result.is_ready() {
                return result;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let while_polling =
            self.state
                .compare_exchange(POLLING, AGAIN, Ordering::SeqCst, Ordering::SeqCst);
        if while_polling == Err(IDLE) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::ready;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Wakes itself `times` times, then is ready.
    fn waking(mut times: usize) -> impl Future<Output = ()> {
        std::future::poll_fn(move |cx| {
            if times == 0 {
                return Poll::Ready(());
            }
            times -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    fn poll(future: &mut Relayed<impl Future<Output = ()>>, count: &Arc<Count>) -> Poll<()> {
        let waker = Waker::from(count.clone());
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn waking_oneself_is_a_poll_and_no_wake_up() {
        let count = Arc::new(Count::default());
        assert!(poll(&mut Relayed::new(waking(3)), &count).is_ready());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn going_on_for_ever_lets_others_have_the_thread() {
        let count = Arc::new(Count::default());
        assert!(poll(&mut Relayed::new(waking(1000)), &count).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    /// Wake-ups from other threads at any moment of a poll; one that got lost would hang the test.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn wake_ups_from_elsewhere_are_not_lost() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move { while sender.send(()).await.is_ok() {} });
        let mut left = 200_000;
        let counting = std::future::poll_fn(move |cx| {
            while left > 0 {
                ready!(receiver.poll_recv(cx));
                left -= 1;
            }
            Poll::Ready(())
        });
        let relayed = tokio::spawn(Relayed::new(counting));
        let done = tokio::time::timeout(Duration::from_secs(60), relayed).await;
        done.unwrap().unwrap();
    }
}
