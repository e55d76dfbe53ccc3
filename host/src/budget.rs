//! The memory budget: the bytes that models hold together, counted as they are taken.
//!
//! Three things are counted, each with its real size: compiled code, once for all models that share
//! it; the linear memories of all cells; and what the host keeps for a cell and for a model
//! ([`CELL_BYTES`], [`MODEL_BYTES`]). Bytes are charged before they are taken and given back when
//! the value that holds the [`Charge`] is dropped, after the memory itself.
//!
//! Who needs more than is free has the [`Evict`] of the budget make room, one model at a time. In
//! SageMaker's multi-model mode there is none: the platform decides what goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytesize::ByteSize;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// What the host keeps for a cell beside its linear memories: the store, tables, handles and the
/// resident part of its stack. Measured with `make bench`; rounded up.
pub const CELL_BYTES: u64 = 64 << 10;

/// What the host keeps for a model beside its cells: names, counters, limits and open files.
pub const MODEL_BYTES: u64 = 16 << 10;

/// Makes room by letting go of a model that nobody uses.
pub trait Evict: Send + Sync {
    /// Bytes that letting go of all models that may go would give back.
    fn evictable(&self) -> u64;

    /// Lets the least valuable model go; false if none may.
    fn evict_one(&self) -> bool;
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The model alone needs more than the whole budget.
    #[error(
        "the model needs at least {}, but the memory budget is {} (--memory-budget)",
        ByteSize(*.needed), ByteSize(*.budget)
    )]
    Alone {
        /// Bytes that the model would hold.
        needed: u64,
        /// Bytes of the budget.
        budget: u64,
    },
    /// Other models, which are in use or may not go, hold what is needed.
    #[error(
        "the memory budget of {} is held by models in use; try again",
        ByteSize(*.budget)
    )]
    InUse {
        /// Bytes of the budget.
        budget: u64,
    },
    /// The platform must unload a model first.
    #[error(
        "the memory budget of {} is used up: unload a model first, or raise --memory-budget",
        ByteSize(*.budget)
    )]
    Full {
        /// Bytes of the budget.
        budget: u64,
    },
}

/// The budget of the process.
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    evict: OnceLock<Weak<dyn Evict>>,
    /// Held by whoever makes room, so that two who need it don't let twice as much go.
    making_room: Mutex<()>,
    freed: Notify,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            evict: OnceLock::new(),
            making_room: Mutex::new(()),
            freed: Notify::new(),
        })
    }

    /// Says who makes room. Without, nothing is evicted.
    pub fn evict_by(&self, evict: Weak<dyn Evict>) {
        // Said once, when the host starts.
        let _ = self.evict.set(evict);
    }

    /// Bytes that may be held.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that are held.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Done when something has changed, from now on, for who found no room: bytes were given back,
    /// or a model or a cell is no longer in use.
    pub fn changed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Tells those who wait in [`Budget::changed`].
    pub fn notify(&self) {
        self.freed.notify_waiters();
    }

    fn try_take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.limit);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .is_ok()
    }

    fn take(&self, bytes: u64) -> Result<(), NoRoom> {
        if self.try_take(bytes) {
            return Ok(());
        }
        let budget = self.limit;
        let Some(evict) = self.evict.get() else {
            return Err(NoRoom::Full { budget });
        };
        let evict = evict.upgrade().ok_or(NoRoom::InUse { budget })?;
        let _one = self
            .making_room
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Not to let everything go and fail all the same.
        let left = self.used().saturating_sub(evict.evictable());
        if left.saturating_add(bytes) > self.limit {
            return Err(NoRoom::InUse { budget });
        }
        while !self.try_take(bytes) {
            if !evict.evict_one() {
                return Err(NoRoom::InUse { budget });
            }
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        self.notify();
    }
}

/// What one model, or one piece of shared code, holds of the budget.
pub struct Account {
    budget: Arc<Budget>,
    held: AtomicU64,
}

impl Account {
    /// An account that holds nothing yet.
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget: budget.clone(),
            held: AtomicU64::new(0),
        })
    }

    /// Bytes that it holds.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The budget that it is part of.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Takes `bytes`, and other models' memory for it if need be.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]; nothing is taken then.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, NoRoom> {
        let mut charge = Charge {
            account: self.clone(),
            bytes: 0,
        };
        charge.grow(bytes)?;
        Ok(charge)
    }
}

/// Bytes of an account. Dropping it gives them back.
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Charge {
    /// Takes `bytes` more.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]; what was taken before stays.
    pub fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let Account { budget, held } = &*self.account;
        let needed = held.load(Ordering::Relaxed).saturating_add(bytes);
        if needed > budget.limit {
            return Err(NoRoom::Alone {
                needed,
                budget: budget.limit,
            });
        }
        budget.take(bytes)?;
        held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        Ok(())
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.account.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for models: each call drops one charge.
    struct Shelf(Mutex<Vec<Charge>>);

    impl Evict for Shelf {
        fn evictable(&self) -> u64 {
            self.0.lock().unwrap().iter().map(Charge::bytes).sum()
        }

        fn evict_one(&self) -> bool {
            self.0.lock().unwrap().pop().is_some()
        }
    }

    #[test]
    fn charges_are_given_back_when_dropped() {
        let budget = Budget::new(100);
        let account = Account::new(&budget);
        let mut charge = account.charge(60).unwrap();
        charge.grow(40).unwrap();
        assert_eq!((budget.used(), account.held()), (100, 100));
        assert_eq!(
            Account::new(&budget).charge(1).err(),
            Some(NoRoom::Full { budget: 100 })
        );
        drop(charge);
        assert_eq!((budget.used(), account.held()), (0, 0));
    }

    #[test]
    fn only_as_much_goes_as_is_needed() {
        let budget = Budget::new(100);
        let charge = |bytes| Account::new(&budget).charge(bytes);
        let shelf: Vec<_> = (0..4).map(|_| charge(25).unwrap()).collect();
        let shelf = Arc::new(Shelf(Mutex::new(shelf)));
        let evict: Weak<Shelf> = Arc::downgrade(&shelf);
        budget.evict_by(evict);

        let held = charge(30).unwrap();
        assert_eq!(shelf.0.lock().unwrap().len(), 2);
        assert_eq!(charge(71).err(), Some(NoRoom::InUse { budget: 100 }));
        assert_eq!(shelf.0.lock().unwrap().len(), 2, "in vain, so none goes");
        drop(held);
        assert_eq!(
            charge(101).err(),
            Some(NoRoom::Alone {
                needed: 101,
                budget: 100
            })
        );
    }
}
