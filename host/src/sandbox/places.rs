//! How many cells run at a time in the whole host, and whose turn it is when all places are taken.
//!
//! Turns go round the models that wait, one place each, so that a model with a thousand requests
//! waiting delays another's one request by a single turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The places of the host.
pub struct Places {
    state: Mutex<State>,
}

/// Tells one model's requests from another's.
pub type ModelId = u64;

struct State {
    free: usize,
    /// Who waits, by model, in the order of arrival.
    waiting: HashMap<ModelId, VecDeque<oneshot::Sender<Place>>>,
    /// The models in `waiting`, in the order of their turns.
    turns: VecDeque<ModelId>,
    last_id: ModelId,
}

/// A place for one cell. Dropping it gives it to the next.
pub struct Place(Option<Arc<Places>>);

impl Places {
    /// `count` places, all free.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: count,
                waiting: HashMap::new(),
                turns: VecDeque::new(),
                last_id: 0,
            }),
        })
    }

    /// An identity for a model, which no other has.
    pub fn new_model(&self) -> ModelId {
        let mut state = self.lock();
        state.last_id += 1;
        state.last_id
    }

    /// A place if one is free. Nobody waits then.
    pub fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Place(Some(self.clone())))
    }

    /// A place for a request of `model`, when it is its turn. Dropping the future gives up the wait.
    pub async fn take(self: &Arc<Self>, model: ModelId) -> Place {
        let turn = {
            let mut state = self.lock();
            if let Some(free) = state.free.checked_sub(1) {
                state.free = free;
                return Place(Some(self.clone()));
            }
            let (sender, turn) = oneshot::channel();
            let queue = state.waiting.entry(model).or_default();
            let first = queue.is_empty();
            queue.push_back(sender);
            if first {
                state.turns.push_back(model);
            }
            turn
        };
        // The sender is only dropped with the places, which `self` keeps.
        turn.await.unwrap_or(Place(None))
    }

    /// Lets the next have a place that became free.
    fn pass_on(self: &Arc<Self>) {
        while let Some(next) = self.next() {
            // Whoever gave up the wait has no receiver any more.
            let Err(mut place) = next.send(Place(Some(self.clone()))) else {
                return;
            };
            place.0 = None;
        }
    }

    /// Whose turn it is. If nobody waits, the place becomes free.
    fn next(&self) -> Option<oneshot::Sender<Place>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        while let Some(model) = state.turns.pop_front() {
            if let Some(next) = state.next_of(model) {
                return Some(next);
            }
        }
        state.free += 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who of a model is next. The model's turn comes again after those of the others.
    fn next_of(&mut self, model: ModelId) -> Option<oneshot::Sender<Place>> {
        let queue = self.waiting.get_mut(&model)?;
        // Those who gave up the wait have no turn.
        queue.retain(|waiting| !waiting.is_closed());
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&model);
        } else {
            self.turns.push_back(model);
        }
        next
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn turns_go_round_the_models() {
        let places = Places::new(1);
        let (busy, other) = (places.new_model(), places.new_model());
        let held = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        let mut first = pin!(places.take(busy));
        let mut second = pin!(places.take(busy));
        let mut third = pin!(places.take(other));
        for waiting in [&mut first, &mut second] {
            assert!(poll(waiting.as_mut()).is_none());
        }
        assert!(poll(third.as_mut()).is_none());

        drop(held);
        let held = poll(first.as_mut()).unwrap();
        drop(held);
        assert!(poll(second.as_mut()).is_none(), "the other's turn");
        let held = poll(third.as_mut()).unwrap();
        drop(held);
        drop(poll(second.as_mut()).unwrap());
        assert!(places.try_take().is_some());
    }

    #[test]
    fn who_gives_up_loses_no_place() {
        let places = Places::new(1);
        let model = places.new_model();
        let held = places.try_take().unwrap();
        {
            let mut gone = pin!(places.take(model));
            assert!(poll(gone.as_mut()).is_none());
        }
        let mut served = Box::pin(places.take(model));
        assert!(poll(served.as_mut()).is_none());
        drop(held);
        // It has its turn, and goes away without having looked.
        drop(served);
        assert!(places.try_take().is_some());
        assert!(places.lock().waiting.is_empty());
    }
}
