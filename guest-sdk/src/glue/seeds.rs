//! Hash maps of requests get keys that nobody can guess, even where instances begin as copies.
//!
//! `std` asks for random keys once and derives from them the keys of each further [`HashMap`], so that
//! a caller cannot choose input whose hashes collide. Keys from `model_fn` would be the same in every
//! instance of the frozen component, for as long as the model is loaded. The library has no way to
//! renew them, so their place in memory is looked for when `model_fn` is done, and the first request
//! of an instance writes others there. Maps that exist have copies of their keys, and keep them.
//!
//! The place counts as found only if it behaves as the library's keys do. Otherwise nothing is
//! written, and requests share their keys.
//!
//! [`HashMap`]: std::collections::HashMap

/// Looks for the keys; at the end of `model_fn`.
pub(super) fn find() {
    #[cfg(target_os = "wasi")]
    wasi::find();
}

/// Renews the keys, once in an instance; before anything of a request.
pub(super) fn renew() {
    #[cfg(target_os = "wasi")]
    wasi::renew();
}

#[cfg(target_os = "wasi")]
mod wasi {
    use std::ffi::{c_int, c_void};
    use std::hash::RandomState;
    use std::hint::black_box;
    use std::mem::transmute_copy;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// As the library has them: one that counts the maps that were made, and one that stays.
    type Keys = [u64; 2];

    /// How much of the static memory is searched. From its end, because the keys are among what is
    /// zero at first, which the linker puts last.
    const SEARCHED: usize = 16 << 20;

    /// Where the keys are, as long as they are to be renewed; otherwise 0.
    static PLACE: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" {
        /// Symbols of the linker: only their addresses mean something.
        static __global_base: u8;
        static __data_end: u8;

        fn getentropy(buffer: *mut c_void, length: usize) -> c_int;
    }

    pub(super) fn find() {
        let Some([count, fixed]) = next_keys() else {
            return;
        };
        let after = |maps| [count.wrapping_add(maps), fixed];
        let mut places = static_memory().filter(|&place| read(place) == after(1));
        let (found, another) = (places.next(), places.next());
        if let (Some(place), None) = (found, another)
            && next_keys() == Some(after(1))
            && read(place) == after(2)
        {
            PLACE.store(place, Ordering::Relaxed);
        }
    }

    pub(super) fn renew() {
        let place = PLACE.swap(0, Ordering::Relaxed);
        if place != 0 {
            // The compiler must not know what is called: it could reckon that the library's keys are
            // not touched here, and read them earlier.
            black_box(overwrite as fn(usize))(place);
        }
    }

    /// The keys of a new map, if it has two. Called so that the compiler cannot tell what has become of
    /// the library's keys, and so leaves them in memory.
    fn next_keys() -> Option<Keys> {
        let state = black_box(RandomState::new as fn() -> RandomState)();
        (size_of::<RandomState>() == size_of::<Keys>()).then(|| {
            // SAFETY: of the same size, and any bytes are integers. That they are the keys is an
            // assumption, which `find` puts to the test.
            unsafe { transmute_copy::<RandomState, Keys>(&state) }
        })
    }

    /// The addresses in static memory at which keys fit.
    fn static_memory() -> impl Iterator<Item = usize> {
        let start = (&raw const __global_base).expose_provenance();
        let end = (&raw const __data_end).expose_provenance();
        let start = start.max(end.saturating_sub(SEARCHED));
        (start.next_multiple_of(align_of::<Keys>())..=end.saturating_sub(size_of::<Keys>()))
            .step_by(align_of::<Keys>())
    }

    /// What is at an address of static memory.
    fn read(place: usize) -> Keys {
        // SAFETY: aligned, and inside of what the linker laid out for statics, all of which can be read
        // and whose bytes are integers of some kind. Volatile, because others own them. There are no
        // threads.
        unsafe { ptr::with_exposed_provenance::<Keys>(place).read_volatile() }
    }

    fn overwrite(place: usize) {
        let mut keys: Keys = [0; 2];
        // SAFETY: the buffer is valid for its length, and any bytes are integers.
        let result = unsafe { getentropy((&raw mut keys).cast(), size_of::<Keys>()) };
        if result == 0 {
            // SAFETY: `find` has seen that the library keeps its keys here, in a cell that is written
            // whenever a map is made. It holds two integers, and any will do. No reference to them
            // exists, because the library's code does not run now.
            unsafe { ptr::with_exposed_provenance_mut::<Keys>(place).write_volatile(keys) };
        }
    }
}
