//! How far a load is, for whoever asks while it goes on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use serde::Serialize;

use crate::repository::Version;

/// A step of the load sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Waits for its turn, or for the repository's answer.
    Waiting,
    /// The artifact is on its way.
    Downloading,
    /// The artifact is unpacked.
    Unpacking,
    /// The component is compiled, or found compiled.
    Compiling,
    /// The first cell runs `model_fn`.
    ModelFn,
}

/// A load's stage and the bytes of its download. Written by the load, read by anybody.
#[derive(Debug, Default)]
pub struct Progress {
    stage: AtomicU8,
    downloaded: AtomicU64,
    size: AtomicU64,
    version: OnceLock<Version>,
}

impl Progress {
    /// The load has come to `stage`.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// A download of `size` bytes begins.
    pub fn download(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
        self.downloaded.store(0, Ordering::Relaxed);
        self.enter(Stage::Downloading);
    }

    /// `bytes` more have come.
    pub fn downloaded(&self, bytes: u64) {
        self.downloaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// This version of the repository's artifact is being loaded.
    pub fn found(&self, version: &Version) {
        // A load finds its artifact once.
        let _ = self.version.set(version.clone());
    }

    /// The version that is being loaded, if it is one of the repository's.
    pub fn version(&self) -> Option<&Version> {
        self.version.get()
    }

    /// Where the load is.
    pub fn stage(&self) -> Stage {
        const STAGES: [Stage; 5] = [
            Stage::Waiting,
            Stage::Downloading,
            Stage::Unpacking,
            Stage::Compiling,
            Stage::ModelFn,
        ];
        let stage = usize::from(self.stage.load(Ordering::Relaxed));
        STAGES.get(stage).copied().unwrap_or(Stage::Waiting)
    }

    /// Bytes that have come, and of how many; nothing before a download began.
    pub fn bytes(&self) -> Option<(u64, u64)> {
        let size = self.size.load(Ordering::Relaxed);
        (size > 0).then(|| (self.downloaded.load(Ordering::Relaxed), size))
    }
}
