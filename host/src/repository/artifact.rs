//! An artifact at hand: one version of it, open for reading.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use tokio::time::Instant;

use super::{RepositoryError, Version};

/// One version of an artifact, open for reading. It stays readable and the same if the artifact is
/// replaced or deleted meanwhile.
pub struct Artifact {
    /// The archive.
    pub file: File,
    /// Which version it is.
    pub version: Version,
    /// When the repository was asked and this was the newest version.
    pub as_of: Instant,
    /// Size and time of the last write, if the file is the repository's own, which somebody may be
    /// writing to.
    in_place: Option<Written>,
}

impl Artifact {
    /// A private copy, which nobody changes.
    pub(super) fn copy(file: File, version: Version, as_of: Instant) -> Self {
        Self {
            file,
            version,
            as_of,
            in_place: None,
        }
    }

    /// A file in a directory repository.
    pub(super) fn in_place(file: File, metadata: &Metadata) -> Self {
        Self {
            file,
            version: version_of(metadata),
            as_of: Instant::now(),
            in_place: Some(written(metadata)),
        }
    }

    /// Asked after the file was read: whether all of it was one version.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Changing`] if somebody wrote to it meanwhile.
    pub fn verify(&self) -> Result<(), RepositoryError> {
        let Some(before) = self.in_place else {
            return Ok(());
        };
        match self.file.metadata() {
            Ok(metadata) if written(&metadata) == before => Ok(()),
            _ => Err(RepositoryError::Changing),
        }
    }
}

/// Bytes, and seconds and nanoseconds of the last write.
type Written = (u64, i64, i64);

fn written(metadata: &Metadata) -> Written {
    (metadata.size(), metadata.mtime(), metadata.mtime_nsec())
}

/// The version of a file: another file under the same name has another inode, and a file that is
/// written to another size or time.
pub(super) fn version_of(metadata: &Metadata) -> Version {
    Version(format!(
        "{:x}-{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        // The time of the change itself, which a copy that keeps times cannot keep.
        metadata.ctime(),
        metadata.ctime_nsec()
    ))
}
