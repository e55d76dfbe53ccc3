//! A repository: where artifacts lie, and how a name that a caller gives becomes one of them.
//!
//! A repository is a directory or a prefix of an S3 bucket; both keep the same contract. [`Repository`]
//! is that contract: fetch an artifact, ask whether a version is still the newest, list. What is
//! fetched is an open file of the version that was asked for, whatever happens in the repository
//! or in the cache directory afterwards.

mod artifact;
mod directory;
mod name;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::config::RepositoryOptions;
use crate::load::progress::Progress;
use crate::workspace::Workspace;
pub use artifact::Artifact;
pub use directory::DirectoryRepository;
pub use name::{ModelName, without_ending};

/// Where a repository lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine.
    Directory(PathBuf),
    /// The objects of a bucket whose keys begin with a prefix.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// Empty, or ends with a slash.
        prefix: String,
    },
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return Ok(Self::Directory(PathBuf::from(text)));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err("names no bucket; write s3://BUCKET/PREFIX/".into());
        }
        let mut prefix = prefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix,
        })
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// What tells one content of an artifact from another: in S3 the ETag, in a directory the file's
/// identity, size and time of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// Why a name or what it points to is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RepositoryError {
    /// The name is empty, too long or could leave the repository.
    #[error(
        "the target model's name {0}; it must be a path inside the repository such as NAME.tar.gz or FOLDER/NAME.tar.gz"
    )]
    BadName(&'static str),
    /// No artifact has this name.
    #[error("Model not found: {0}")]
    NotFound(String),
    /// A link leads out of the repository.
    #[error("{0} is a link that leaves the repository")]
    Leaves(String),
    /// The caller named no model, and it is not clear which is meant.
    #[error(
        "the repository holds {0}: name one in the header X-Amzn-SageMaker-Target-Model or the query parameter TargetModel"
    )]
    Ambiguous(&'static str),
    /// The artifact is being written to, so what was read is of no version.
    #[error("the artifact is being replaced; try again")]
    Changing,
    /// The repository could not be read.
    #[error("the repository could not be read ({0})")]
    Io(io::ErrorKind),
}

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
        let _ = workspace;
        match &options.location {
            Location::Directory(root) => DirectoryRepository::open(root)
                .map(|directory| Self::Directory(Arc::new(directory)))
                .map_err(|e| format!("the repository {} cannot be used: {e}", options.location)),
            Location::S3 { .. } => Err("not yet".into()),
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
        let _ = (deadline, progress);
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.clone());
                blocking(move || directory.fetch(&name)).await
            }
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
