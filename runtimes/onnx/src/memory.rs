//! Keeps the image of a loaded model small.
//!
//! What a cell's memory holds when `model_fn` ends is kept for every model, zeros aside. Reading and
//! planning a graph takes far more memory than the plan, and what is freed stays in memory as it was. So
//! while a model is loaded, memory is overwritten with zeros when it is freed.

/// Tells the allocator that loading is done, and overwrites what it left on the stack.
pub(crate) fn loaded() {
    clear_stack();
    #[cfg(target_family = "wasm")]
    allocator::LOADING.store(false, std::sync::atomic::Ordering::Relaxed);
}

/// As deep as planning reaches, and well below the MiB that the stack has.
const STACK: usize = 512 << 10;

/// Overwrites the stack below the caller with zeros.
#[inline(never)]
fn clear_stack() {
    let mut zeros = [0_u8; STACK];
    std::hint::black_box(&mut zeros);
}

#[cfg(target_family = "wasm")]
mod allocator {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether the model is still being loaded.
    pub(super) static LOADING: AtomicBool = AtomicBool::new(true);

    #[global_allocator]
    static ALLOCATOR: Clean = Clean;

    /// The system's allocator, which leaves zeros behind while a model is loaded.
    struct Clean;

    // SAFETY: all memory comes from `System` and goes back to it, with the layout it was asked for.
    unsafe impl GlobalAlloc for Clean {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller keeps to the contract of `alloc_zeroed`, which is the same.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            if LOADING.load(Ordering::Relaxed) {
                // SAFETY: `place` is a block of this layout that nobody uses any more.
                unsafe { place.write_bytes(0, layout.size()) };
            }
            // SAFETY: the caller keeps to the contract of `dealloc`, which is the same.
            unsafe { System.dealloc(place, layout) }
        }

        unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if !LOADING.load(Ordering::Relaxed) {
                // SAFETY: the caller keeps to the contract of `realloc`, which is the same.
                return unsafe { System.realloc(place, layout, size) };
            }
            // SAFETY: the caller vouches that `size` is not zero and fits the alignment.
            let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            // SAFETY: `wanted` is not empty. Both blocks hold the bytes that are copied, and the old
            // one is given up by the caller.
            unsafe {
                let moved = System.alloc(wanted);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(place, layout.size().min(size));
                    self.dealloc(place, layout);
                }
                moved
            }
        }
    }
}
