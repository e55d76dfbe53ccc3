//! The four hooks.

use std::env;
use std::fs::File;
use std::path::Path;

use modelcell_guest::{Accept, Context, Model, Payload, Request, Result, export};
use modelcell_tabular::{
    Answers, Decoder, REQUEST_TYPES, Scores, Selected, Style, Table, selected_setting,
};

use crate::Booster;
use crate::find::model_file;
use crate::selected::select;

/// A LightGBM model behind the four hooks.
pub struct LightGbm {
    booster: Booster,
    decoder: Decoder,
    answers: Answers,
    /// What to answer with in place of the plain predictions.
    selected: Option<Vec<String>>,
}

/// What goes back to the caller.
pub enum Prediction {
    /// What `Booster.predict` gives.
    Scores(Scores<f64>),
    /// What `SAGEMAKER_INFERENCE_OUTPUT` makes of it.
    Selected(Selected<f64>),
}

#[export]
impl Model for LightGbm {
    type Input = Table<f64>;
    type Prediction = Prediction;

    /// Reads the model file, and says on one line what it is.
    fn model_fn(model_dir: &Path) -> Result<Self> {
        let model = Self::load(model_dir, |name| env::var(name).ok())?;
        println!("{}", model.describe());
        Ok(model)
    }

    fn input_fn(&self, request: Request) -> Result<Table<f64>> {
        self.decoder.decode(request)
    }

    fn predict_fn(&self, table: Table<f64>) -> Result<Prediction> {
        let predictions = self.booster.predict(&table.values)?;
        let scores = Scores::new(self.booster.outputs(), predictions);
        Ok(match &self.selected {
            None => Prediction::Scores(scores),
            Some(keys) => Prediction::Selected(select(keys, self.booster.classes(), &scores)),
        })
    }

    fn output_fn(&self, prediction: Prediction, accept: &Accept) -> Result<Payload> {
        match prediction {
            Prediction::Scores(scores) => self.answers.scores(scores, accept),
            Prediction::Selected(selected) => self.answers.selected(&selected, accept),
        }
    }
}

impl LightGbm {
    /// The model itself.
    pub fn booster(&self) -> &Booster {
        &self.booster
    }

    /// What it is, what it takes and what it answers, in a line.
    fn describe(&self) -> String {
        format!(
            "{}; takes {REQUEST_TYPES}; answers {}",
            self.booster.description(),
            self.answers.types(self.selected.is_some())
        )
    }

    /// Loads the model of an artifact, with the operator's settings by their names.
    fn load(model_dir: &Path, setting: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let path = model_file(model_dir)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = File::open(&path).context(&name)?;
        let booster = Booster::parse(&name, file)?;
        Ok(Self {
            decoder: Decoder {
                features: Some(booster.features()),
                absent_is_zero: true,
                indices_from_zero: true,
                ..Decoder::default()
            },
            answers: answers(&setting),
            selected: selected_setting(&setting),
            booster,
        })
    }
}

/// JSON if nobody asks for anything else, and CSV that is CSV: there is no older server whose callers expect
/// otherwise.
fn answers(setting: impl Fn(&str) -> Option<String>) -> Answers {
    let answers = Answers {
        default_accept: "application/json".to_owned(),
        style: Style::Plain,
        batch: false,
    };
    answers.with_settings(setting)
}

#[cfg(test)]
mod tests;
