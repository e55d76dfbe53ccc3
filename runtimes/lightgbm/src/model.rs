//! The four hooks.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use modelcell_guest::{Accept, Context, Model, Payload, Request, Result, export};
use modelcell_tabular::{Answers, Decoder, Scores, Style, Table};

use crate::Booster;
use crate::find::model_file;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// What predictions are written as, the default first.
const ANSWERS: [&str; 5] = [
    JSON,
    CSV,
    "application/jsonlines",
    "application/x-recordio-protobuf",
    "application/x-npy",
];

/// A LightGBM model behind the four hooks.
pub struct LightGbm {
    booster: Booster,
    decoder: Decoder,
}

impl LightGbm {
    /// The model itself.
    pub fn booster(&self) -> &Booster {
        &self.booster
    }
}

#[export]
impl Model for LightGbm {
    /// A row for each prediction.
    type Input = Table<f64>;
    /// What `Booster.predict` gives.
    type Prediction = Scores<f64>;

    /// Reads the model file, and says on one line what it is.
    fn model_fn(model_dir: &Path) -> Result<Self> {
        let path = model_file(model_dir)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut text = fs::read(&path).context(&name)?;
        let booster = Booster::parse(&name, &text)?;
        forget(&mut text);
        println!("{}; {}", booster.description(), interface(&booster));
        Ok(Self {
            decoder: Decoder {
                features: Some(booster.features()),
                absent_is_zero: true,
                indices_from_zero: true,
                ..Decoder::default()
            },
            booster,
        })
    }

    fn input_fn(&self, request: Request) -> Result<Table<f64>> {
        self.decoder.decode(request)
    }

    fn predict_fn(&self, table: Table<f64>) -> Result<Scores<f64>> {
        let predictions = self.booster.predict(&table.values)?;
        Ok(Scores::new(self.booster.outputs(), predictions))
    }

    fn output_fn(&self, scores: Scores<f64>, accept: &Accept) -> Result<Payload> {
        let answers = Answers {
            default_accept: JSON.to_owned(),
            style: style(accept),
            batch: false,
        };
        answers.scores(scores, accept)
    }
}

/// How rows are written: in CSV a row on a line and in JSON plain lists, as everywhere in Modelcell. Of the
/// styles of the XGBoost container one has the lines and the other the lists.
fn style(accept: &Accept) -> Style {
    let header = accept.header().unwrap_or_default().trim();
    if header.eq_ignore_ascii_case("csv") || matches!(accept.choose(&ANSWERS), Ok(CSV)) {
        Style::SingleModel
    } else {
        Style::MultiModel
    }
}

/// What it takes and answers, for operators.
fn interface(booster: &Booster) -> String {
    let answer = match (booster.outputs(), booster.classes()) {
        (1, 2) => "the probability of class 1".to_owned(),
        (1, _) => "a number".to_owned(),
        (outputs, 0) => format!("{outputs} numbers"),
        (outputs, _) => format!("the probabilities of {outputs} classes"),
    };
    format!(
        "takes rows of {} numbers; answers {answer} for each",
        booster.features()
    )
}

/// Overwrites what is needed no more with zeros. A model's memory is frozen as it is after `model_fn`, with
/// what was freed, but pages of zeros take no room.
fn forget(text: &mut [u8]) {
    text.fill(0);
    // Or the compiler sees that nobody reads the zeros, and leaves them out.
    black_box(text);
}

#[cfg(test)]
mod tests;
