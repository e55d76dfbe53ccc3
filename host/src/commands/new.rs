//! `modelcell new`
//!
//! The SDK and the contract travel in the binary, so a new project builds wherever the binary runs,
//! with exactly the SDK that fits this host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use include_dir::{Dir, DirEntry, include_dir};

static TEMPLATE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/template");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit");

/// Make a new model: a Rust crate that builds and passes its test at once.
///
/// It needs nothing but Rust with the target wasm32-wasip2 (rustup target add wasm32-wasip2).
#[derive(Debug, Args)]
pub struct New {
    /// Where to make it; the last part is the model's name: small letters, digits, - and _.
    #[arg(value_name = "NAME")]
    path: PathBuf,
}

impl New {
    pub(super) fn run(self) -> Result<(), String> {
        let name = self
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| is_crate_name(name))
            .ok_or_else(|| {
                format!(
                    "{} does not end in a name for a Rust crate: small letters, digits, - and _, \
                     beginning with a letter",
                    self.path.display()
                )
            })?;
        if self.path.exists() {
            return Err(format!("{} exists already", self.path.display()));
        }
        let explain = |e: io::Error| format!("{} cannot be written: {e}", self.path.display());
        write_template(&TEMPLATE, &self.path, name).map_err(explain)?;
        let modelcell = self.path.join("modelcell");
        write(&SDK, &modelcell.join("guest-sdk")).map_err(explain)?;
        write(&WIT, &modelcell.join("wit")).map_err(explain)?;
        println!(
            "made {0}: the code is in src/lib.rs, the data in model/\n\
             cd {0} && cargo test\n\
             {0}/README.md says how to go on",
            self.path.display()
        );
        Ok(())
    }
}

/// Small letters, digits, `-` and `_`, beginning with a letter; not a name that cargo reserves.
fn is_crate_name(name: &str) -> bool {
    let reserved = ["test", "core", "std", "alloc", "proc-macro", "proc_macro"];
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && !reserved.contains(&name)
}

/// Writes the template with the name filled in. Files end in `.in` where their own name would mean
/// something to the tools that build Modelcell itself.
fn write_template(dir: &Dir<'_>, to: &Path, name: &str) -> io::Result<()> {
    for file in all_files(dir) {
        let target = file.path().with_file_name(target_name(file.path()));
        let target = to.join(target);
        let content = String::from_utf8_lossy(file.contents())
            .replace("@NAME@", name)
            .replace("@CRATE@", &name.replace('-', "_"));
        write_file(&target, content.as_bytes())?;
    }
    Ok(())
}

fn target_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match &*name {
        "gitignore.in" => ".gitignore".to_owned(),
        other => other.strip_suffix(".in").unwrap_or(other).to_owned(),
    }
}

fn write(dir: &Dir<'_>, to: &Path) -> io::Result<()> {
    for file in all_files(dir) {
        write_file(&to.join(file.path()), file.contents())?;
    }
    Ok(())
}

fn all_files<'a>(dir: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    dir.entries()
        .iter()
        .flat_map(|entry| match entry {
            DirEntry::Dir(dir) => all_files(dir),
            DirEntry::File(file) => vec![file],
        })
        .collect()
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content)
}
