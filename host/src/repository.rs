//! A repository: where artifacts lie, and how a name that a caller gives becomes one of them.
//!
//! Names come from outside. [`ModelName`] holds only names that stay inside, and a resolved path is
//! checked once more after links are followed.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What SageMaker allows for `TargetModel`, in bytes.
const NAME_LIMIT: usize = 1024;

/// Endings of artifacts.
const ENDINGS: &[&str] = &[".tar.gz", ".tgz", ".tar", ".wasm"];

/// Folders deeper than this are not searched.
const DEPTH_LIMIT: usize = 16;

/// The name of an artifact in a repository: a relative path such as `tenant-a/iris.tar.gz`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName(String);

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
    /// The repository could not be read.
    #[error("the repository could not be read ({0})")]
    Io(io::ErrorKind),
}

impl ModelName {
    /// Checks a name that came from outside.
    pub fn parse(name: &str) -> Result<Self, RepositoryError> {
        if name.is_empty() {
            return Err(RepositoryError::BadName("is empty"));
        }
        if name.len() > NAME_LIMIT {
            return Err(RepositoryError::BadName("is longer than 1,024 bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err(RepositoryError::BadName("has control characters"));
        }
        let plain = |c: Component<'_>| matches!(c, Component::Normal(_));
        // `components` passes over `a//b` and `a/./b`, which would be other names for `a/b`.
        let canonical: PathBuf = Path::new(name).components().collect();
        if !Path::new(name).components().all(plain) || canonical.as_os_str() != name {
            return Err(RepositoryError::BadName("would leave the repository"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository in a directory.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Opens the directory `root`.
    ///
    /// # Errors
    ///
    /// If it is missing, unreadable or not a directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        // Readable, and a directory.
        std::fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// The file of an artifact.
    pub fn resolve(&self, name: &ModelName) -> Result<PathBuf, RepositoryError> {
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
    pub fn contains(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// The only artifact, for callers who name none.
    pub fn only(&self) -> Result<ModelName, RepositoryError> {
        let mut found = Vec::new();
        self.search(&self.root, DEPTH_LIMIT, &mut found)
            .map_err(|e| RepositoryError::Io(e.kind()))?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(name), None) => Ok(name),
            (None, _) => Err(RepositoryError::Ambiguous("no model")),
            (Some(_), Some(_)) => Err(RepositoryError::Ambiguous("several models")),
        }
    }

    /// Adds the artifacts in `dir` to `found`; stops at the second one, which settles the question.
    fn search(&self, dir: &Path, depth: usize, found: &mut Vec<ModelName>) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            if found.len() > 1 {
                break;
            }
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() && depth > 0 {
                self.search(&path, depth - 1, found)?;
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

/// An artifact's file name without its ending; none if it is not an artifact's.
pub fn without_ending(name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for name in ["iris.tar.gz", "tenant-a/iris.tar.gz", "a b/ü.wasm", "..a/b"] {
            assert_eq!(ModelName::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./a",
            "a//b",
            "a/./b",
            "a/",
            "a\0b",
            "a\nb",
        ] {
            assert!(ModelName::parse(name).is_err(), "{name:?}");
        }
        assert!(ModelName::parse(&"x".repeat(1025)).is_err());
    }

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

        let repository = Repository::open(dir.path()).unwrap();
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
    fn the_only_artifact_is_found_in_sub_folders_too() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::open(dir.path()).unwrap();
        assert!(matches!(
            repository.only(),
            Err(RepositoryError::Ambiguous("no model"))
        ));
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/m.tar.gz"), "x").unwrap();
        std::fs::write(dir.path().join("README.md"), "x").unwrap();
        assert_eq!(repository.only().unwrap().as_str(), "a/m.tar.gz");
        std::fs::write(dir.path().join("n.wasm"), "x").unwrap();
        assert!(matches!(
            repository.only(),
            Err(RepositoryError::Ambiguous("several models"))
        ));
    }
}
