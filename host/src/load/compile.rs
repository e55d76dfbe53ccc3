//! A component's bytes, compiled; with a cache on disk, so that a restart does not compile again.
//!
//! An entry is a sealed file ([`Sealed`]) named by the hash of the component's bytes and of the
//! engine's settings: `KEY.cwasm`, which wasmtime maps into memory, and `KEY.sha256`, its digest. An
//! entry counts only if the digest fits; anything else (a crash in between, a damaged disk) is
//! compiled again and replaced. Entries are under the disk budget; code that finds no room there is
//! used from memory.
//!
//! Mapping compiled code is as trusting as running a program: whoever can write the cache can run
//! code in the host. So the cache's directory must belong to the host's user alone.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::rewrite::Rewrite;
use crate::allocator;
use crate::workspace::disk::{Disk, on_disk};
use crate::workspace::sealed::{Endings, Sealed, write_unnamed};

/// The endings of compiled code and its digest.
pub const ENDINGS: Endings = Endings {
    body: "cwasm",
    seal: "sha256",
};

/// Changes with the files' layout.
const FORMAT: &[u8] = b"modelcell code 3\n";

/// Why a component cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are not a component.
    #[error("{0}")]
    NotAComponent(&'static str),
    /// The component is malformed, or uses what the engine does not offer.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// The component cannot have the form that it is to have.
    #[error("{0}")]
    Rewrite(String),
}

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

/// What tells one component from another: a hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ComponentDigest([u8; 32]);

impl ComponentDigest {
    /// The digest of a component, which is read to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn of(mut component: impl Read) -> io::Result<Self> {
        let mut wasm = Sha256::new();
        io::copy(&mut component, &mut wasm)?;
        Ok(Self(wasm.finalize().into()))
    }

    /// The digest itself.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What tells one piece of compiled code from another: a hash of the component, of the form that it
/// was compiled in, and of the engine's settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodeKey(String);

impl CodeKey {
    /// The key of a component in a form.
    pub fn of(engine: &Engine, component: &ComponentDigest, rewrite: &Rewrite) -> Self {
        let mut key = KeyHasher::default();
        key.write(FORMAT);
        engine.precompile_compatibility_hash().hash(&mut key);
        key.write(component.bytes());
        // Globals are sorted by name, so equal ones have equal keys.
        rewrite.hash(&mut key);
        Self(key.finish_hex())
    }
}

/// The cache of compiled components.
pub struct CodeCache {
    dir: PathBuf,
    /// Where files are written before they get their name; on the same file system as `dir`.
    scratch: PathBuf,
    disk: Arc<Disk>,
}

impl CodeCache {
    /// The cache in `dir`, which must belong to the host's user alone. `scratch` is a directory on the
    /// same file system that somebody cleans up after a crash.
    pub fn new(dir: PathBuf, scratch: PathBuf, disk: Arc<Disk>) -> Self {
        Self { dir, scratch, disk }
    }

    /// The compiled form of the component with this key if it is in the cache.
    pub fn find(&self, engine: &Engine, key: &CodeKey) -> Option<Component> {
        self.load(&self.entry(key), engine)
    }

    /// Compiles `wasm` in the form that `rewrite` says, for which the key is `key`, and keeps the
    /// result. Takes up to seconds of all cores.
    ///
    /// # Errors
    ///
    /// If `wasm` is not a component that this engine can run.
    pub fn compile(
        &self,
        engine: &Engine,
        key: &CodeKey,
        wasm: &[u8],
        rewrite: &Rewrite,
    ) -> Result<Component, CompileError> {
        check_kind(wasm)?;
        let entry = self.entry(key);
        let wasm = rewrite.apply(wasm).map_err(CompileError::Rewrite)?;
        let code = engine
            .precompile_component(&wasm)
            .map_err(|e| CompileError::Invalid(format!("{e:#}")))?;
        if let Err(error) = self.store(&entry, &code) {
            tracing::warn!(%error, "compiled code could not be kept; it is compiled again next time");
        }
        let component = match self.load(&entry, engine) {
            Some(component) => component,
            None => from_memory(engine, &code)?,
        };
        drop(code);
        // Hundreds of megabytes for a large component.
        allocator::give_back();
        Ok(component)
    }

    fn entry(&self, CodeKey(key): &CodeKey) -> Sealed {
        Sealed::new(&self.dir, key, ENDINGS)
    }

    /// The entry's code if it is there and undamaged.
    fn load(&self, entry: &Sealed, engine: &Engine) -> Option<Component> {
        let (mut code, expected) = self.disk.find(entry)?;
        if digest(entry, &mut code).ok()?.as_bytes() != expected {
            tracing::warn!("compiled code in the cache is damaged; it is compiled again");
            return None;
        }
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

    /// Writes the code, then the digest, each by renaming a finished file.
    fn store(&self, entry: &Sealed, code: &[u8]) -> io::Result<()> {
        let digest = digest(entry, code)?;
        let bytes = on_disk(code.len() as u64) + on_disk(digest.len() as u64);
        let room = self.disk.reserve(bytes).map_err(io::Error::other)?;
        let code = write_unnamed(code, &self.scratch)?;
        let digest = write_unnamed(digest.as_bytes(), &self.scratch)?;
        room.keep(entry, || entry.put(code, digest))
    }
}

/// What the seal of `entry` says of its code. It is of the entry's name as well, so that one entry's
/// files are no other's.
fn digest(entry: &Sealed, mut code: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(entry.key());
    io::copy(&mut code, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

fn from_memory(engine: &Engine, code: &[u8]) -> Result<Component, CompileError> {
    // SAFETY: `code` was made by this engine a moment ago and has not left this process.
    unsafe { Component::deserialize(engine, code) }
        .map_err(|e| CompileError::Invalid(format!("{e:#}")))
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
#[derive(Default)]
pub(super) struct KeyHasher(Sha256);

impl KeyHasher {
    /// The key, as text.
    pub(super) fn finish_hex(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: it has nothing in it.
    const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

    fn cache(dir: &Path, budget: u64) -> CodeCache {
        let disk = Disk::open(dir, Some(budget), Vec::new()).unwrap();
        CodeCache::new(dir.to_owned(), dir.to_owned(), disk)
    }

    #[test]
    fn code_is_kept_and_damaged_code_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let key = CodeKey::of(
            &engine,
            &ComponentDigest::of(WASM).unwrap(),
            &Rewrite::Plain,
        );
        let cache = cache(dir.path(), 1 << 30);
        assert!(cache.find(&engine, &key).is_none());
        cache.compile(&engine, &key, WASM, &Rewrite::Plain).unwrap();
        assert!(cache.find(&engine, &key).is_some());
        assert!(cache.disk.used() > 0);

        let entry = cache.entry(&key);
        let mut code = fs::read(entry.body()).unwrap();
        let last = code.len() - 1;
        code[last] ^= 1;
        fs::write(entry.body(), code).unwrap();
        assert!(cache.find(&engine, &key).is_none());
        cache.compile(&engine, &key, WASM, &Rewrite::Plain).unwrap();
        assert!(cache.find(&engine, &key).is_some());
    }

    #[test]
    fn code_that_finds_no_room_on_the_disk_is_used_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let key = CodeKey::of(
            &engine,
            &ComponentDigest::of(WASM).unwrap(),
            &Rewrite::Plain,
        );
        let cache = cache(dir.path(), 4096);
        cache.compile(&engine, &key, WASM, &Rewrite::Plain).unwrap();
        assert!(cache.find(&engine, &key).is_none());
        assert_eq!(cache.disk.used(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
