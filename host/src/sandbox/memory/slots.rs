//! The warm slots of one model.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::Image;
use super::slot::{KEPT_BYTES, Slot};
use crate::budget::{Account, Charge, NoRoom};

/// Addresses reserved for a memory, and guarded before and behind it, in bytes: what
/// wasmtime's compiler counts on when it leaves out checks of bounds.
pub const RESERVED: usize = 4 << 30;
pub const GUARD: usize = 32 << 20;

/// The slots of one model's image that no cell uses now, and the image.
pub struct Slots {
    image: Arc<Image>,
    account: Arc<Account>,
    idle: Mutex<Vec<Charged>>,
}

/// A slot with its share of the memory budget: the whole memory while a cell has it, else what an idle
/// slot keeps.
struct Charged {
    slot: Slot,
    charge: Charge,
}

/// A slot that a cell has.
pub struct WarmSlot {
    charged: Charged,
    home: Arc<Slots>,
}

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The memory budget has no room for a cell's memory.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The host has no memory or no addresses left.
    #[error(transparent)]
    Kernel(#[from] io::Error),
}

impl Slots {
    /// No slots yet. Their memory is charged to `account`.
    pub fn new(image: Arc<Image>, account: Arc<Account>) -> Arc<Self> {
        Arc::new(Self {
            image,
            account,
            idle: Mutex::default(),
        })
    }

    /// What each cell's memory holds in the beginning.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Makes a slot ahead of the first request.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub fn warm_up(&self) -> Result<(), SlotError> {
        let made = self.make(self.idle_bytes())?;
        self.lock().push(made);
        Ok(())
    }

    /// A slot for a cell, and whether it was warm.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub fn take(self: &Arc<Self>) -> Result<(WarmSlot, bool), SlotError> {
        // The last one that came back, whose pages are still in the processor's caches.
        let idle = self.lock().pop();
        let Some(mut charged) = idle else {
            let made = self.make(self.image.len() as u64)?;
            return Ok((self.lent(made), false));
        };
        match charged.charge.grow(self.extra()) {
            Ok(()) => Ok((self.lent(charged), true)),
            Err(no_room) => {
                self.lock().push(charged);
                Err(no_room.into())
            }
        }
    }

    fn make(&self, bytes: u64) -> Result<Charged, SlotError> {
        let charge = self.account.charge(bytes)?;
        let slot = Slot::map(Some(self.image.clone()), RESERVED, GUARD)?;
        Ok(Charged { slot, charge })
    }

    fn lent(self: &Arc<Self>, charged: Charged) -> WarmSlot {
        let home = self.clone();
        WarmSlot { charged, home }
    }

    /// How many slots wait for a request.
    pub fn idle(&self) -> usize {
        self.lock().len()
    }

    /// Gives up the oldest `count` idle slots.
    pub fn release(&self, count: usize) {
        let released: Vec<Charged> = {
            let mut idle = self.lock();
            let count = count.min(idle.len());
            idle.drain(..count).collect()
        };
        drop(released);
    }

    /// Bytes of the budget that an idle slot holds.
    pub fn idle_bytes(&self) -> u64 {
        self.image.len().min(KEPT_BYTES) as u64
    }

    /// Bytes that a slot in use holds beyond what an idle one does.
    fn extra(&self) -> u64 {
        (self.image.len() as u64).saturating_sub(self.idle_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Charged>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WarmSlot {
    pub(super) fn slot(&self) -> &Slot {
        &self.charged.slot
    }

    pub(super) fn slot_mut(&mut self) -> &mut Slot {
        &mut self.charged.slot
    }

    /// Brings the slot home for the next request. One that cannot be put back to the image is dropped:
    /// nothing that a request wrote may be seen by another.
    pub(super) fn go_home(self) {
        let Self { mut charged, home } = self;
        if let Err(error) = charged.slot.reset() {
            tracing::warn!(%error, "a cell's memory could not be reset, so it was given up");
            return;
        }
        charged.charge.shrink(home.extra());
        home.lock().push(charged);
    }
}
