//! A component's bytes, compiled; with a cache on disk, so that a restart does not compile again.
//!
//! An entry is a sealed file ([`Sealed`]) named by the hash of the component's bytes and of the
//! engine's settings: `KEY.cwasm`, which wasmtime maps into memory, and `KEY.sha256`, its digest. An
//! entry counts only if the digest fits; anything else (a crash in between, a damaged disk) is
//! compiled again and replaced. Entries are under the disk budget; code that finds no room there is
//! used from memory.
//!
//! Beside it lies `KEY.functions` with its digest `KEY.functions-sha256`: what the compiler needs to
//! compile another form of the same component in less time. Its key is that of the component as it was
//! made, whatever the form. It is under the disk budget, too, and trusted as the code is.
//!
//! Mapping compiled code is as trusting as running a program: whoever can write the cache can run
//! code in the host. So the cache's directory must belong to the host's user alone.

mod error;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::{CompileOptions, Demand, Order, Output};
use super::complexity;
use super::rewrite::Rewrite;
use crate::allocator;
use crate::workspace::disk::{Disk, on_disk};
use crate::workspace::sealed::{Endings, Sealed, write_unnamed};
pub use error::CompileError;

/// The endings of compiled code and its digest.
pub const ENDINGS: Endings = Endings {
    body: "cwasm",
    seal: "sha256",
};

/// The endings of compiled functions and their digest.
pub const FUNCTIONS_ENDINGS: Endings = Endings {
    body: "functions",
    seal: "functions-sha256",
};

/// Changes with the files' layout.
const FORMAT: &[u8] = b"modelcell code 3\n";

/// How compiled code was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Another model has it.
    Memory,
    /// Found in the cache.
    Cache,
    /// Compiled now.
    Compiler,
}

/// What tells one component's compiled code from another's: a hash of the component's bytes and of
/// the engine's settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodeKey(String);

impl CodeKey {
    /// The key of a component, which is read to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn of(engine: &Engine, mut component: impl Read) -> io::Result<Self> {
        let mut wasm = Sha256::new();
        io::copy(&mut component, &mut wasm)?;
        let mut key = KeyHasher(Sha256::new());
        key.write(FORMAT);
        engine.precompile_compatibility_hash().hash(&mut key);
        key.write(&wasm.finalize());
        Ok(Self(hex(&key.0.finalize())))
    }

    /// The key as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of another form of the component with this key.
    #[must_use]
    pub fn form(&self, rewrite: &Rewrite) -> Self {
        if *rewrite == Rewrite::Plain {
            return self.clone();
        }
        let mut key = KeyHasher(Sha256::new());
        key.write(self.0.as_bytes());
        rewrite.hash(&mut key);
        Self(hex(&key.0.finalize()))
    }
}

/// What tells an engine's settings from others, as far as compiled code depends on them.
pub(super) fn engine_print(engine: &Engine) -> [u8; 32] {
    let mut print = KeyHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut print);
    print.0.finalize().into()
}

/// The cache of compiled components.
pub struct CodeCache {
    dir: PathBuf,
    /// Where files are written before they get their name; on the same file system as `dir`.
    scratch: PathBuf,
    disk: Arc<Disk>,
    options: CompileOptions,
}

impl CodeCache {
    /// The cache in `dir`, which must belong to the host's user alone. `scratch` is a directory on the
    /// same file system that somebody cleans up after a crash. What is missing is compiled as
    /// `options` say.
    pub fn new(dir: PathBuf, scratch: PathBuf, disk: Arc<Disk>, options: CompileOptions) -> Self {
        Self {
            dir,
            scratch,
            disk,
            options,
        }
    }

    /// The compiled form of the component with this key if it is in the cache.
    pub fn find(&self, engine: &Engine, key: &CodeKey) -> Option<Component> {
        self.load(&self.entry(key), engine)
    }

    /// Compiles the component `wasm`, whose key is `key`, in the form that `rewrite` says, and keeps the
    /// result for who asks for the key of that form ([`CodeKey::form`]). Takes up to seconds of all
    /// cores, and ends early when nobody waits for it any more.
    ///
    /// # Errors
    ///
    /// If `wasm` is not a component that this engine can run, or not one that can be compiled within
    /// bounds.
    pub fn compile(
        &self,
        engine: &Engine,
        key: &CodeKey,
        wasm: &[u8],
        rewrite: &Rewrite,
        demand: &Demand,
    ) -> Result<Component, CompileError> {
        check_kind(wasm)?;
        complexity::check(wasm, &self.options.component)?;
        let functions = Sealed::new(&self.dir, &key.0, FUNCTIONS_ENDINGS);
        let known = self.undamaged(&functions);
        let order = Order {
            wasm,
            rewrite,
            functions: known.as_ref(),
        };
        let output = self.options.compile(engine, &order, demand)?;
        let entry = self.entry(&key.form(rewrite));
        let kept = output
            .code()
            .and_then(|code| self.store(&entry, code, output.code_bytes()));
        if let Err(error) = kept {
            tracing::warn!(%error, "compiled code could not be kept; it is compiled again next time");
        }
        if let Err(error) = self.store_functions(&functions, &output) {
            tracing::debug!(%error, "compiled functions could not be kept");
        }
        let component = match self.load(&entry, engine) {
            Some(component) => component,
            None => from_memory(engine, output)?,
        };
        // Much of what an in-process compilation took, for one.
        allocator::give_back();
        Ok(component)
    }

