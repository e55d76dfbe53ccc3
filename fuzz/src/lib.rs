//! What the fuzz targets share.

mod sections;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Once;

pub use sections::mutate as mutate_sections;

/// The system's allocator, for which a single allocation of more than `LIMIT` bytes is a finding: the
/// targets read small inputs, so whoever asks for so much believed a length that an input claims.
pub struct Capped<const LIMIT: usize>;

impl<const LIMIT: usize> Capped<LIMIT> {
    fn check(size: usize) {
        if size > LIMIT {
            eprintln!("an allocation of {size} bytes");
            std::process::abort();
        }
    }
}

// SAFETY: all is done by the system's allocator.
unsafe impl<const LIMIT: usize> GlobalAlloc for Capped<LIMIT> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::check(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::check(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::check(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(old, layout) }
    }
}

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs what catches panics itself; libfuzzer-sys would otherwise end the process at the first.
pub fn catching<T>(run: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let finding = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !CAUGHT.get() {
                finding(panic);
            }
        }));
    });
    CAUGHT.set(true);
    let result = run();
    CAUGHT.set(false);
    result
}

/// An error's text, which goes into logs: one line that changes nothing in a terminal.
pub fn check_line(text: &str) {
    let bad = |c: char| c.is_control() && c != '\t';
    assert!(!text.contains(bad), "{text:?}");
}
