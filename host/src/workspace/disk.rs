//! The disk budget: what the cache directory may hold, and who holds how much of it.
//!
//! Whoever writes to the disk reserves first and keeps the [`Reservation`] as long as the bytes are
//! there. What may be deleted at any time is handed over to the budget as a cached file
//! ([`Reservation::keep`]) and goes, least recently used first, when others need room. Deleting a
//! file does no harm to who has it open or mapped.
//!
//! The recency of cached files outlives the process as their time of change. Hosts that share a
//! cache directory each keep the budget of what they have seen of it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytesize::ByteSize;

use super::ledger::{Ledger, Room};
use super::sealed::Sealed;

/// File systems give space in blocks of mostly this size, so many small files take more than their
/// bytes.
const BLOCK: u64 = 4096;

/// Bytes that are taken at a time by who does not know how much it will be.
const STEP: u64 = 256 << 10;

/// What a file of `len` bytes takes of the disk.
pub fn on_disk(len: u64) -> u64 {
    len.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Something does not fit into the disk budget, or on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiskFull {
    /// More than the budget leaves.
    #[error(
        "it needs at least {} of disk, the disk budget is {} (--disk-budget), of which loaded models and loads \
         hold {}; unload models or raise the budget",
        ByteSize(*.needs), ByteSize(*.limit), ByteSize(*.held)
    )]
    Budget {
        /// Bytes that are asked for.
        needs: u64,
        /// Bytes of the budget.
        limit: u64,
        /// Bytes that cannot be evicted.
        held: u64,
    },
    /// The file system has no more space.
    #[error(
        "the disk of the cache directory is full; free some of it, or lower the disk budget \
         (--disk-budget) so that it fits"
    )]
    Device,
}

impl DiskFull {
    /// If `error` says that the file system has no more space.
    pub fn from_io(error: &io::Error) -> Option<Self> {
        use io::ErrorKind as K;
        let full = [K::StorageFull, K::QuotaExceeded, K::FileTooLarge].contains(&error.kind());
        full.then_some(Self::Device)
    }

    /// The same for who holds `own` bytes already of the `needs` in all.
    fn of_all(self, needs: u64, own: u64) -> Self {
        match self {
            Self::Budget { limit, held, .. } => Self::Budget {
                needs,
                limit,
                held: held.saturating_sub(own),
            },
            Self::Device => self,
        }
    }
}

/// The disk budget of a cache directory.
#[derive(Debug)]
pub struct Disk {
    ledger: Mutex<Ledger<Sealed>>,
}

impl Disk {
    /// The budget of `limit` bytes, or else of half of what is free in the file system of `dir` and
    /// what `cached`, the files that an earlier host left, take already. Evicts what is too much.
    ///
    /// # Errors
    ///
    /// If the file system does not say what is free.
    pub fn open(
        dir: &Path,
        limit: Option<u64>,
        mut cached: Vec<(Sealed, u64, SystemTime)>,
    ) -> io::Result<Arc<Self>> {
        let limit = match limit {
            Some(limit) => limit,
            None => {
                let sizes = cached.iter().map(|(_, bytes, _)| bytes);
                free(dir)? / 2 + sizes.sum::<u64>()
            }
        };
        cached.sort_by_key(|(_, _, used)| *used);
        let mut ledger = Ledger::new(limit);
        for (file, bytes, _) in cached {
            ledger.cache(file, bytes);
        }
        while let Some(file) = ledger.excess(0) {
            delete(&file);
        }
        Ok(Arc::new(Self {
            ledger: Mutex::new(ledger),
        }))
    }

    /// No budget at all, for what lies outside of the cache directory.
    pub fn unlimited() -> Arc<Self> {
        Arc::new(Self {
            ledger: Mutex::new(Ledger::new(u64::MAX)),
        })
    }

    /// Bytes that are taken.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Bytes of the budget.
    pub fn limit(&self) -> u64 {
        self.lock().limit()
    }

