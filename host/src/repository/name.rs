//! The name of an artifact: it comes from outside, so only names that stay inside a repository exist.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::RepositoryError;

/// What SageMaker allows for `TargetModel`, in bytes.
const NAME_LIMIT: usize = 1024;

/// Endings of artifacts.
const ENDINGS: &[&str] = &[".tar.gz", ".tgz", ".tar", ".wasm"];

/// The name of an artifact in a repository: a relative path such as `tenant-a/iris.tar.gz`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(String);

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
}
