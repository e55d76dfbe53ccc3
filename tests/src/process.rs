//! A process that does not outlive its test.

use std::process::{Child, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually;

/// A child process; it is killed when the value is dropped.
pub struct Process(pub Child);

impl Process {
    /// Sends SIGTERM.
    ///
    /// # Panics
    ///
    /// If it cannot be sent.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
    }

    /// How it ended; waits for it.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server has ended", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
