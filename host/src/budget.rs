//! The memory budget: the bytes that models hold together, counted as they are taken.
//!
//! Counted, each with its real size, are compiled code, once for all models that share it; snapshots;
//! the linear memories of all cells, and what is kept of them for the next request; and what the host
//! keeps for a cell and for a model ([`CELL_BYTES`], [`MODEL_BYTES`]). Memory is charged before a guest gets it, code when its size is
//! known. Bytes are given back when the value that holds the [`Charge`] is dropped.
//!
//! Who needs more than is free has the [`Evict`] of the budget make room, one model at a time. In
//! SageMaker's multi-model mode no model goes for it: the platform decides.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytesize::ByteSize;

/// What the host keeps for a cell beside its linear memories: the store, tables, handles and the
/// resident part of its stack. An allowance: a live instance of the prototype took 46 KiB in all.
pub const CELL_BYTES: u64 = 64 << 10;

/// What the host keeps for a model beside its cells: names, counters, limits and open files.
pub const MODEL_BYTES: u64 = 16 << 10;

/// Makes room by letting go of a model that nobody uses.
pub trait Evict: Send + Sync {
    /// Whether letting go of all that may go would give back so many bytes.
    fn can_free(&self, bytes: u64) -> bool;

    /// Lets the least valuable thing go; false if nothing may.
    fn evict_one(&self) -> bool;

    /// What to say when that does not help.
    fn no_room(&self, budget: u64) -> NoRoom;
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
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            evict: OnceLock::new(),
            making_room: Mutex::new(()),
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
        let evict = self.evict.get().and_then(Weak::upgrade);
        let evict = evict.ok_or(NoRoom::Full { budget })?;
        let _one = self
            .making_room
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.try_take(bytes) {
                return Ok(());
            }
            let missing = self.used().saturating_add(bytes).saturating_sub(self.limit);
            // Not to let everything go and fail all the same.
            if !evict.can_free(missing) || !evict.evict_one() {
                return Err(evict.no_room(budget));
            }
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// What one model, or one piece of shared code, holds of the budget.
pub struct Account {
    budget: Arc<Budget>,
    /// What whoever holds this needs beside, in another account.
    base: u64,
    held: AtomicU64,
}

impl Account {
    /// An account that holds nothing yet.
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Self::beside(budget, 0)
    }

    /// The account of somebody who cannot do without `base` bytes that are in another one.
    pub fn beside(budget: &Arc<Budget>, base: u64) -> Arc<Self> {
        Arc::new(Self {
            budget: budget.clone(),
            base,
            held: AtomicU64::new(0),
        })
    }

    /// Bytes that it holds.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
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
        let Account { budget, base, held } = &*self.account;
        // This charge alone: what others of the account hold (other cells of the model) may go.
        let needed = base.saturating_add(self.bytes).saturating_add(bytes);
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

    /// Gives `bytes` back.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.account.held.fetch_sub(bytes, Ordering::Relaxed);
        self.account.budget.give_back(bytes);
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for models: each call drops one charge.
    struct Shelf(Mutex<Vec<Charge>>);

    impl Evict for Shelf {
        fn can_free(&self, bytes: u64) -> bool {
            let held: u64 = self.0.lock().unwrap().iter().map(Charge::bytes).sum();
            held >= bytes
        }

        fn no_room(&self, budget: u64) -> NoRoom {
            NoRoom::InUse { budget }
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
        let beside = Account::beside(&budget, 60).charge(41);
        assert!(matches!(
            beside.err(),
            Some(NoRoom::Alone { needed: 101, .. })
        ));
        assert_eq!(
            charge(101).err(),
            Some(NoRoom::Alone {
                needed: 101,
                budget: 100
            })
        );
    }
}
