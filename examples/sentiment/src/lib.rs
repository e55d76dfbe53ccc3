//! Is a text positive or negative? TF-IDF and logistic regression, trained by scikit-learn.
//!
//! It shows a model that takes text, and a vocabulary in the artifact.

mod input;
mod terms;

use std::collections::BTreeMap;
use std::path::Path;

use modelcell_guest::{Accept, Context, Model, Payload, Request, Result, export};
use serde::{Deserialize, Serialize};

pub use input::Texts;

/// The model: the file `model.json`.
#[derive(Deserialize)]
pub struct Sentiment {
    intercept: f64,
    terms: BTreeMap<String, Term>,
}

/// A word, or two neighbours with a space between, that occurred in training. In the file it is a
/// list of the two numbers.
#[derive(Deserialize)]
struct Term {
    /// The inverse document frequency: high for rare terms.
    idf: f64,
    /// How much the term speaks for a positive text; negative ones speak against it.
    weight: f64,
}

/// What the model makes of the texts.
pub struct Verdicts {
    verdicts: Vec<Verdict>,
    single: bool,
}

/// What the model makes of a text.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// `positive` or `negative`.
    pub label: &'static str,
    /// How probable the label is: 0.5 is a guess, 1 is certain.
    pub score: f32,
}

#[export]
impl Model for Sentiment {
    type Input = Texts;
    type Prediction = Verdicts;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        let file = std::fs::read(model_dir.join("model.json")).context("model.json")?;
        serde_json::from_slice(&file).context("model.json")
    }

    fn input_fn(&self, request: Request) -> Result<Texts> {
        input::read(&request)
    }

    fn predict_fn(&self, texts: Texts) -> Result<Verdicts> {
        let positive = texts.texts.iter().map(|text| self.positive(text));
        Ok(Verdicts {
            verdicts: positive.map(Verdict::new).collect(),
            single: texts.single,
        })
    }

    fn output_fn(&self, prediction: Verdicts, accept: &Accept) -> Result<Payload> {
        accept.choose(&["application/json"])?;
        match prediction.verdicts.as_slice() {
            [verdict] if prediction.single => Payload::json(verdict),
            verdicts => Payload::json(verdicts),
        }
    }
}

impl Sentiment {
    /// The probability that a text is positive.
    fn positive(&self, text: &str) -> f64 {
        let mut counts = BTreeMap::<&str, (f64, &Term)>::new();
        for found in terms::of(text) {
            if let Some((name, term)) = self.terms.get_key_value(&found) {
                counts.entry(name).or_insert((0.0, term)).0 += 1.0;
            }
        }

        // The weighted sum of the TF-IDF vector, and the vector's length.
        let mut sum = 0.0;
        let mut squares = 0.0;
        for (count, term) in counts.values() {
            let tf_idf = count * term.idf;
            sum += tf_idf * term.weight;
            squares += tf_idf * tf_idf;
        }
        let length = f64::sqrt(squares);
        let direction = if length > 0.0 { sum / length } else { 0.0 };
        1.0 / (1.0 + f64::exp(-(direction + self.intercept)))
    }
}

impl Verdict {
    fn new(positive: f64) -> Self {
        let (label, score) = if positive > 0.5 {
            ("positive", positive)
        } else {
            ("negative", 1.0 - positive)
        };
        Self {
            label,
            score: score as f32,
        }
    }
}

#[cfg(test)]
mod tests;
