//! A good model that is asked all the time while others misbehave, and what the host needs before
//! and after.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::artifact::{artifact, guest};
use crate::command::source;
use crate::kernel::{resident, threads};
use crate::wait::PATIENCE;
use crate::{Client, Server, Setup, TARGET_MODEL};

/// The good model's name.
pub const GOOD: &str = "good.tar.gz";

/// What it is asked.
const FLOWER: &str = "5.1,3.5,1.4,0.2";

/// Between two of its requests, because the machine has others to serve.
const PAUSE: Duration = Duration::from_millis(2);

/// Bytes that the allocator, thread stacks and the log's buffers may have more than before.
const BYTES: u64 = 24 << 20;

/// Threads that there may be more than before: those of pools, of which idle ones end after a while.
const POOLED: u64 = 8;

/// A server of the good model and of these, by their names.
pub fn with_good(models: &[(&str, Vec<u8>)]) -> Setup {
    let example = source().join("examples/iris/model");
    let read = |name| fs::read(example.join(name)).unwrap();
    let (coef, intercept) = (read("coef.npy"), read("intercept.npy"));
    let files: [(&str, &[u8]); 2] = [("coef.npy", &coef), ("intercept.npy", &intercept)];
    let setup = Setup::new().artifact(GOOD, artifact(&guest("iris"), &files));
    models.iter().fold(setup, |setup, (name, artifact)| {
        setup.artifact(name, artifact)
    })
}

/// Has the good model answer before, while and after `hostile` runs, each time the same and never
/// with an error; then waits until the host's threads and memory are back to where they were, but for
/// what an allocator and idle pools keep for a while.
///
/// # Panics
///
/// If one of its answers is another one, or threads or memory stay.
#[track_caller]
pub fn unharmed<T>(server: &Server, hostile: impl FnOnce() -> T) -> T {
    let expected = ask(server);
    let before = Footprint::of(server);
    let over = AtomicBool::new(false);
    let result = scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(ask(server), expected, "answer {answers} of the good model");
                answers += 1;
                sleep(PAUSE);
            }
            answers
        });
        // Also if it panics, or else the other thread would go on for ever.
        let stop = Stop(&over);
        let result = hostile();
        drop(stop);
        assert!(asking.join().unwrap() > 0, "the good model was not asked");
        result
    });
    assert_eq!(ask(server), expected);
    before.wait(server, POOLED);
    result
}

fn ask(client: &Client) -> String {
    let call = client.call("POST", "/invocations");
    let call = call.header(TARGET_MODEL, GOOD);
    let call = call.header("Content-Type", "text/csv").body(FLOWER);
    call.send().ok()
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a server's process takes.
#[derive(Debug, Clone, Copy)]
pub struct Footprint {
    threads: u64,
    resident: u64,
}

impl Footprint {
    /// What it takes now.
    pub fn of(server: &Server) -> Self {
        Self {
            threads: threads(server.pid()),
            resident: resident(server.pid()),
        }
    }

    /// Waits until it takes no more than this again, and at most so many more threads.
    ///
    /// # Panics
    ///
    /// If it still does after [`PATIENCE`].
    #[track_caller]
    pub fn wait(self, server: &Server, more_threads: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::of(server);
            let threads = now.threads <= self.threads + more_threads;
            if threads && now.resident <= self.resident + BYTES {
                return;
            }
            assert!(Instant::now() < deadline, "before {self:?}, now {now:?}");
            sleep(Duration::from_millis(20));
        }
    }
}
