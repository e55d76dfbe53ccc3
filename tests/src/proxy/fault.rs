//! What can go wrong with an answer.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::sleep;
use std::time::Duration;

use super::Entry;
use super::message::Head;
use crate::wait::PATIENCE;

/// Something that goes wrong. Offsets are in the answer's body.
#[derive(Clone)]
pub enum Fault {
    /// The connection ends after so many bytes.
    Cut(usize),
    /// The same, once the gate is open.
    CutAt(usize, Gate),
    /// The answer states this length, and has the body that it has.
    Length(usize),
    /// So many bytes at a time, with a pause after them.
    Drip(usize, Duration),
    /// Nothing more comes after so many bytes until the gate opens.
    Pause(usize, Gate),
    /// One bit of the byte at this offset is another.
    Corrupt(usize),
    /// The proxy answers itself, with an error as S3 has it.
    Answer {
        /// The status.
        status: u16,
        /// S3's code, such as `AccessDenied`.
        code: &'static str,
        /// S3's text for people.
        message: &'static str,
    },
    /// The server is asked for all of the object, whatever the client wants of it.
    NoRanges,
    /// No answer.
    HangUp,
}

impl Fault {
    /// S3 asks for fewer requests.
    pub fn slow_down() -> Self {
        Self::answer(503, "SlowDown", "Please reduce your request rate.")
    }

    /// S3 has a problem of its own.
    pub fn internal_error() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::answer(500, "InternalError", message)
    }

    /// S3 refuses it.
    pub fn answer(status: u16, code: &'static str, message: &'static str) -> Self {
        Self::Answer {
            status,
            code,
            message,
        }
    }
}

/// Where answers wait until the test lets them go on. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Default)]
struct GateState {
    waiting: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets all go on, those too that come later.
    pub fn open(&self) {
        self.change(|state| state.open = true);
    }

    /// Waits until an answer stands before the gate.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn reached(&self) {
        let state = self.shared.0.lock().unwrap();
        let (_state, timeout) = self
            .shared
            .1
            .wait_timeout_while(state, PATIENCE, |state| state.waiting == 0)
            .unwrap();
        assert!(!timeout.timed_out(), "no answer came to the gate");
    }

    fn pass(&self) {
        self.change(|state| state.waiting += 1);
        let state = self.shared.0.lock().unwrap();
        // A test that has failed opens nothing any more.
        drop(
            self.shared
                .1
                .wait_timeout_while(state, 2 * PATIENCE, |state| !state.open),
        );
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.shared.0.lock().unwrap());
        self.shared.1.notify_all();
    }
}

/// Passes an answer on, in the way that `fault` says.
pub(super) fn pass_on(
    mut from: BufReader<TcpStream>,
    mut to: TcpStream,
    fault: Option<&Fault>,
    seen: &Entry<'_>,
) -> io::Result<()> {
    let mut head = Head::read(&mut from)?;
    seen.update(|seen| seen.status = head.status());
    head.set("Connection", "close");
    if let Some(Fault::Length(length)) = fault {
        head.set("Content-Length", &length.to_string());
    }
    to.write_all(&head.bytes())?;
    let mut passed = 0;
    loop {
        let at_most = before_writing(fault, passed);
        let chunk = from.fill_buf()?;
        let length = chunk.len().min(at_most);
        if length == 0 {
            return Ok(());
        }
        let mut bytes = chunk.get(..length).unwrap_or_default().to_vec();
        from.consume(length);
        if let Some(Fault::Corrupt(at)) = fault
            && let Some(byte) = at.checked_sub(passed).and_then(|at| bytes.get_mut(at))
        {
            *byte ^= 1;
        }
        to.write_all(&bytes)?;
        passed += length;
        seen.update(|seen| seen.body = passed);
        if let Some(Fault::Drip(_, pause)) = fault {
            sleep(*pause);
        }
    }
}

/// How many bytes may go now, after so many; waits if that is what the fault is.
fn before_writing(fault: Option<&Fault>, passed: usize) -> usize {
    match fault {
        Some(Fault::Cut(after)) => after - passed,
        Some(Fault::CutAt(after, gate)) => {
            if *after == passed {
                gate.pass();
            }
            after - passed
        }
        Some(Fault::Drip(bytes, _)) => *bytes,
        Some(Fault::Pause(after, gate)) if *after == passed => {
            gate.pass();
            usize::MAX
        }
        Some(Fault::Pause(after, _)) if *after > passed => after - passed,
        _ => usize::MAX,
    }
}
