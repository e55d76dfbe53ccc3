//! Files and directories of a model, written under the disk budget.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{CopyError, UnpackError};
use crate::workspace::disk::{DiskFull, Reservation, on_disk};

/// Writes what comes out of an archive into one directory.
pub(super) struct Writer<'a> {
    into: &'a Path,
    room: &'a mut Reservation,
    /// Bytes that it takes of the disk so far.
    used: u64,
}

impl<'a> Writer<'a> {
    /// Writes into `into`, which exists, and lets `room` grow with it.
    pub(super) fn new(into: &'a Path, room: &'a mut Reservation) -> Self {
        Self {
            into,
            room,
            used: 0,
        }
    }

    /// Makes the directory `path` if it is not there; whether it was made.
    pub(super) fn make_dir(&mut self, path: &Path) -> Result<bool, CopyError> {
        self.cover(self.used + on_disk(1))?;
        let path = self.into.join(path);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                self.used += on_disk(1);
                Ok(true)
            }
            Err(_) if path.is_dir() => Ok(false),
            Err(error) => Err(CopyError::Write(error)),
        }
    }

    /// Writes `from` to the file `path`.
    pub(super) fn write_file(
        &mut self,
        from: &mut impl Read,
        path: &Path,
    ) -> Result<(), CopyError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.into.join(path))
            .map_err(CopyError::Write)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut written = 0;
        loop {
            let read = from.read(&mut buffer).map_err(CopyError::Read)?;
            match buffer.get(..read) {
                Some(chunk) if !chunk.is_empty() => {
                    written += chunk.len() as u64;
                    self.cover(self.used + on_disk(written))?;
                    file.write_all(chunk).map_err(CopyError::Write)?;
                }
                _ => {
                    self.used += on_disk(written);
                    return Ok(());
                }
            }
        }
    }

    /// Nothing more is written.
    pub(super) fn finish(self) {
        self.room.shrink(self.used);
    }

    fn cover(&mut self, bytes: u64) -> Result<(), CopyError> {
        self.room.cover(bytes).map_err(no_room)
    }
}

/// The host could not write.
pub(in crate::load) fn write_error(error: io::Error) -> UnpackError {
    match DiskFull::from_io(&error) {
        Some(full) => UnpackError::NoRoom(full),
        None => UnpackError::Storage(error),
    }
}

fn no_room(full: DiskFull) -> CopyError {
    CopyError::Refused(UnpackError::NoRoom(full))
}
