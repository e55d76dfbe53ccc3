//! `modelcell compile`

use clap::Args;

use crate::load::compiler::{Bounds, run_child};

/// Compile a component for a host, which starts this by itself; see `load/compiler.rs`.
#[derive(Debug, Args)]
pub struct Compile {
    /// Bytes of memory that it may take.
    #[arg(long, value_name = "BYTES")]
    memory: u64,

    /// Seconds that it may take of all processors together.
    #[arg(long, value_name = "SECONDS")]
    cpu: u64,

    /// The host's process.
    #[arg(long, value_name = "PID")]
    parent: i32,
}

impl Compile {
    pub(super) fn run(self) -> Result<(), String> {
        run_child(Bounds {
            memory: self.memory,
            cpu: self.cpu,
            parent: self.parent,
        })
    }
}
