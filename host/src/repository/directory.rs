//! A repository in a directory.

use std::io;
use std::path::{Path, PathBuf};

use super::artifact::{Artifact, version_of};
use super::{Freshness, Listed, Listing, ModelName, RepositoryError, Version, without_ending};
use crate::load::files::open_regular;

/// Folders deeper than this are not searched.
const DEPTH_LIMIT: usize = 16;

/// A repository in a directory.
#[derive(Debug)]
pub struct DirectoryRepository {
    root: PathBuf,
}

impl DirectoryRepository {
    /// Opens the directory `root`.
    ///
    /// # Errors
    ///
    /// If it is missing, unreadable or not a directory.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        // Readable, and a directory.
        std::fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// The file of an artifact.
    fn resolve(&self, name: &ModelName) -> Result<PathBuf, RepositoryError> {
        let not_found = || RepositoryError::NotFound(name.to_string());
        let path = match self.root.join(name.as_str()).canonicalize() {
            Ok(path) => path,
            Err(error) => {
                return Err(match error.kind() {
                    // A file where the name has a folder, a name that no file system takes.
                    io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidFilename => not_found(),
                    kind => RepositoryError::Io(kind),
                });
            }
        };
        if !path.starts_with(&self.root) {
            return Err(RepositoryError::Leaves(name.to_string()));
        }
        if !path.is_file() {
            return Err(not_found());
        }
        Ok(path)
    }

    /// Whether `path`, which must be canonical, lies in this repository.
    pub(super) fn contains(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// Opens the artifact `name`.
    ///
    /// # Errors
    ///
    /// As [`super::Repository::fetch`].
    pub(super) fn fetch(&self, name: &ModelName) -> Result<Artifact, RepositoryError> {
        let file = open_regular(&self.resolve(name)?).map_err(|e| RepositoryError::Io(e.kind()))?;
        let metadata = file.metadata().map_err(|e| RepositoryError::Io(e.kind()))?;
        Ok(Artifact::in_place(file, &metadata))
    }

    /// Compares what lies under `name` with `version`.
    ///
    /// # Errors
    ///
    /// As [`super::Repository::check`].
    pub(super) fn check(
        &self,
        name: &ModelName,
        version: &Version,
    ) -> Result<Freshness, RepositoryError> {
        let path = match self.resolve(name) {
            Ok(path) => path,
            Err(RepositoryError::NotFound(_)) => return Ok(Freshness::Gone),
            Err(error) => return Err(error),
        };
        match std::fs::metadata(path) {
            Ok(metadata) if version_of(&metadata) == *version => Ok(Freshness::Same),
            Ok(_) => Ok(Freshness::Changed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Freshness::Gone),
            Err(error) => Err(RepositoryError::Io(error.kind())),
        }
    }

    /// All artifacts after the name `after`, but no more than `limit`.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub(super) fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, RepositoryError> {
        let mut names = Vec::new();
        self.search(&self.root, DEPTH_LIMIT, &mut names)
            .map_err(|e| RepositoryError::Io(e.kind()))?;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.sort_unstable();
        // What has gone in the meantime, or leads out of the repository, is not listed.
        let listed = names.into_iter().filter_map(|name| self.listed(name));
        let mut artifacts: Vec<_> = listed.take(limit.saturating_add(1)).collect();
        let more = artifacts.len() > limit;
        artifacts.truncate(limit);
        Ok(Listing { artifacts, more })
    }

    fn listed(&self, name: ModelName) -> Option<Listed> {
        let metadata = std::fs::metadata(self.resolve(&name).ok()?).ok()?;
        Some(Listed {
            size: metadata.len(),
            modified: metadata.modified().ok()?,
            name,
        })
    }

    /// Adds the names of the artifacts in `dir` to `found`.
    fn search(&self, dir: &Path, depth: usize, found: &mut Vec<ModelName>) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() && depth > 0 {
                match self.search(&path, depth - 1, found) {
                    // It was removed meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => result?,
                }
            } else if (kind.is_file() || kind.is_symlink())
                && let Ok(relative) = path.strip_prefix(&self.root)
                && let Some(name) = relative.to_str()
                && without_ending(name).is_some()
                && let Ok(name) = ModelName::parse(name)
            {
                found.push(name);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_repository_are_refused() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        };
        link(&outside.path().join("secret"), "file.tar.gz");
        link(outside.path(), "folder");
        std::fs::write(dir.path().join("real.tar.gz"), "x").unwrap();
        link(&dir.path().join("real.tar.gz"), "alias.tar.gz");

        let repository = DirectoryRepository::open(dir.path()).unwrap();
        let resolve = |name| repository.resolve(&ModelName::parse(name).unwrap());
        assert!(matches!(
            resolve("file.tar.gz"),
            Err(RepositoryError::Leaves(_))
        ));
        assert!(matches!(
            resolve("folder/secret"),
            Err(RepositoryError::Leaves(_))
        ));
        assert!(resolve("alias.tar.gz").is_ok());
        assert!(matches!(
            resolve("none.tar.gz"),
            Err(RepositoryError::NotFound(_))
        ));
        assert!(matches!(
            resolve("real.tar.gz/x"),
            Err(RepositoryError::NotFound(_))
        ));
    }

    #[test]
    fn artifacts_are_listed_in_pages() {
        let dir = tempfile::tempdir().unwrap();
        let repository = DirectoryRepository::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        for name in ["b.tar.gz", "a/m.tar.gz", "README.md", "c.wasm"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        // A link that leads nowhere takes nobody's place.
        std::os::unix::fs::symlink("nowhere", dir.path().join("a.tar.gz")).unwrap();
        let page = |after, limit| {
            let listing = repository.list(after, limit).unwrap();
            let names = listing.artifacts.iter().map(|a| a.name.to_string());
            (names.collect::<Vec<_>>(), listing.more)
        };
        assert_eq!(
            page(None, 2),
            (vec!["a/m.tar.gz".to_owned(), "b.tar.gz".to_owned()], true)
        );
        assert_eq!(
            page(Some("b.tar.gz"), 2),
            (vec!["c.wasm".to_owned()], false)
        );
    }

    #[test]
    fn a_file_that_is_replaced_or_written_to_is_another_version() {
        let dir = tempfile::tempdir().unwrap();
        let repository = DirectoryRepository::open(dir.path()).unwrap();
        let name = ModelName::parse("m.tar.gz").unwrap();
        let path = dir.path().join("m.tar.gz");
        std::fs::write(&path, "one").unwrap();
        let artifact = repository.fetch(&name).unwrap();
        let check = || repository.check(&name, &artifact.version).unwrap();
        assert_eq!(check(), Freshness::Same);
        artifact.verify().unwrap();

        std::fs::write(dir.path().join("new"), "two").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(check(), Freshness::Changed);
        artifact.verify().unwrap();

        std::fs::remove_file(&path).unwrap();
        assert_eq!(check(), Freshness::Gone);

        std::fs::write(&path, "one").unwrap();
        let artifact = repository.fetch(&name).unwrap();
        std::fs::write(&path, "longer").unwrap();
        assert_eq!(artifact.verify(), Err(RepositoryError::Changing));
    }
}
