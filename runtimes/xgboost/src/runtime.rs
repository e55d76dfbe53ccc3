//! The hooks.

use std::fs::File;
use std::path::Path;

use modelcell_guest::{Accept, Context, Error, Model, Payload, Request, Result, export};
use modelcell_tabular::{Answers, Decoder, REQUEST_TYPES, Scores, Selected, Table};

use crate::ensemble::Ensemble;
use crate::selected::select;
use crate::settings::Settings;
use crate::{Booster, files};

/// The model: the boosters of an artifact, and how the operator wants them served.
pub struct XGBoost {
    ensemble: Ensemble,
    decoder: Decoder,
    answers: Answers,
    selected: Option<Vec<String>>,
}

/// What goes back to the caller.
pub enum Prediction {
    /// The predictions of the objective.
    Scores(Scores<f32>),
    /// What `SAGEMAKER_INFERENCE_OUTPUT` makes of them.
    Selected(Selected<f64>),
}

#[export]
impl Model for XGBoost {
    type Input = Table<f32>;
    type Prediction = Prediction;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        let settings = Settings::new(|name| std::env::var(name).ok());
        let model = Self::load(model_dir, settings)?;
        println!("{}", model.describe());
        Ok(model)
    }

    fn input_fn(&self, request: Request) -> Result<Table<f32>> {
        self.decoder.decode(request)
    }

    fn predict_fn(&self, table: Table<f32>) -> Result<Prediction> {
        check_finite(&table)?;
        let scores = self.ensemble.predict(&table.values, table.columns);
        match &self.selected {
            None => Ok(Prediction::Scores(scores)),
            Some(keys) => select(keys, self.ensemble.first(), &scores).map(Prediction::Selected),
        }
    }

    fn output_fn(&self, prediction: Prediction, accept: &Accept) -> Result<Payload> {
        match prediction {
            Prediction::Scores(scores) => self.answers.scores(scores, accept),
            Prediction::Selected(selected) => self.answers.selected(&selected, accept),
        }
    }
}

impl XGBoost {
    /// What it is, what it takes and what it answers, in a line.
    fn describe(&self) -> String {
        format!(
            "{}; takes {REQUEST_TYPES}; answers {}",
            self.ensemble.describe(),
            self.answers.types(self.selected.is_some())
        )
    }

    fn load(model_dir: &Path, settings: Settings) -> Result<Self> {
        let mut files = files::models(model_dir)?;
        if !settings.ensemble {
            files.truncate(1);
        }
        let mut boosters = Vec::new();
        for (name, path) in files {
            let file = File::open(path).context(&name)?;
            let bytes = file.metadata().context(&name)?.len();
            let booster = Booster::parse(&name, file, bytes)?;
            boosters.push((name, booster));
        }
        let ensemble = Ensemble::new(boosters)?;
        let decoder = Decoder {
            features: Some(ensemble.first().features()),
            absent_is_zero: false,
            indices_from_zero: false,
            default_content_type: "text/libsvm",
        };
        Ok(Self {
            ensemble,
            decoder,
            answers: settings.answers,
            selected: settings.selected,
        })
    }
}

/// XGBoost refuses infinite values, and so what float32 has no room for.
fn check_finite(table: &Table<f32>) -> Result<()> {
    let Some(index) = table.values.iter().position(|value| value.is_infinite()) else {
        return Ok(());
    };
    let (row, column) = (index / table.columns + 1, index % table.columns + 1);
    Err(Error::invalid_input(format_args!(
        "row {row}, column {column}: the number is infinite or too large for float32: send one below \
         3.4e38, or nothing if the value is missing"
    )))
}

#[cfg(test)]
mod tests;
