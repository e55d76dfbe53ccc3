//! A repository: where artifacts lie, and how a name that a caller gives becomes one of them.
//!
//! A repository is a directory or a prefix of an S3 bucket; both keep the same contract. [`Repository`]
//! is that contract: fetch an artifact, ask whether a version is still the newest, list. What is
//! fetched is an open file of the version that was asked for, whatever happens in the repository
//! or in the cache directory afterwards.

mod artifact;
pub mod cache;
mod directory;
mod error;
mod location;
mod name;
mod s3;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::config::RepositoryOptions;
use crate::load::progress::Progress;
use crate::workspace::Workspace;
pub use artifact::Artifact;
pub use directory::DirectoryRepository;
pub use error::{Outage, RepositoryError, SetupFault};
pub use location::Location;
pub use name::{ModelName, without_ending};
pub use s3::S3Repository;

/// What tells one content of an artifact from another: in S3 the ETag, in a directory the file's
/// identity, size and time of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// Whether a version is still what lies under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing else has been put there.
    Same,
    /// There is another version.
    Changed,
    /// Nothing lies there any more.
    Gone,
}

/// An artifact in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: ModelName,
    /// Its size in bytes.
    pub size: u64,
    /// When it was put there.
    pub modified: SystemTime,
}

/// A page of the list of a repository's artifacts.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of their names' bytes.
    pub artifacts: Vec<Listed>,
    /// Whether there are more.
    pub more: bool,
}

/// A repository of either kind.
#[derive(Debug)]
pub enum Repository {
    /// In a directory.
    Directory(Arc<DirectoryRepository>),
    /// In S3.
    S3(Arc<S3Repository>),
}

impl Repository {
    /// Opens the repository that `options` names. What is downloaded is kept in `workspace`.
    ///
    /// # Errors
    ///
    /// One line that says what to mend.
    pub async fn open(
        options: &RepositoryOptions,
        workspace: &Arc<Workspace>,
    ) -> Result<Self, String> {
        match &options.location {
            Location::Directory(root) => DirectoryRepository::open(root)
                .map(|directory| Self::Directory(Arc::new(directory)))
                .map_err(|e| format!("the repository {} cannot be used: {e}", options.location)),
            Location::S3 { bucket, prefix } => {
                let cache = workspace.artifacts().clone();
                S3Repository::open(bucket, prefix, options, cache)
                    .await
                    .map(|s3| Self::S3(Arc::new(s3)))
            }
        }
    }

    /// The artifact that lies under `name` now, or did a moment ago (see
    /// [`RepositoryOptions::revalidate_after`]).
    ///
    /// # Errors
    ///
    /// Any [`RepositoryError`]; nothing of a download that fails is left.
    pub async fn fetch(
        &self,
        name: &ModelName,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Artifact, RepositoryError> {
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.clone());
                blocking(move || directory.fetch(&name)).await
            }
            Self::S3(s3) => s3.fetch(name, deadline, progress).await,
        }
    }

    /// Whether `version` is still what lies under `name`: asks the repository.
    ///
    /// # Errors
    ///
    /// Any [`RepositoryError`] but `NotFound`: nobody knows then.
    pub async fn check(
        &self,
        name: &ModelName,
        version: &Version,
    ) -> Result<Freshness, RepositoryError> {
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.clone());
                let version = version.clone();
                blocking(move || directory.check(&name, &version)).await
            }
            Self::S3(s3) => s3.check(name, version).await,
        }
    }

    /// Has the next [`Repository::fetch`] of `name` ask for the newest version, whatever was known a
    /// moment ago.
    pub fn forget(&self, name: &ModelName) {
        match self {
            Self::Directory(_) => {}
            Self::S3(s3) => s3.forget(name),
        }
    }

    /// At most `limit` artifacts in the order of their names, beginning after the name `after`.
    ///
    /// # Errors
    ///
    /// If the repository cannot be read.
    pub async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, RepositoryError> {
        match self {
            Self::Directory(directory) => {
                let directory = directory.clone();
                let after = after.map(str::to_owned);
                blocking(move || directory.list(after.as_deref(), limit)).await
            }
            Self::S3(s3) => s3.list(after, limit).await,
        }
    }

    /// The only artifact, for callers who name none.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Ambiguous`] if there is none or are several.
    pub async fn only(&self) -> Result<ModelName, RepositoryError> {
        let mut found = self.list(None, 2).await?.artifacts.into_iter();
        match (found.next(), found.next()) {
            (Some(artifact), None) => Ok(artifact.name),
            (None, _) => Err(RepositoryError::Ambiguous("no model")),
            (Some(_), Some(_)) => Err(RepositoryError::Ambiguous("several models")),
        }
    }

    /// Whether `path`, which must be canonical, lies in this repository.
    pub fn contains(&self, path: &Path) -> bool {
        match self {
            Self::Directory(directory) => directory.contains(path),
            Self::S3(_) => false,
        }
    }
}

/// File systems block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, RepositoryError> {
    spawn_blocking(work)
        .await
        .unwrap_or(Err(RepositoryError::Io(io::ErrorKind::Interrupted)))
}
