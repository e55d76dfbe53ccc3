//! What must not outlive `model_fn`: handles of the host.
//!
//! The host may freeze the component's memory after `model_fn` and serve each request from a new
//! instance of it. Memory survives that, but what belongs to the host does not: the streams behind
//! stdin, stdout and stderr, and the directory of the model's files. Their handles are numbers in
//! memory, which mean nothing in another instance, and to use one traps. So they are closed and
//! forgotten here, and the next `println!` or `File::open` gets its own.
//!
//! Who remembers them depends on the C library of the toolchain, which `build.rs` looks at. One that
//! speaks WASI 0.2 keeps them itself. One that speaks WASI preview 1 leaves that to the adapter, a
//! module that the linker adds, and remembers only under which number the adapter has the directory.

/// Leaves the component without a handle, unless the model itself keeps a file open: then nothing is
/// closed, and the host does not freeze the component.
pub(super) fn release() {
    #[cfg(target_os = "wasi")]
    wasi::release();
}

#[cfg(target_os = "wasi")]
mod wasi {
    use std::ffi::{c_int, c_void};
    use std::io::{Error, Write as _};
    use std::ops::Range;
    use std::ptr;

    /// What the model opened comes after stdin, stdout, stderr and the one directory of a cell, and
    /// is at most as much as the host allows.
    const OF_THE_MODEL: Range<c_int> = 4..256;

    /// `fcntl.h` and `errno.h` of wasi-libc.
    const F_GETFL: c_int = 3;
    const EBADF: i32 = 8;

    unsafe extern "C" {
        fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
        fn fflush(file: *mut c_void) -> c_int;
        safe fn __wasilibc_reset_preopens();
    }

    pub(super) fn release() {
        flush();
        if !OF_THE_MODEL.into_iter().any(is_open) {
            #[cfg(not(libc_keeps_stdio))]
            adapter::reset();
            #[cfg(libc_keeps_stdio)]
            stdio::reset();
            // Last, because `close` looks for the directory first.
            __wasilibc_reset_preopens();
        }
    }

    /// Text that waits for the end of its line would otherwise be printed by every instance. Stderr
    /// has no buffer. If a stream is gone there is nobody to tell.
    fn flush() {
        let _ = std::io::stdout().flush();
        // SAFETY: null stands for all streams of C, which code linked into the model may use.
        let _ = unsafe { fflush(ptr::null_mut()) };
    }

    /// `F_GETFD` may succeed for any number. An error other than "bad file descriptor" means open.
    fn is_open(fd: c_int) -> bool {
        // SAFETY: this command takes no further argument and only reads.
        let flags = unsafe { fcntl(fd, F_GETFL) };
        flags != -1 || Error::last_os_error().raw_os_error() != Some(EBADF)
    }

    /// The adapter gets the streams and the directory together, when it first needs any of them.
    #[cfg(not(libc_keeps_stdio))]
    mod adapter {
        use std::ffi::c_int;

        #[link(wasm_import_module = "wasi_snapshot_preview1")]
        unsafe extern "C" {
            safe fn fd_close(fd: c_int) -> c_int;
            safe fn reset_adapter_state();
        }

        pub(super) fn reset() {
            // If the model has closed one of them, that is only an error here.
            for fd in 0..4 {
                fd_close(fd);
            }
            // It forgets that they are closed, so that it gets them anew.
            reset_adapter_state();
        }
    }

    /// What the most recent C libraries do with the directory.
    #[cfg(libc_keeps_stdio)]
    mod stdio {
        use std::ffi::c_int;

        unsafe extern "C" {
            safe fn close(fd: c_int) -> c_int;
            safe fn __wasilibc_init_stdio() -> c_int;
        }

        pub(super) fn reset() {
            // In this order, because the number that was freed last is the first to be given again.
            for fd in (0..3).rev() {
                close(fd);
            }
            // Adds stdin, stdout and stderr, which get their streams when they are first used.
            __wasilibc_init_stdio();
        }
    }
}
