//! What the C library and the kernel do with memory. glibc holds on to most of what was freed, in an
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

/// Asks the kernel not to merge equal pages of memory, as it does for a process that its service manager
/// (systemd's `MemoryKSM=`) or a parent opted in: whether a page was merged can be told by the time that a
/// write to it takes, which would tell one guest what another one holds.
pub fn keep_apart() {
    /// `PR_SET_MEMORY_MERGE`, Linux 6.4. Older kernels merge nothing of a whole process.
    #[cfg(target_os = "linux")]
    const SET_MEMORY_MERGE: libc::c_int = 67;
    // SAFETY: only sets a flag of the process.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(SET_MEMORY_MERGE, 0, 0, 0, 0);
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
