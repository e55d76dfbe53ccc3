//! Guests and artifacts.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
pub use tar::EntryType;
use tar::Header;

use crate::command::source;

/// Where a guest's component is, whether it was built or not.
pub fn guest_file(name: &str) -> PathBuf {
    source().join("target/guests").join(format!("{name}.wasm"))
}

/// A guest's component.
///
/// # Panics
///
/// If it was not built.
pub fn guest(name: &str) -> Vec<u8> {
    fs::read(guest_file(name)).unwrap_or_else(|error| {
        panic!("the guest {name} cannot be read ({error}): run make guests");
    })
}

/// The guest that does what it is told, as an artifact without data.
pub fn misbehave() -> &'static [u8] {
    static ARTIFACT: OnceLock<Vec<u8>> = OnceLock::new();
    ARTIFACT.get_or_init(|| artifact(&guest("misbehave"), &[]))
}

/// The same with a file that tells `model_fn` what to do.
pub fn misbehave_at_load(behaviour: &str) -> Vec<u8> {
    artifact(&guest("misbehave"), &[("behaviour", behaviour.as_bytes())])
}

/// The same with cells that are reused, so that what `model_fn` took is held as long as the model.
pub fn misbehave_reused(behaviour: &str) -> Vec<u8> {
    let files: [(&str, &[u8]); 2] = [
        ("behaviour", behaviour.as_bytes()),
        ("modelcell.toml", b"isolation = 'model'"),
    ];
    artifact(&guest("misbehave"), &files)
}

/// A `tar.gz` of a component and data files.
pub fn artifact(component: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Tar::new().file("model.wasm", component);
    for (name, content) in files {
        tar = tar.file(name, content);
    }
    tar.gz()
}

/// The time of the first use, in seconds since 1970. It is in all artifacts, so that no test finds the
/// snapshot of an earlier run in the cache, and `model_fn` does what it is told to.
fn this_run() -> u64 {
    static NOW: OnceLock<u64> = OnceLock::new();
    *NOW.get_or_init(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        since_1970.unwrap_or_default().as_secs()
    })
}

/// A `tar` that is put together entry by entry, in ways that `tar` would not do.
#[derive(Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// An archive without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), "", content)
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name.as_bytes(), "", b"")
    }

    /// Adds any entry. The name is written as it is, at most 100 bytes of it.
    #[must_use]
    pub fn entry(self, kind: EntryType, name: &[u8], link: &str, content: &[u8]) -> Self {
        self.claiming(kind, name, link, content.len() as u64, content)
    }

    /// Adds an entry whose header states any size.
    #[must_use]
    pub fn claiming(
        mut self,
        kind: EntryType,
        name: &[u8],
        link: &str,
        size: u64,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(this_run());
        header.set_size(size);
        let old = header.as_old_mut();
        let name = &name[..name.len().min(100)];
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// Adds a pax header with one record for the next entry.
    #[must_use]
    pub fn pax(self, key: &str, value: &[u8]) -> Self {
        self.entry(
            EntryType::XHeader,
            b"PaxHeaders/x",
            "",
            &pax_record(key, value),
        )
    }

    /// Adds GNU's long name for the next entry.
    #[must_use]
    pub fn gnu_long_name(self, name: &[u8]) -> Self {
        let content = [name, b"\0"].concat();
        self.entry(EntryType::GNULongName, b"././@LongLink", "", &content)
    }

    /// The archive with its end.
    pub fn tar(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }

    /// The archive, compressed.
    pub fn gz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

/// Bytes, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
