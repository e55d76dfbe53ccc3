//! The limit of what an archive may unpack to.

use std::io::{self, Read};

use super::writer::write_error;
use super::{CopyError, UnpackError, damaged};

/// A reader that fails once more than `limit` bytes have come out of it, which ends zip bombs
/// wherever in the archive they are.
pub(super) struct Bounded<R> {
    inner: R,
    limit: u64,
    left: u64,
    exceeded: bool,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            limit,
            left: limit,
            exceeded: false,
        }
    }

    /// What `error`, of reading through this or of writing, means.
    pub(super) fn explain(&self, error: CopyError) -> UnpackError {
        match error {
            CopyError::Refused(error) => error,
            _ if self.exceeded => UnpackError::TooLarge(self.limit),
            CopyError::Read(error) => damaged(error),
            // Names that the file system does not take, or that stand in each other's way.
            CopyError::Write(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidFilename
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::IsADirectory
                ) =>
            {
                damaged(error)
            }
            CopyError::Write(error) => write_error(error),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.exceeded = true;
                Err(io::Error::other("more than allowed"))
            }
        }
    }
}
