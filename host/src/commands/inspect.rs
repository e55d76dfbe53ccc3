//! `modelcell inspect`

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Args;
use wasmtime::component::Component;

use super::local::Places;
use crate::budget::Budget;
use crate::config::Options;
use crate::hooks::{Hook, INTERFACE};
use crate::load::compile::{self, CompileError};
use crate::load::complexity::{self, ComponentLimits};
use crate::load::files::{open_regular, read_component};
use crate::load::rewrite::Rewrite;
use crate::load::runtimes;
use crate::load::settings::ArtifactSettings;
use crate::load::unpack::unpack;
use crate::sandbox::{Capability, Import, Sandbox, hook_faults, imports_of, printable};
use crate::workspace::disk::Disk;

/// Say what a component or artifact exports and imports, or which runtime serves it and what it says
/// of the model, and whether it can run here.
///
/// Exits with 1 if it cannot run, and says why. A model's own code is not run.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A component (.wasm), an artifact (tar.gz, tar) or an unpacked artifact (directory).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    places: Places,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), String> {
        if self.file.is_dir() {
            return inspect_directory(&self.file, self.places);
        }
        let file = open_regular(&self.file)
            .map_err(|e| format!("{} cannot be read: {e}", self.file.display()))?;
        let packed = file.metadata().map_or(0, |metadata| metadata.len());
        let limits = Options::default().resolve(&super::environment)?.limits;
        let dir = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
        let mut room = Disk::unlimited().reserve(0).map_err(|e| e.to_string())?;
        unpack(file, dir.path(), &limits.unpack, &mut room).map_err(|e| e.to_string())?;
        println!("{}: {}", self.file.display(), ByteSize(packed));
        inspect_directory(dir.path(), self.places)
    }
}

fn inspect_directory(dir: &Path, places: Places) -> Result<(), String> {
    println!("files");
    print_files(dir, Path::new(""))?;
    let settings = ArtifactSettings::read(dir)?;
    let Some(wasm) = read_component(dir).map_err(|e| e.to_string())? else {
        return inspect_data(dir, &settings, places);
    };
    let report = Report::of_component(&wasm)?;
    report.print();
    match report.unfit {
        None => {
            println!("it can run here");
            Ok(())
        }
        Some(reason) => Err(format!("it cannot run here: {reason}")),
    }
}

/// An artifact without code: its runtime loads it, in a cell, and says what it is.
fn inspect_data(dir: &Path, settings: &ArtifactSettings, places: Places) -> Result<(), String> {
    let chosen = runtimes::choose(dir, settings).map_err(|e| e.to_string())?;
    println!("runtime\n  {} ({})", chosen.name, chosen.why);
    let local = places.start()?;
    let (_, loaded) = local
        .load(dir)
        .map_err(|e| format!("it cannot run here: {e}"))?;
    if let Some(description) = &loaded.description {
        println!("model\n  {}", printable(description));
    }
    local.settle(&loaded);
    println!(
        "memory\n  {} for this model, {} of code for all of its runtime",
        ByteSize(loaded.cells.usage().bytes),
        ByteSize(loaded.cells.code().bytes())
    );
    println!("it can run here");
    Ok(())
}

fn print_files(dir: &Path, below: &Path) -> Result<(), String> {
    let here = dir.join(below);
    let explain = |e: std::io::Error| format!("{} cannot be read: {e}", below.display());
    for name in super::sorted_names(&here).map_err(explain)? {
        let path = below.join(&name);
        let metadata = fs::symlink_metadata(dir.join(&path)).map_err(explain)?;
        if metadata.is_dir() {
            print_files(dir, &path)?;
        } else {
            let shown = printable(&path.to_string_lossy());
            println!("  {shown}  {}", ByteSize(metadata.len()));
        }
    }
    Ok(())
}

/// What is known of a component without running it.
pub(super) struct Report {
    hooks: Vec<&'static str>,
    imports: Vec<Import>,
    compile_time: Duration,
    code_bytes: u64,
    /// Why no snapshot can be taken of it, whatever `model_fn` does.
    no_snapshot: Option<String>,
    /// Why it cannot run.
    pub(super) unfit: Option<String>,
}

impl Report {
    /// # Errors
    ///
    /// If `wasm` is not a valid component at all.
    pub(super) fn of_component(wasm: &[u8]) -> Result<Self, String> {
        compile::check_kind(wasm).map_err(|e| e.to_string())?;
        complexity::check(wasm, &ComponentLimits::default())
            .map_err(|e| CompileError::from(e).to_string())?;
        let sandbox = Sandbox::new(1).map_err(|e| e.to_string())?;
        let engine = sandbox.engine();
        let begin = Instant::now();
        let component = Component::from_binary(engine, wasm)
            .map_err(|e| format!("the component is not valid: {e:#}"))?;
        let compile_time = begin.elapsed();
        let missing = hook_faults(engine, &component).missing;
        let linked = sandbox.link(&component, &Budget::new(u64::MAX));
        Ok(Self {
            hooks: Hook::ALL
                .into_iter()
                .map(Hook::wit_name)
                .filter(|hook| !missing.contains(hook))
                .collect(),
            imports: imports_of(engine, &component),
            compile_time,
            code_bytes: linked.as_ref().map_or(0, |code| code.bytes()),
            no_snapshot: Rewrite::Instrument.apply(wasm).err(),
            unfit: linked.err().map(|e| e.to_string()),
        })
    }

    fn print(&self) {
        println!("exports of {INTERFACE}");
        println!("  {}", self.hooks.join(", "));
        println!("imports");
        for import in &self.imports {
            let note = match import.capability {
                Capability::Offered => "",
                Capability::Denied => "  (linked, but a call fails: cells have no network)",
                Capability::Unknown => "  (not offered)",
            };
            println!("  {}{note}", import.name);
        }
        println!(
            "compiled in {} ms to {}",
            self.compile_time.as_millis(),
            ByteSize(self.code_bytes)
        );
        match &self.no_snapshot {
            None => println!(
                "a snapshot can be taken, if model_fn leaves no file open: by default each request gets \
                 a fresh cell from a snapshot"
            ),
            Some(reason) => println!(
                "no snapshot can be taken, so by default requests share reused cells: {}",
                printable(reason)
            ),
        }
    }
}
