//! What is measured: the XGBoost example (100 trees) with a request of one row.

use std::path::{Path, PathBuf};

use modelcell::hooks::Request;

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
        Request {
            body: self.row.clone(),
            content_type: Some("text/csv".into()),
            accept: None,
            target_model: None,
            custom_attributes: None,
            inference_id: None,
        }
    }
}
