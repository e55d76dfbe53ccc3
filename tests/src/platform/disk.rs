//! The platform's artifacts, and what it unpacks of them for a container.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use flate2::read::GzDecoder;
use tar::Archive;

/// Artifacts by the names that callers know them by, and the directory that a container sees.
pub struct Disk {
    artifacts: Mutex<BTreeMap<String, Vec<u8>>>,
    models: PathBuf,
}

impl Disk {
    /// Without artifacts.
    pub fn new(models: &Path) -> Self {
        Self {
            artifacts: Mutex::default(),
            models: models.to_owned(),
        }
    }

    /// Puts an artifact where models come from.
    pub fn store(&self, target: &str, artifact: &[u8]) {
        let mut artifacts = self.artifacts.lock().unwrap();
        artifacts.insert(target.to_owned(), artifact.to_owned());
    }

    /// Unpacks an artifact, if it is not there, to HASH/model, which nobody may write to.
    ///
    /// # Panics
    ///
    /// If there is no such artifact, or it is no `tar.gz`.
    pub fn unpack(&self, target: &str) {
        let home = self.models.join(hash(target));
        if home.exists() {
            return;
        }
        let artifacts = self.artifacts.lock().unwrap();
        let artifact = artifacts
            .get(target)
            .unwrap_or_else(|| panic!("no artifact is called {target}"));
        let model = home.join("model");
        fs::create_dir_all(&model).unwrap();
        let mut archive = Archive::new(GzDecoder::new(artifact.as_slice()));
        archive.unpack(&model).unwrap();
        set_mode(&home, 0o444, 0o555);
    }

    /// Removes what was unpacked.
    ///
    /// # Panics
    ///
    /// If it was not.
    pub fn remove(&self, target: &str) {
        let home = self.models.join(hash(target));
        set_mode(&home, 0o644, 0o755);
        fs::remove_dir_all(home).unwrap();
    }
}

/// The name that the platform gives a model: one that says nothing.
pub fn hash(target: &str) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, target).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

fn set_mode(path: &Path, file: u32, dir: u32) {
    let is_dir = path.is_dir();
    let mode = if is_dir { dir } else { file };
    // A directory before what is in it, so that it may be looked into.
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    if is_dir {
        for entry in fs::read_dir(path).unwrap() {
            set_mode(&entry.unwrap().path(), file, dir);
        }
    }
}
