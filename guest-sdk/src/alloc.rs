//! The heap that `model_fn` leaves.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// An allocator that leaves nothing behind of what `model_fn` freed.
///
/// A model's memory is what the host froze when `model_fn` ended, less the pages that are all zeros. The
/// text of a model file that was read and freed is not zeros, and is kept for each model for as long as it is
/// loaded. This allocator overwrites with zeros what `model_fn` frees. Afterwards it is the
/// system's: what requests free goes with their cell.
///
/// It is worth having for models whose `model_fn` allocates much more than it keeps:
///
/// ```
/// #[cfg(target_os = "wasi")]
/// #[global_allocator]
/// static HEAP: modelcell_guest::CleanHeap = modelcell_guest::CleanHeap;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanHeap;

/// `model_fn` is done.
static FROZEN: AtomicBool = AtomicBool::new(false);

/// From here on memory is freed as it is.
pub(crate) fn freeze() {
    FROZEN.store(true, Ordering::Relaxed);
}

fn frozen() -> bool {
    FROZEN.load(Ordering::Relaxed)
}

// SAFETY: every block comes from the system's allocator with the layout that was asked for, and goes back
// to it with the same; what is written to a block lies within it and nobody else uses it any more.
unsafe impl GlobalAlloc for CleanHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the system asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !frozen() {
            // SAFETY: the block has this many bytes, and its owner gives it up.
            unsafe { block.write_bytes(0, layout.size()) };
            // Or the compiler leaves the zeros out, because nobody reads a block that is freed.
            std::hint::black_box(block);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if frozen() {
            // SAFETY: as above.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that the new size makes a layout. The new block and the old are
        // apart, and both have at least the bytes that are copied.
        unsafe {
            let new = System.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_their_content_as_they_grow_and_shrink() {
        let layout = Layout::from_size_align(100, 8).unwrap();
        // SAFETY: the layouts are those of the blocks, and nothing is used beyond their sizes.
        unsafe {
            let block = CleanHeap.alloc(layout);
            block.write_bytes(7, 100);
            let block = CleanHeap.realloc(block, layout, 5000);
            assert_eq!(std::slice::from_raw_parts(block, 100), [7; 100]);
            let layout = Layout::from_size_align(5000, 8).unwrap();
            let block = CleanHeap.realloc(block, layout, 50);
            assert_eq!(std::slice::from_raw_parts(block, 50), [7; 50]);
            CleanHeap.dealloc(block, Layout::from_size_align(50, 8).unwrap());
        }
    }
}
