//! What a server writes to stderr.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crate::wait::PATIENCE;

/// The lines of a server's log so far. Clones see the same lines.
#[derive(Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Collects lines in a thread until the stream ends.
    pub fn follow(stream: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                writer.change(|state| state.lines.push(String::from_utf8_lossy(&line).into()));
            }
            writer.change(|state| state.ended = true);
        });
        log
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.shared.0.lock().unwrap().lines.clone()
    }

    /// The lines so far that have all of these texts.
    pub fn lines_with(&self, parts: &[&str]) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| has(line, parts));
        lines
    }

    /// The first line that has all of these texts; waits for it.
    ///
    /// # Panics
    ///
    /// If the log ends without such a line, or after [`PATIENCE`].
    pub fn wait_for(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        let (state, changed) = &*self.shared;
        let mut state = state.lock().unwrap();
        loop {
            if let Some(line) = state.lines.iter().find(|line| has(line, parts)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                // Not held while panicking: the server's end prints the log once more.
                drop(state);
                panic!("no line of the log has all of {parts:?}");
            }
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.0.lock().unwrap());
        self.shared.1.notify_all();
    }
}

fn has(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part))
}
