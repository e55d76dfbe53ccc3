//! How wasmtime comes by the memory of a cell.
//!
//! wasmtime asks for a memory by its type alone and cannot be told which model it is for. So whoever
//! makes a cell from a snapshot has [`giving`] lay the slot ready for the thread while the instance is
//! made, and the first memory that is asked for meanwhile takes it. Every other memory is fresh.

use std::cell::RefCell;

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::slot::Slot;
use super::slots::WarmSlot;

thread_local! {
    static NEXT: RefCell<Option<WarmSlot>> = const { RefCell::new(None) };
}

/// Runs `step`, a step of making an instance, with `slot` laid ready for its memory. If the memory was
/// not asked for, the slot is back in `slot` afterwards.
pub fn giving<T>(slot: &mut Option<WarmSlot>, step: impl FnOnce() -> T) -> T {
    /// Takes the slot back however `step` ends, so that it never reaches another instance.
    struct Back<'a>(&'a mut Option<WarmSlot>);
    impl Drop for Back<'_> {
        fn drop(&mut self) {
            *self.0 = NEXT.take();
        }
    }
    NEXT.set(slot.take());
    let _back = Back(slot);
    step()
}

/// Makes the linear memories of all cells.
#[derive(Debug)]
pub struct CellMemories;

// SAFETY: what it makes fulfils the contract of `CellMemory` below. A fresh memory is zero. One from a
// snapshot is not, on purpose: it holds what the instance's memory held when it was frozen, and the
// instance's code has no data of its own to put there.
unsafe impl MemoryCreator for CellMemories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let reserved = reserved.ok_or("a memory without reservation is not offered")?;
        if let Some(warm) = NEXT.take() {
            let slot = warm.slot();
            if slot.size() < minimum || maximum.is_some_and(|maximum| slot.size() > maximum) {
                return Err("the snapshot's memory does not fit its code".into());
            }
            if slot.capacity() < reserved || slot.guard() < guard {
                return Err("the snapshot's memory has too few addresses".into());
            }
            return Ok(Box::new(CellMemory::Frozen(Some(warm))));
        }
        let made = Slot::map(None, reserved, guard).and_then(|mut slot| {
            slot.grow_to(minimum)?;
            Ok(slot)
        });
        match made {
            Ok(slot) => Ok(Box::new(CellMemory::Fresh(slot))),
            Err(error) => Err(format!("{NO_MEMORY}: {error}")),
        }
    }
}

/// How the error begins when the kernel refused a memory; wasmtime takes only a text from here.
pub const NO_MEMORY: &str = "the kernel refused a linear memory";

/// The memory of one instance.
enum CellMemory {
    Fresh(Slot),
    /// Empty only while it is dropped.
    Frozen(Option<WarmSlot>),
}

impl CellMemory {
    fn slot(&self) -> Option<&Slot> {
        match self {
            Self::Fresh(slot) => Some(slot),
            Self::Frozen(warm) => warm.as_ref().map(WarmSlot::slot),
        }
    }
}

// SAFETY: the address never changes, `byte_size` bytes from there are accessible, what grows is zero,
// and the rest of the reservation and the guard behind it are mapped without access (`Slot`).
unsafe impl LinearMemory for CellMemory {
    fn byte_size(&self) -> usize {
        self.slot().map_or(0, Slot::size)
    }

    fn byte_capacity(&self) -> usize {
        self.slot().map_or(0, Slot::capacity)
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        let slot = match self {
            Self::Fresh(slot) => slot,
            Self::Frozen(Some(warm)) => warm.slot_mut(),
            Self::Frozen(None) => wasmtime::bail!("the memory is gone"),
        };
        Ok(slot.grow_to(size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot().map_or(std::ptr::null_mut(), Slot::base)
    }
}

impl Drop for CellMemory {
    fn drop(&mut self) {
        if let Self::Frozen(warm) = self
            && let Some(warm) = warm.take()
        {
            warm.go_home();
        }
    }
}
