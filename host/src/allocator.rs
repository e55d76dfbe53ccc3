//! What the C library's allocator keeps for later. glibc holds on to most of what was freed, in an
//! arena for each thread, so that a burst of large bodies or a compilation would stay in the process
//! for good, outside of every budget.

/// Allocations from this size on get pages of their own, which are given back when they are freed.
/// Fixed, because glibc would raise it with each larger one that it sees.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES: libc::c_int = 128 << 10;

/// Free bytes at the end of an arena that are given back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: libc::c_int = 1 << 20;

/// Has the allocator give back what is large. To be called before there are other threads.
pub fn keep_little() {
    // SAFETY: both parameters exist, and the process has no other thread yet.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PAGES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Gives what has been freed back to the system.
pub fn give_back() {
    // SAFETY: the function may be called at any time, from any thread.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}
