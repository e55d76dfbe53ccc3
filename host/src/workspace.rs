//! The cache directory: compiled code that outlives the process, and the unpacked models of this
//! one.
//!
//! Layout: `code/` (see [`CodeCache`]) and `run/PROCESS/`, one folder for each running host with a
//! lock on it, so that several hosts may share a cache directory. Folders whose lock nobody holds
//! were left by a host that was killed; the next one to start removes them.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::load::compile::{CodeCache, check_private};

/// The file in each `run/PROCESS/` folder that its host holds locked.
const LOCK_FILE: &str = "lock";

/// The host's place on disk. Dropping it removes the unpacked models.
pub struct Workspace {
    code: CodeCache,
    run: TempDir,
    // Released by the kernel however the process ends.
    _lock: File,
}

impl Workspace {
    /// Opens `dir`, which is made if it is missing, and clears what dead hosts left.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the directory.
    pub fn open(dir: &Path) -> Result<Self, String> {
        let explain =
            |e: io::Error| format!("the cache directory {} cannot be used: {e}", dir.display());
        let all_runs = dir.join("run");
        make_private(&all_runs).map_err(explain)?;
        // Whoever can write here can put another directory in the place of `code`.
        check_private(dir).map_err(explain)?;
        remove_stale(&all_runs);
        let run = tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempdir_in(&all_runs)
            .map_err(explain)?;
        let lock = lock_folder(run.path()).map_err(explain)?;
        let scratch = run.path().to_owned();
        let code = CodeCache::open(dir.join("code"), scratch).map_err(explain)?;
        Ok(Self {
            code,
            run,
            _lock: lock,
        })
    }

    /// The compiled components.
    pub fn code(&self) -> &CodeCache {
        &self.code
    }

    /// An empty directory for one model; it goes when the value is dropped.
    pub fn new_model_dir(&self) -> io::Result<TempDir> {
        tempfile::Builder::new()
            .prefix("model-")
            .tempdir_in(self.run.path())
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes the lock file. It gets its name when it is locked already, so that no other host ever sees
/// it unlocked while this one lives.
fn lock_folder(folder: &Path) -> io::Result<File> {
    let unnamed = folder.join("locking");
    let lock = File::create(&unnamed)?;
    lock.lock()?;
    fs::rename(&unnamed, folder.join(LOCK_FILE))?;
    Ok(lock)
}

fn remove_stale(runs: &Path) {
    let folders: Vec<PathBuf> = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    for folder in folders {
        // A folder without a lock file is one that another host is about to lock.
        let Ok(lock) = File::open(folder.join(LOCK_FILE)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {
                if let Err(error) = fs::remove_dir_all(&folder) {
                    tracing::warn!(%error, "a dead host's files could not be removed");
                }
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_hosts_folder_is_removed_and_a_live_ones_stays() {
        let dir = tempfile::tempdir().unwrap();
        let live = Workspace::open(dir.path()).unwrap();
        let kept = live.new_model_dir().unwrap();
        let dead = dir.path().join("run/1-dead");
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.join(LOCK_FILE), "").unwrap();

        let _second = Workspace::open(dir.path()).unwrap();
        assert!(!dead.exists());
        assert!(kept.path().exists());
    }
}
