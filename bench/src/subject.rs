//! What is measured: the XGBoost example (100 trees) with a request of one row.

use std::path::{Path, PathBuf};

use modelcell::hooks::Request;
use modelcell::load::Loaded;
use modelcell::sandbox::Isolation;

use crate::in_process::{InProcess, REUSE};

use crate::server::Packed;

/// The example's name.
pub const NAME: &str = "breast-cancer-xgboost";

/// Files of the example. The component must have been built by `make guests`.
pub struct Subject {
    /// The component.
    pub component: PathBuf,
    /// The artifact.
    pub artifact: PathBuf,
    /// What XGBoost predicts.
    pub expected: PathBuf,
    /// Its data files.
    pub model_dir: PathBuf,
    /// One row of features, as CSV.
    pub row: Vec<u8>,
}

impl Subject {
    /// Finds the example.
    ///
    /// # Errors
    ///
    /// If it has not been built.
    pub fn find() -> Result<Self, String> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let example = top.join("examples").join(NAME);
        let component = top.join(format!("target/guests/{NAME}.wasm"));
        if !component.is_file() {
            return Err("the guests are not built: run `make guests` first".into());
        }
        let row = std::fs::read(example.join("request.csv")).map_err(|e| e.to_string())?;
        Ok(Self {
            component,
            artifact: top.join(format!("target/repository/{NAME}.tar.gz")),
            expected: example.join("expected.json"),
            model_dir: example.join("model"),
            row,
        })
    }

    /// The example, to be packed.
    pub fn packed(&self) -> Packed<'_> {
        Packed {
            name: NAME,
            component: &self.component,
            model_dir: &self.model_dir,
        }
    }

    /// The request as a guest gets it.
    pub fn request(&self) -> Request {
        request_of(self.row.clone())
    }

    /// The request as it goes over the wire, to the model of this name.
    pub fn http_request(&self, name: &str) -> Vec<u8> {
        let mut request = format!(
            "POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: text/csv\r\n\
             X-Amzn-SageMaker-Target-Model: {name}.tar.gz\r\nContent-Length: {}\r\n\r\n",
            self.row.len()
        )
        .into_bytes();
        request.extend_from_slice(&self.row);
        request
    }

    /// Writes the example's data files into `dir`, and a settings file that has its cells reused.
    ///
    /// # Errors
    ///
    /// If a file cannot be copied.
    pub fn write_reused(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::copy(self.model_dir.join(MODEL_FILE), dir.join(MODEL_FILE))?;
        std::fs::write(dir.join("modelcell.toml"), REUSE)
    }

    /// Loads the example.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn load(&self, host: &InProcess, isolation: Isolation) -> Result<Loaded, String> {
        let json = std::fs::read(self.model_dir.join(MODEL_FILE)).map_err(|e| e.to_string())?;
        host.load(Some(&self.component), &[(MODEL_FILE, &json)], isolation)
    }
}

/// The file that XGBoost's models are in.
pub const MODEL_FILE: &str = "model.json";

/// A row of features as CSV, as a guest gets it.
pub fn request_of(row: Vec<u8>) -> Request {
    Request {
        body: row,
        content_type: Some("text/csv".into()),
        accept: None,
        target_model: None,
        custom_attributes: None,
        inference_id: None,
        target_variant: None,
    }
}
