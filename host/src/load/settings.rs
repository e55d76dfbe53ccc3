//! `modelcell.toml` of an artifact: what a model's author may say about how it is run.
//!
//! An artifact may only lower what the operator allows.

use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::config::{Span, parse_toml};
use crate::sandbox::Isolation;

/// The settings file's name in an artifact.
pub const SETTINGS_FILE: &str = "modelcell.toml";

/// No guest runs in less.
const LEAST_MEMORY: ByteSize = ByteSize::mib(1);

/// The largest settings file that is read, in bytes.
const FILE_LIMIT: u64 = 64 * 1024;

/// What an artifact's `modelcell.toml` may hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArtifactSettings {
    /// The longest time for one request.
    pub request_timeout: Option<Span>,
    /// How requests are kept apart.
    pub isolation: Option<Isolation>,
    /// The longest time for one hook of a request.
    pub hook_timeout: Option<Span>,
    /// Bytes of the largest answer.
    pub max_response: Option<ByteSize>,
    /// Bytes of linear memory of one cell.
    pub cell_memory: Option<ByteSize>,
    /// Cells that serve requests at a time.
    pub cells: Option<u32>,
}

impl ArtifactSettings {
    /// Reads the settings of the model in `model_dir`. No file means no settings.
    ///
    /// # Errors
    ///
    /// A text that names the place in the file.
    pub fn read(model_dir: &Path) -> Result<Self, String> {
        let path = model_dir.join(SETTINGS_FILE);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(format!("{SETTINGS_FILE} is not a regular file"));
            }
            Ok(metadata) if metadata.len() > FILE_LIMIT => {
                return Err(format!("{SETTINGS_FILE} is larger than {FILE_LIMIT} bytes"));
            }
            Ok(_) => {}
            Err(_) => return Ok(Self::default()),
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|e| format!("{SETTINGS_FILE} cannot be read: {e}"))?;
        let settings: Self =
            parse_toml(&text).map_err(|e| format!("{SETTINGS_FILE} is not valid: {e}"))?;
        match settings.cell_memory {
            Some(size) if size < LEAST_MEMORY => Err(format!(
                "{SETTINGS_FILE} is not valid: cell-memory is {size}, but must be at least \
                 {LEAST_MEMORY}"
            )),
            _ => Ok(settings),
        }
    }

    /// How requests are kept apart: the artifact's wish, at least `least`.
    pub fn isolation(&self, least: Isolation) -> Isolation {
        self.isolation.unwrap_or_default().max(least)
    }

    /// The cell's memory in bytes: the artifact's wish, at most `ceiling`.
    pub fn cell_memory(&self, ceiling: usize) -> usize {
        at_most(self.cell_memory, ceiling)
    }

    /// Bytes of the largest answer: the artifact's wish, at most `ceiling`.
    pub fn transfer(&self, ceiling: usize) -> usize {
        at_most(self.max_response, ceiling)
    }

    /// The time for a hook: the artifact's wish, at most `ceiling`.
    pub fn hook_timeout(&self, ceiling: Duration) -> Duration {
        self.hook_timeout
            .map_or(ceiling, |wish| wish.0.min(ceiling))
    }

    /// The time for a request: the artifact's wish, at most `ceiling`.
    pub fn request_timeout(&self, ceiling: Duration) -> Duration {
        self.request_timeout
            .map_or(ceiling, |wish| wish.0.min(ceiling))
    }

    /// The number of cells: the artifact's wish, at least 1 and at most `ceiling`.
    pub fn cells(&self, ceiling: usize) -> usize {
        self.cells
            .map_or(ceiling, |wish| (wish as usize).clamp(1, ceiling))
    }
}

fn at_most(wish: Option<ByteSize>, ceiling: usize) -> usize {
    wish.map_or(ceiling, |wish| {
        usize::try_from(wish.as_u64()).map_or(ceiling, |wish| wish.min(ceiling))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ArtifactSettings, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SETTINGS_FILE), text).unwrap();
        ArtifactSettings::read(dir.path())
    }

    #[test]
    fn artifacts_can_lower_limits_but_not_raise_them() {
        let settings = parse("request-timeout = '5s'\ncell-memory = '1GiB'\ncells = 0").unwrap();
        let minute = Duration::from_secs(60);
        assert_eq!(settings.request_timeout(minute), Duration::from_secs(5));
        assert_eq!(settings.cell_memory(1 << 20), 1 << 20);
        assert_eq!(settings.cells(4), 1);
        let shared = parse("isolation = 'model'").unwrap();
        assert_eq!(shared.isolation(Isolation::Model), Isolation::Model);
        assert_eq!(shared.isolation(Isolation::Request), Isolation::Request);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(
            parse("cell-memroy = '1GiB'")
                .unwrap_err()
                .contains("cell-memroy")
        );
        assert!(
            parse("cell-memory = '1KiB'")
                .unwrap_err()
                .contains("1.0 MiB")
        );
        assert!(
            parse("cell-memory = 'much'")
                .unwrap_err()
                .contains("line 1")
        );
        assert!(parse("request-timeout = 5").unwrap_err().contains("30s"));
    }
}
