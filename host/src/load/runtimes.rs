//! Runtimes: components for artifacts that carry data only.
//!
//! An artifact has its own code (`model.wasm`), which always wins; or it names a runtime in its
//! `modelcell.toml`; or the runtime is chosen by what the artifact holds. A runtime's component lies in
//! the operator's folder of runtimes as `NAME.wasm`. It is compiled once for all its models, as any
//! component that models share, and it is confined as any other: a hostile model file can at worst take
//! over its own model's cells.

mod detect;

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use wasmtime::Engine;

use super::code::Component;
use super::compile::CodeKey;
use super::files::{COMPONENT_LIMIT, no_component, open_component, open_regular};
use super::settings::ArtifactSettings;
use super::unpack::COMPONENT_FILE;
use super::{LoadError, internal};
use crate::sandbox::printable;

/// Variables of the host's environment that runtimes see: how SageMaker's own XGBoost container is told
/// what to answer. <https://github.com/aws/sagemaker-xgboost-container>
pub const VARIABLES: [&str; 4] = [
    "SAGEMAKER_INFERENCE_OUTPUT",
    "SAGEMAKER_INFERENCE_ENSEMBLE",
    "SAGEMAKER_BATCH",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
];

/// Where runtimes lie, and what they are told.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// The folder with a `NAME.wasm` for each runtime.
    pub dir: Option<PathBuf>,
    /// Those of [`VARIABLES`] that are set.
    pub environment: Vec<(String, String)>,
}

/// The runtimes of a host.
pub(super) struct Runtimes {
    options: RuntimeOptions,
    /// The keys of runtimes that were used, as long as their files are unchanged: to make a key, the file
    /// is read, and a model's load takes less time than that.
    keys: Mutex<HashMap<String, (Stamp, CodeKey)>>,
}

/// What changes when a file is replaced or written to. Its date may be set by who writes it; the time of the last
/// change may not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    changed: (i64, i64),
}

/// The runtime of a model, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// What in the artifact speaks for it.
    pub why: String,
}

impl Runtimes {
    pub(super) fn new(options: RuntimeOptions) -> Self {
        Self {
            options,
            keys: Mutex::default(),
        }
    }

    /// Variables that each runtime sees.
    pub(super) fn environment(&self) -> &[(String, String)] {
        &self.options.environment
    }

    /// The component of the artifact in `dir`, and which runtime it is if it is one.
    ///
    /// # Errors
    ///
    /// [`LoadError::InvalidArtifact`] if the artifact has no code and speaks for no runtime,
    /// [`LoadError::NoRuntime`] if that is not here.
    pub(super) fn component(
        &self,
        engine: &Engine,
        dir: &Path,
        settings: &ArtifactSettings,
    ) -> Result<(Component, Option<Chosen>), LoadError> {
        if let Some(file) = open_component(dir)? {
            return Ok((Component::open(engine, file)?, None));
        }
        let chosen = choose(dir, settings)?;
        let component = self.open(engine, &chosen)?;
        Ok((component, Some(chosen)))
    }

    fn open(&self, engine: &Engine, chosen: &Chosen) -> Result<Component, LoadError> {
        let name = &chosen.name;
        let path = self.options.dir.as_ref();
        let missing = || LoadError::NoRuntime(self.missing(chosen));
        let path = path.ok_or_else(missing)?.join(format!("{name}.wasm"));
        let file = open_regular(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidInput => missing(),
            kind => LoadError::Internal(format!("the runtime {name} cannot be opened: {kind}")),
        })?;
        let stamp = Stamp::of(&file)?;
        if stamp.bytes > COMPONENT_LIMIT {
            let limit = bytesize::ByteSize(COMPONENT_LIMIT);
            let text = format!("the runtime {name} is larger than {limit}");
            return Err(LoadError::Internal(text));
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = keys.get(name)
            && *known == stamp
        {
            return Ok(Component::known(file, key.clone()));
        }
        let component = Component::open(engine, file)?;
        keys.insert(name.clone(), (stamp, component.key().clone()));
        Ok(component)
    }

    fn missing(&self, Chosen { name, why }: &Chosen) -> String {
        let have = self.names();
        let have = match have.is_empty() {
            true => "none".to_owned(),
            false => have.join(", "),
        };
        format!(
            "the artifact needs the runtime {name} ({why}), which this host does not have (it has \
             {have}; --runtimes names their folder)"
        )
    }

    /// The runtimes that are there.
    fn names(&self) -> Vec<String> {
        let dir = self.options.dir.as_ref();
        let entries = dir.and_then(|dir| std::fs::read_dir(dir).ok());
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .filter_map(|name| name.strip_suffix(".wasm").map(str::to_owned))
            .collect();
        names.sort();
        names
    }
}

impl Stamp {
    fn of(file: &File) -> Result<Self, LoadError> {
        let metadata = file.metadata().map_err(internal)?;
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// The runtime for the artifact in `dir`, which has no component.
///
/// # Errors
///
/// [`LoadError::InvalidArtifact`] if none is named and the files speak for none, or for several.
pub fn choose(dir: &Path, settings: &ArtifactSettings) -> Result<Chosen, LoadError> {
    if let Some(name) = &settings.runtime {
        return Ok(Chosen {
            name: name.clone(),
            why: "modelcell.toml names it".into(),
        });
    }
    let models = detect::models(dir);
    match models.as_slice() {
        [] => Err(LoadError::InvalidArtifact(no_model(dir))),
        [one] => Ok(Chosen {
            name: one.runtime.into(),
            why: format!("{}: {}", printable(&one.file), one.by),
        }),
        several => {
            let files = several
                .iter()
                .map(|model| format!("{} for {}", printable(&model.file), model.runtime));
            let files = files.collect::<Vec<_>>().join(", ");
            Err(LoadError::InvalidArtifact(format!(
                "the artifact has models for several runtimes ({files}): say runtime = \"NAME\" in \
                 modelcell.toml"
            )))
        }
    }
}

/// Why an artifact has nothing that runs, and the most common mistakes.
fn no_model(dir: &Path) -> String {
    match detect::unreadable(dir) {
        Some((file, advice)) => format!(
            "the artifact has no {COMPONENT_FILE} at its top, and no runtime reads {}: {advice}",
            printable(&file)
        ),
        None => format!(
            "{}, and no model that a runtime reads (XGBoost, LightGBM, ONNX)",
            no_component(dir, |folder| !detect::models(folder).is_empty())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_decides_before_its_files_do() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let none = ArtifactSettings::default();
        let error = choose(at, &none).unwrap_err().to_string();
        assert!(error.contains("no model.wasm at its top"), "{error}");
        std::fs::write(at.join("a.onnx"), b"").unwrap();
        assert_eq!(choose(at, &none).unwrap().name, "onnx");
        std::fs::write(at.join("b.txt"), b"tree\nversion=v4").unwrap();
        let error = choose(at, &none).unwrap_err().to_string();
        assert!(error.contains("a.onnx for onnx"), "{error}");
        assert!(error.contains("b.txt for lightgbm"), "{error}");
        let named = ArtifactSettings {
            runtime: Some("mine".into()),
            ..none
        };
        assert_eq!(choose(at, &named).unwrap().name, "mine");
    }

    #[test]
    fn a_folder_too_deep_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("m")).unwrap();
        std::fs::write(dir.path().join("m/model.onnx"), b"").unwrap();
        let error = choose(dir.path(), &ArtifactSettings::default()).unwrap_err();
        assert!(error.to_string().contains("tar -C m -czf"), "{error}");
    }
}
