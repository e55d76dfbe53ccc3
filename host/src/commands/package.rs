//! `modelcell package`

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::inspect::Report;
use crate::config::Options;
use crate::load::files::open_regular;
use crate::load::runtimes;
use crate::load::settings::ArtifactSettings;
use crate::load::unpack::COMPONENT_FILE;

/// Pack a component and its data files into an artifact, or data files alone for a runtime.
///
/// The component is checked first (as `modelcell inspect` does), so that what is packed can run. The
/// same files always give the same artifact, byte for byte.
#[derive(Debug, Args)]
pub struct Package {
    /// The component, as `cargo build --target wasm32-wasip2` leaves it. Without one a runtime must
    /// know the model by its files, or by what modelcell.toml says.
    #[arg(long, value_name = "FILE", required_unless_present = "model_dir")]
    component: Option<PathBuf>,

    /// The directory whose files the model finds in its model directory; may hold a modelcell.toml.
    #[arg(long, value_name = "DIR")]
    model_dir: Option<PathBuf>,

    /// The artifact to write.
    #[arg(long, short, value_name = "FILE.tar.gz")]
    output: PathBuf,
}

impl Package {
    pub(super) fn run(self) -> Result<(), String> {
        let wasm = self.component.as_deref().map(read_checked).transpose()?;
        let mut files = Vec::new();
        if let Some(dir) = &self.model_dir {
            find_files(dir, Path::new(""), &mut files)?;
            if files.iter().any(|file| file == Path::new(COMPONENT_FILE)) {
                return Err(format!(
                    "{} holds a {COMPONENT_FILE} of its own: give it as --component",
                    dir.display()
                ));
            }
            let settings = ArtifactSettings::read(dir)?;
            if wasm.is_none() {
                runtimes::choose(dir, &settings).map_err(|e| e.to_string())?;
            }
        }
        warn_of_limits(&files, files.len() + usize::from(wasm.is_some()))?;
        self.write(wasm.as_deref(), &files)
            .map_err(|e| format!("{} cannot be written: {e}", self.output.display()))?;
        let size = fs::metadata(&self.output).map_or(0, |metadata| metadata.len());
        let content = match wasm {
            Some(_) => format!("{COMPONENT_FILE} and {} more files", files.len()),
            None => format!("{} files", files.len()),
        };
        println!("{}: {}, {content}", self.output.display(), ByteSize(size));
        Ok(())
    }

    /// Writes to a file beside the output and renames it, so that a running host never sees half an
    /// artifact.
    fn write(&self, wasm: Option<&[u8]>, files: &[PathBuf]) -> io::Result<()> {
        let parent = self
            .output
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let mut temporary = tempfile::Builder::new()
            .prefix(".packaging-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(parent)?;
        let gzip = GzEncoder::new(io::BufWriter::new(&mut temporary), Compression::default());
        let mut tar = Builder::new(gzip);
        if let Some(wasm) = wasm {
            append(&mut tar, Path::new(COMPONENT_FILE), wasm.len() as u64, wasm)?;
        }
        for file in files {
            let from = self.model_dir.as_deref().unwrap_or(parent).join(file);
            let from = File::open(from)?;
            append(&mut tar, file, from.metadata()?.len(), from)?;
        }
        tar.into_inner()?.finish()?.flush()?;
        temporary.as_file().sync_all()?;
        temporary.persist(&self.output)?;
        Ok(())
    }
}

/// The bytes of a component that can run.
fn read_checked(component: &Path) -> Result<Vec<u8>, String> {
    let mut wasm = Vec::new();
    open_regular(component)
        .and_then(|mut file| file.read_to_end(&mut wasm))
        .map_err(|e| cannot_read(component, &e))?;
    match Report::of_component(&wasm)?.unfit {
        Some(reason) => Err(format!("{} cannot run: {reason}", component.display())),
        None => Ok(wasm),
    }
}

/// Says what a host with the default limits would refuse; the operator may have raised them.
fn warn_of_limits(files: &[PathBuf], entries: usize) -> Result<(), String> {
    let limits = Options::default()
        .resolve(&super::environment)?
        .limits
        .unpack;
    if entries > limits.entries {
        tracing::warn!(
            "{entries} files are more than a host takes by default (--max-files {})",
            limits.entries
        );
    }
    let long = |file: &&PathBuf| file.as_os_str().len() > limits.path_bytes;
    if let Some(file) = files.iter().find(long) {
        tracing::warn!(
            "the path {} is longer than the {} bytes that a host takes",
            file.display(),
            limits.path_bytes
        );
    }
    Ok(())
}

/// Adds a file without its owner, mode and time, which say nothing to a model.
fn append(
    tar: &mut Builder<impl Write>,
    name: &Path,
    size: u64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, content)
}

/// All files below `dir`, relative to it and in a fixed order. Links to files count as files.
fn find_files(dir: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let here = dir.join(below);
    for name in super::sorted_names(&here).map_err(|e| cannot_read(&here, &e))? {
        let path = here.join(&name);
        let metadata = fs::metadata(&path).map_err(|e| cannot_read(&path, &e))?;
        if metadata.is_file() {
            files.push(below.join(name));
        } else if metadata.is_dir() && !path.is_symlink() {
            find_files(dir, &below.join(name), files)?;
        } else {
            return Err(format!(
                "{} is neither a file nor a directory: an artifact cannot hold it",
                path.display()
            ));
        }
    }
    Ok(())
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
