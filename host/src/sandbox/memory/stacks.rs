//! The stacks that guests run on, used again and again.
//!
//! To map a stack and to fault its pages in costs as much as a small model's whole request.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous};
use rustix::mm::{mprotect, munmap};
use wasmtime::{StackCreator, StackMemory};

/// Bytes without access below a stack.
const GUARD: usize = 64 * 1024;

/// Bytes at a stack's top that keep their memory between two uses. Few guests go deeper.
const KEPT: usize = 32 * 1024;

/// Bytes below them, which a stack's owner fills to see whether somebody went deeper: asking the kernel to
/// take back what nobody touched costs a microsecond for each cell. Nobody comes by without a trace. A
/// function's frame holds at least its return address, and the compilers have frames of more than a page
/// write to each of their pages (stack probes), so two pages cannot both be left out.
const MARK: usize = 8 * 1024;

/// What the mark is filled with: no address, and not the zero that some probes write.
const UNTOUCHED: u64 = 0xa5a5_a5a5_5a5a_5a5a;

/// Stacks that wait for a guest, at most.
const IDLE: usize = 64;

/// The stacks of all cells.
#[derive(Debug)]
pub struct Stacks {
    idle: Arc<Mutex<Vec<Stack>>>,
}

impl Stacks {
    /// No stacks yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            idle: Arc::default(),
        })
    }
}

// SAFETY: stacks are of the size that is asked for, page-aligned and guarded (`Stack`). One that was
// used before holds what the guest's native frames left near its top. Compiled code writes each of
// its slots before it reads it, and no other code of a guest runs on it. wasmtime asks for zeros only
// if the engine is configured so, and then gets a new stack.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let idle = || {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()
        };
        let used = if zeroed { None } else { idle() };
        let stack = match used.filter(|stack| stack.size() == size) {
            Some(stack) => stack,
            None => Stack::map(size)?,
        };
        Ok(Box::new(LentStack {
            stack: Some(stack),
            home: Arc::downgrade(&self.idle),
        }))
    }
}

/// A stack and the guard below it.
#[derive(Debug)]
struct Stack {
    /// Where the guard begins.
    start: NonNull<u8>,
    /// Length of guard and stack.
    length: usize,
}

// SAFETY: a stack owns its addresses.
unsafe impl Send for Stack {}
// SAFETY: a shared reference only tells addresses.
unsafe impl Sync for Stack {}

impl Stack {
    fn map(size: usize) -> io::Result<Self> {
        let length = size.checked_add(GUARD).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut stack = Self { start, length };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: pages of the new mapping.
        unsafe { mprotect(stack.bottom().cast(), size, access) }?;
        stack.mark();
        Ok(stack)
    }

    fn size(&self) -> usize {
        self.length - GUARD
    }

    /// The lowest address that may be used.
    fn bottom(&self) -> *mut u8 {
        self.start.as_ptr().wrapping_add(GUARD)
    }

    fn top(&self) -> *mut u8 {
        self.start.as_ptr().wrapping_add(self.length)
    }

    /// Gives back to the kernel what a deep recursion used, if there was one.
    fn trim(&mut self) -> io::Result<()> {
        // All words at once, which takes a fraction of stopping at the first one.
        let touched = self
            .marked()
            .iter()
            .fold(0, |touched, word| touched | word ^ UNTOUCHED);
        if touched == 0 {
            return Ok(());
        }
        let deep = self.size().saturating_sub(KEPT);
        // SAFETY: pages of the stack, which nobody runs on.
        unsafe { madvise(self.bottom().cast(), deep, Advice::LinuxDontNeed) }?;
        self.mark();
        Ok(())
    }

    fn mark(&mut self) {
        self.marked().fill(UNTOUCHED);
    }

    /// The mark. A stack that is too small for one has none, and is kept whole.
    fn marked(&mut self) -> &mut [u64] {
        if self.size() < KEPT + MARK {
            return &mut [];
        }
        let mark = self.top().wrapping_sub(KEPT + MARK);
        // SAFETY: aligned words of the stack, which nobody runs on while its owner is borrowed here.
        unsafe { std::slice::from_raw_parts_mut(mark.cast(), MARK / size_of::<u64>()) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`; nobody runs on it, because its user owned it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A stack in use.
struct LentStack {
    /// Empty only while it is dropped.
    stack: Option<Stack>,
    home: Weak<Mutex<Vec<Stack>>>,
}

// SAFETY: the addresses are those of the mapping, which lives as long as `self`: page-aligned, with
// read and write access, above a guard without access.
unsafe impl StackMemory for LentStack {
    fn top(&self) -> *mut u8 {
        let stack = self.stack.as_ref();
        stack.map_or(std::ptr::null_mut(), Stack::top)
    }

    fn range(&self) -> Range<usize> {
        let stack = self.stack.as_ref();
        stack.map_or(0..0, |stack| stack.bottom() as usize..stack.top() as usize)
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let null = std::ptr::null_mut();
        let stack = self.stack.as_ref();
        stack.map_or(null..null, |stack| stack.start.as_ptr()..stack.bottom())
    }
}

impl Drop for LentStack {
    fn drop(&mut self) {
        let (Some(mut stack), Some(home)) = (self.stack.take(), self.home.upgrade()) else {
            return;
        };
        if stack.trim().is_ok() {
            let mut idle = home.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE {
                idle.push(stack);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    /// Writes `value` at `depth` bytes below the top of a stack that was used before, if any was, and
    /// returns what was there.
    fn replace(stacks: &Stacks, depth: usize, value: u8) -> u8 {
        let stack = stacks.new_stack(SIZE, false).unwrap();
        // SAFETY: within the stack, on which nobody runs.
        unsafe { stack.top().wrapping_sub(depth).replace(value) }
    }

    #[test]
    fn what_went_deep_is_given_back_and_what_did_not_is_kept() {
        let stacks = Stacks::new();
        assert_eq!(replace(&stacks, KEPT, 1), 0);
        assert_eq!(replace(&stacks, KEPT, 2), 1, "the same stack, as it was");
        // Below the mark alone, as nobody can: seen only together with a trace in the mark.
        assert_eq!(replace(&stacks, SIZE / 2, 3), 0);
        assert_eq!(replace(&stacks, SIZE / 2, 4), 3);
        for trace in [KEPT + 1, KEPT + MARK] {
            replace(&stacks, SIZE / 2, 5);
            replace(&stacks, trace, 0);
            assert_eq!(replace(&stacks, SIZE / 2, 6), 0, "given back");
            assert_eq!(replace(&stacks, KEPT, 2), 2);
        }
    }
}