    /// Takes `bytes` of the budget, for which cached files may go. Deletes files, so it blocks.
    ///
    /// # Errors
    ///
    /// [`DiskFull::Budget`] if loaded models leave less than that.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, DiskFull> {
        self.take(bytes)?;
        Ok(Reservation {
            disk: self.clone(),
            bytes,
        })
    }

    fn take(&self, bytes: u64) -> Result<(), DiskFull> {
        let mut ledger = self.lock();
        loop {
            match ledger.hold(bytes) {
                Room::Held => return Ok(()),
                Room::Evict(file) => delete(&file),
                Room::None => {
                    return Err(DiskFull::Budget {
                        needs: bytes,
                        limit: ledger.limit(),
                        held: ledger.held(),
                    });
                }
            }
        }
    }

    /// Opens a cached file and reads its seal, which are of the same version if no other process
    /// writes them. It counts as used now.
    pub fn find(&self, file: &Sealed) -> Option<(File, Vec<u8>)> {
        let mut ledger = self.lock();
        let found = file.open();
        match &found {
            // Another host's file is not in the ledger yet.
            Some((body, seal)) => ledger.cache(file.clone(), taken(body, seal)),
            None => ledger.forget(file),
        }
        if let Some((body, _)) = &found {
            // Who does not know when it was used evicts it too early, which is no harm.
            let _ = body.set_modified(SystemTime::now());
        }
        found
    }

    /// Deletes a cached file.
    pub fn discard(&self, file: &Sealed) {
        let mut ledger = self.lock();
        ledger.forget(file);
        delete(file);
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<Sealed>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the disk budget. Dropping it gives them back.
pub struct Reservation {
    disk: Arc<Disk>,
    bytes: u64,
}

impl Reservation {
    /// Takes what is missing to hold `bytes`, and some more if that fits: for who does not know yet
    /// how much it will be. Blocks as [`Disk::reserve`] does.
    ///
    /// # Errors
    ///
    /// [`DiskFull::Budget`]; what was held before is still held.
    pub fn cover(&mut self, bytes: u64) -> Result<(), DiskFull> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing == 0 {
            return Ok(());
        }
        let step = missing.max(STEP);
        if self.disk.take(step).is_ok() {
            self.bytes += step;
            return Ok(());
        }
        match self.disk.take(missing) {
            Ok(()) => {
                self.bytes += missing;
                Ok(())
            }
            Err(full) => Err(full.of_all(bytes, self.bytes)),
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back what is more than `bytes`.
    pub fn shrink(&mut self, bytes: u64) {
        let spare = self.bytes.saturating_sub(bytes);
        self.disk.lock().release(spare);
        self.bytes -= spare;
    }

    /// Runs `put`, which gives the finished file its name, and hands its bytes over: from now on the
    /// file may be evicted.
    ///
    /// # Errors
    ///
    /// What `put` returns; nothing of the file counts then.
    pub fn keep(self, file: &Sealed, put: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        // Locked, so that nothing of the same name is evicted or opened half-way.
        let mut ledger = self.disk.lock();
        let result = put();
        match result {
            Ok(()) => ledger.cache(file.clone(), self.bytes),
            Err(_) => {
                ledger.forget(file);
                delete(file);
            }
        }
        // Before `self` is dropped, which locks it again.
        drop(ledger);
        result
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.disk.lock().release(self.bytes);
    }
}

fn taken(body: &File, seal: &[u8]) -> u64 {
    let body = body.metadata().map_or(0, |metadata| metadata.len());
    on_disk(body) + on_disk(seal.len() as u64)
}

/// What cannot be deleted is counted again at the next start.
fn delete(file: &Sealed) {
    if let Err(error) = file.remove() {
        tracing::warn!(%error, "a cached file could not be deleted");
    }
}

/// Bytes that are free for the host's user.
fn free(dir: &Path) -> io::Result<u64> {
    fs::metadata(dir)?;
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
