//! `modelcell.toml` of an artifact: what a model's author may say about how it is run.
//!
//! An artifact may only lower what the operator allows.

use std::collections::BTreeMap;
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

/// Variables for the model's code, and bytes of a name or a value: as many as SageMaker allows a
/// container. <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html>
const VARIABLES: usize = 100;
const VALUE_BYTES: usize = 1024;

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
    /// The runtime for an artifact without code, by name.
    pub runtime: Option<String>,
    /// Variables that the model's code finds in its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
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
        match settings.fault() {
            Some(fault) => Err(format!("{SETTINGS_FILE} is not valid: {fault}")),
            None => Ok(settings),
        }
    }

    /// A value that no setting may have.
    fn fault(&self) -> Option<String> {
        if let Some(size) = self.cell_memory.filter(|size| *size < LEAST_MEMORY) {
            return Some(format!(
                "cell-memory is {size}, but must be at least {LEAST_MEMORY}"
            ));
        }
        if let Some(name) = self.runtime.as_ref().filter(|name| !is_runtime_name(name)) {
            return Some(format!(
                "runtime is {name:?}, but must be a name of lower-case letters, digits and hyphens"
            ));
        }
        if self.environment.len() > VARIABLES {
            return Some(format!("environment has more than {VARIABLES} variables"));
        }
        let bad = self.environment.iter().find(|(name, value)| {
            !is_variable_name(name) || value.len() > VALUE_BYTES || value.contains('\0')
        });
        bad.map(|(name, _)| {
            format!(
                "the variable {name:?} of environment must have a name of letters, digits and \
                 underscores and a value of at most {VALUE_BYTES} bytes, none of them zero"
            )
        })
    }

    /// Variables for the model's code: those of `base`, and the artifact's own, which win.
    pub fn variables(&self, base: &[(String, String)]) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> = base.iter().cloned().collect();
        all.extend(self.environment.clone());
        all.into_iter().collect()
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

/// A runtime's name is that of a file.
fn is_runtime_name(name: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn is_variable_name(name: &str) -> bool {
    let starts = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    let fits = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    starts && name.len() <= VALUE_BYTES && name.bytes().all(fits)
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
        for text in ["runtime = '../x'", "runtime = ''", "runtime = 'XGBoost'"] {
            assert!(parse(text).unwrap_err().contains("lower-case"), "{text}");
        }
        for text in ["\"A B\" = ''", "1A = ''", "A = \"\\u0000\"", "A = 1"] {
            let text = format!("[environment]\n{text}");
            assert!(parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_artifacts_variables_win() {
        let settings = parse("runtime = 'xgboost'\n[environment]\nA = '1'\nB = ''").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = settings.variables(&[pair("C", "3"), pair("A", "0")]);
        assert_eq!(all, [pair("A", "1"), pair("B", ""), pair("C", "3")]);
    }
}
