//! Where a repository lies.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_folder() {
        for (text, bucket, prefix) in [
            ("s3://models", "models", ""),
            ("s3://models/", "models", ""),
            ("s3://models/a/b", "models", "a/b/"),
            ("s3://models/a/b/", "models", "a/b/"),
        ] {
            let location: Location = text.parse().unwrap();
            let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
            assert_eq!(location, Location::S3 { bucket, prefix });
        }
        for text in ["s3://", "s3:///a"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        let directory = "models/s3".parse().unwrap();
        assert_eq!(Location::Directory("models/s3".into()), directory);
    }
}
