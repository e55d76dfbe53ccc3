//! Waiting for something to happen.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until the answer is yes.
///
/// # Panics
///
/// If it is still no after [`PATIENCE`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(10));
    }
}
