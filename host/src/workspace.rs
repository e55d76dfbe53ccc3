//! The cache directory: compiled code, snapshots and fetched artifacts, which outlive the process, and the
//! unpacked models of this one. All of it is under the disk budget ([`Disk`]).
//!
//! Layout: `code/` (see [`CodeCache`]), `snapshots/` (see [`SnapshotCache`]), `artifacts/` (what was fetched from S3) and `run/PROCESS/`,
//! one folder for each running host with a lock on it, so that several hosts may share a cache
//! directory. Folders whose lock nobody holds were left by a host that was killed; the next one to
//! start removes them.

pub mod disk;
mod ledger;
pub mod sealed;

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::load::compile::{self, CodeCache, check_private};
use crate::load::compiler::CompileOptions;
use crate::load::{self, snapshots::SnapshotCache};
use crate::repository::cache::{self, ArtifactCache};
use disk::Disk;

/// The file in each `run/PROCESS/` folder that its host holds locked.
const LOCK_FILE: &str = "lock";

/// The host's place on disk. Dropping it removes the unpacked models.
pub struct Workspace {
    code: CodeCache,
    snapshots: SnapshotCache,
    artifacts: Arc<ArtifactCache>,
    disk: Arc<Disk>,
    run: TempDir,
    // Released by the kernel however the process ends.
    _lock: File,
}

impl Workspace {
    /// Opens `dir`, which is made if it is missing, and clears what dead hosts left. It may hold
    /// `budget` bytes, or if none are given half of what is free and what is cached already. What is not
    /// cached is compiled as `options` say.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the directory.
    pub fn open(dir: &Path, budget: Option<u64>, options: &CompileOptions) -> Result<Self, String> {
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
        let [code, snapshots, artifacts] = ["code", "snapshots", "artifacts"].map(|d| dir.join(d));
        for cached in [&code, &snapshots, &artifacts] {
            make_private(cached).map_err(explain)?;
            check_private(cached).map_err(explain)?;
        }
        let mut found = sealed::scan(&code, compile::ENDINGS).map_err(explain)?;
        found.extend(sealed::scan(&snapshots, load::snapshots::ENDINGS).map_err(explain)?);
        found.extend(sealed::scan(&code, compile::FUNCTIONS_ENDINGS).map_err(explain)?);
        found.extend(sealed::scan(&artifacts, cache::ENDINGS).map_err(explain)?);
        let disk = Disk::open(dir, budget, found).map_err(explain)?;
        let scratch = run.path();
        Ok(Self {
            snapshots: SnapshotCache::new(snapshots, scratch.to_owned(), disk.clone()),
            code: CodeCache::new(code, scratch.to_owned(), disk.clone(), options.clone()),
            artifacts: Arc::new(ArtifactCache::new(
                artifacts,
                scratch.to_owned(),
                disk.clone(),
            )),
            disk,
            run,
            _lock: lock,
        })
    }

    /// The compiled components.
    pub fn code(&self) -> &CodeCache {
        &self.code
    }

    /// What `model_fn` left of models that were loaded before.
    pub fn snapshots(&self) -> &SnapshotCache {
        &self.snapshots
    }

    /// The artifacts that were fetched.
    pub fn artifacts(&self) -> &Arc<ArtifactCache> {
        &self.artifacts
    }

    /// The disk budget.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.disk
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
        let options = CompileOptions::default();
        let live = Workspace::open(dir.path(), None, &options).unwrap();
        let kept = live.new_model_dir().unwrap();
        let dead = dir.path().join("run/1-dead");
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.join(LOCK_FILE), "").unwrap();

        let _second = Workspace::open(dir.path(), None, &options).unwrap();
        assert!(!dead.exists());
        assert!(kept.path().exists());
    }
}