    fn entry(&self, CodeKey(key): &CodeKey) -> Sealed {
        Sealed::new(&self.dir, key, ENDINGS)
    }

    /// The open file of an entry if it is there and undamaged.
    fn undamaged(&self, entry: &Sealed) -> Option<File> {
        let (mut file, expected) = self.disk.find(entry)?;
        if digest(entry, &mut file).ok()?.as_bytes() != expected {
            tracing::warn!("compiled code in the cache is damaged; it is compiled again");
            return None;
        }
        Some(file)
    }

    /// The entry's code if it is there and undamaged.
    fn load(&self, entry: &Sealed, engine: &Engine) -> Option<Component> {
        self.undamaged(entry)?;
        // SAFETY: the file was written by `store` from this engine's compiler (the key holds the
        // engine's settings), the digest shows that it is unchanged, and only the host's user can
        // change it (`check_private`), who could as well change this program. It is replaced by
        // renaming only, so what is mapped stays as it is.
        match unsafe { Component::deserialize_file(engine, entry.body()) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%error, "compiled code in the cache cannot be used; it is compiled again");
                None
            }
        }
    }

    /// Writes a file of `bytes` bytes, then its digest, each by renaming a finished file.
    fn store(&self, entry: &Sealed, content: impl Read, bytes: u64) -> io::Result<()> {
        // The digest is as long as any other of its kind.
        let room = on_disk(bytes) + on_disk(1);
        let room = self.disk.reserve(room).map_err(io::Error::other)?;
        let mut body = write_unnamed(content, &self.scratch)?;
        body.rewind()?;
        let digest = digest(entry, &mut body)?;
        let seal = write_unnamed(digest.as_bytes(), &self.scratch)?;
        room.keep(entry, || entry.put(body, seal))
    }

    fn store_functions(&self, entry: &Sealed, output: &Output) -> io::Result<()> {
        match output.functions_bytes() {
            0 => Ok(()),
            bytes => self.store(entry, output.functions()?, bytes),
        }
    }
}

/// What the seal of `entry` says of its file.
fn digest(entry: &Sealed, mut file: impl Read) -> io::Result<String> {
    let mut hasher = entry.digest();
    io::copy(&mut file, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

/// The code without a place on disk: its pages are those that the compiler wrote.
fn from_memory(engine: &Engine, output: Output) -> Result<Component, CompileError> {
    let unusable =
        |e: wasmtime::Error| CompileError::Host(format!("its code is not usable: {e:#}"));
    let file = output.into_code();
    let file = file.map_err(|e| CompileError::host("its code cannot be held", e))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file was written a moment ago by this program's compiler with this engine's settings,
    // has no name by which others could open it, and is sealed, so what is mapped stays as it is.
    unsafe { Component::deserialize_file(engine, path) }.map_err(unusable)
}

/// Refuses a directory that others than the host's user could write to.
pub fn check_private(dir: &Path) -> io::Result<()> {
    let metadata = fs::metadata(dir)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours || metadata.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "it holds compiled code, so it must belong to the user who runs modelcell and be \
             writable by nobody else (chmod go-w)",
        ));
    }
    Ok(())
}

/// Tells a component from what is mistaken for one, by the first eight bytes.
pub fn check_kind(wasm: &[u8]) -> Result<(), CompileError> {
    match wasm.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(CompileError::NotAComponent(
            "model.wasm is a core module, not a component: build it for the target wasm32-wasip2, \
             or make a component of it with `wasm-tools component new`",
        )),
        Some([b'\0', b'a', b's', b'm', ..]) => Err(CompileError::NotAComponent(
            "model.wasm is of a WebAssembly version that Modelcell does not know",
        )),
        _ => Err(CompileError::NotAComponent(
            "model.wasm is not WebAssembly: it must be a component in the binary format",
        )),
    }
}

/// A hash as text.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Lets wasmtime hash its settings into a cryptographic hash. `finish` is never asked for.
struct KeyHasher(Sha256);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
