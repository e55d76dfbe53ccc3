//! The compiler, in a process of its own.
//!
//! Nobody can tell beforehand how long a component takes to compile and how much memory, and a
//! compiler of this size has bugs. So for each component that is compiled the host starts its own
//! program again ([`Compiler::Process`]), as a process that bounds itself (`child`) and whose end,
//! whatever it is, is an error of one load. Lifecycle: it is started and waited for by one blocking
//! thread (`process`), which ends it when its time is over. It dies at once when nobody waits any
//! more ([`Wanted`] is dropped) and when the host dies.
//!
//! What goes over is one file in memory each way (`job`): the component, how to rewrite it and the
//! functions that were compiled before (`functions`); the code and the functions that are new. So
//! neither side ever waits for the other to read, and code is in memory once on its way to the disk.

mod child;
mod functions;
mod job;
mod output;
mod process;
mod wanted;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use wasmtime::Engine;

use super::compile::CompileError;
use super::complexity::ComponentLimits;
use super::rewrite::Rewrite;
#[cfg(test)]
pub(super) use child::engine as compiler_engine;
pub use child::{Bounds, run as run_child};
#[cfg(test)]
pub(super) use functions::Functions;
pub use output::Output;
pub use wanted::{Demand, Wanted, demand};

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In a process of this program, which must be `modelcell` of the same build.
    Process(PathBuf),
    /// In this process, without bounds: for programs that use the host as a library, and for
    /// components that are trusted.
    InProcess,
}

impl Compiler {
    /// In a process of the program that runs, which must be `modelcell`.
    pub fn of_this_program() -> Self {
        // Unlike its path it stays the same program when another version is installed.
        Self::Process(PathBuf::from("/proc/self/exe"))
    }
}

/// How components are compiled.
#[derive(Debug, Clone)]
pub struct CompileOptions {
    /// Where.
    pub compiler: Compiler,
    /// Bytes of memory that compiling one component may take.
    pub memory: u64,
    /// How long compiling one component may take.
    pub timeout: Duration,
    /// What a component may have to be compiled at all.
    pub component: ComponentLimits,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            compiler: Compiler::InProcess,
            memory: 2 << 30,
            timeout: Duration::from_secs(120),
            component: ComponentLimits::default(),
        }
    }
}

/// What is to be compiled.
pub(super) struct Order<'a> {
    /// The component as it was made.
    pub(super) wasm: &'a [u8],
    /// The form in which it is compiled.
    pub(super) rewrite: &'a Rewrite,
    /// Functions of the component that were compiled before.
    pub(super) functions: Option<&'a File>,
}

impl CompileOptions {
    /// Compiles a component. Blocks; returns early if nobody wants it any more.
    ///
    /// # Errors
    ///
    /// If it cannot be compiled, or not within the bounds.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        order: &Order<'_>,
        demand: &Demand,
    ) -> Result<Output, CompileError> {
        match &self.compiler {
            Compiler::Process(program) => process::run(program, self, engine, order, demand),
            Compiler::InProcess => compile_here(engine, order),
        }
    }
}

fn compile_here(engine: &Engine, order: &Order<'_>) -> Result<Output, CompileError> {
    let form = order.rewrite.apply(order.wasm);
    let form = form.map_err(CompileError::Rewrite)?;
    let code = engine
        .precompile_component(&form)
        .map_err(|e| CompileError::Invalid(format!("{e:#}")))?;
    Output::of(&code).map_err(|e| CompileError::host("its code cannot be held", e))
}
