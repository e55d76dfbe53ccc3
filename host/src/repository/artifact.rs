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
    /// The file is the repository's own, which somebody may be writing to.
    in_place: bool,
}

impl Artifact {
    /// A private copy, which nobody changes.
    pub(super) fn copy(file: File, version: Version, as_of: Instant) -> Self {
        Self {
            file,
            version,
            as_of,
            in_place: false,
        }
    }

    /// A file in a directory repository.
    pub(super) fn in_place(file: File, metadata: &Metadata) -> Self {
        Self {
            file,
            version: version_of(metadata),
            as_of: Instant::now(),
            in_place: true,
        }
    }

    /// Asked after the file was read: whether all of it was one version.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Changing`] if somebody wrote to it meanwhile.
    pub fn verify(&self) -> Result<(), RepositoryError> {
        if !self.in_place {
            return Ok(());
        }
        match self.file.metadata() {
            Ok(metadata) if version_of(&metadata) == self.version => Ok(()),
            _ => Err(RepositoryError::Changing),
        }
    }
}

/// The version of a file: another file under the same name has another inode, and a file that is
/// written to another size or time.
pub(super) fn version_of(metadata: &Metadata) -> Version {
    Version(format!(
        "{:x}-{:x}-{:x}-{:x}.{:x}",
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}
