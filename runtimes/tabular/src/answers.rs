//! From predictions to a response, as the caller's `Accept` asks.

mod records;
mod selected;
mod text;

use modelcell_guest::ndarray::{Array1, Array2};
use modelcell_guest::{Accept, Payload, Result, npy};

use crate::{Float, Scores, Selected};

const JSON: &str = "application/json";
const JSON_LINES: &str = "application/jsonlines";
const CSV: &str = "text/csv";
const RECORDIO: &str = "application/x-recordio-protobuf";
const NPY: &str = "application/x-npy";

/// What plain [`Scores`] may be written as, in the order of the container's own list.
const SCORES: [&str; 5] = [CSV, JSON, JSON_LINES, RECORDIO, NPY];
/// What [`Selected`] outputs may be written as: NPY has no names.
const SELECTED: [&str; 4] = [CSV, JSON, JSON_LINES, RECORDIO];

/// What plain scores look like in CSV and JSON; here are two rows, with one output and with two:
///
/// | | CSV | JSON |
/// |---|---|---|
/// | multi-model | `0.1,0.2` | `[0.1,0.2]` |
/// | | `[0.1, 0.9],[0.2, 0.8]` | `[[0.1,0.9],[0.2,0.8]]` |
/// | single-model | a line `0.1`, a line `0.2` | `{"predictions":[{"score":0.1},{"score":0.2}]}` |
/// | | a line `0.1,0.9`, a line `0.2,0.8` | `{"predictions":[{"score":[0.1,0.9]},{"score":[0.2,0.8]}]}` |
/// | plain | as single-model | as multi-model |
///
/// SageMaker's XGBoost container has two servers, for endpoints with many models and with one, which
/// differ in this. It says of its multi-model CSV itself that it "is invalid CSV and is only retained
/// for backwards compatibility". Callers parse it, so it is the default here too, where models are
/// many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// As on the container's multi-model endpoints.
    #[default]
    MultiModel,
    /// As on its endpoints with one model.
    SingleModel,
    /// A row a line and plain lists, as the SDK writes arrays: for models that the container never
    /// served.
    Plain,
}

/// How predictions are written.
///
/// Floats have as many digits as it takes to read back the same value. JSON has no NaN and no
/// infinity: they become `null` (the container writes a bare `NaN`, which few parsers take).
///
/// ```
/// use modelcell_guest::Accept;
/// use modelcell_tabular::{Answers, Scores};
///
/// let scores = Scores::new(1, vec![0.25_f32, 0.75]);
/// let payload = Answers::default().scores(scores, &Accept::default())?;
/// assert_eq!(payload.content_type, "text/csv");
/// assert_eq!(payload.body, b"0.25,0.75");
/// # Ok::<(), modelcell_guest::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// What callers get who have no preference (the container's
    /// `SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT`). A type that cannot be written counts as `text/csv`.
    pub default_accept: String,
    /// What plain scores look like in CSV and JSON.
    pub style: Style,
    /// For batch transform (the container's `SAGEMAKER_BATCH`): each row of CSV on a line of its
    /// own, and a newline at the end.
    pub batch: bool,
}

/// CSV by default, as in the container.
impl Default for Answers {
    fn default() -> Self {
        Self {
            default_accept: CSV.to_owned(),
            style: Style::default(),
            batch: false,
        }
    }
}

impl Answers {
    /// With what the container's settings `SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT` and
    /// `SAGEMAKER_BATCH` say, if they are set. `setting` finds them by name, in the environment mostly.
    #[must_use]
    pub fn with_settings(mut self, setting: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(accept) = setting("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") {
            self.default_accept = accept;
        }
        if let Some(batch) = setting("SAGEMAKER_BATCH") {
            // Any text switches it on in the container; only these can hardly mean that.
            self.batch = !matches!(batch.to_ascii_lowercase().as_str(), "" | "0" | "false");
        }
        self
    }

    /// Writes plain scores: `text/csv`, `application/json`, `application/jsonlines` (an object
    /// `{"score":...}` for each row), `application/x-recordio-protobuf` (a record for each row, with
    /// the label `score`) or `application/x-npy` (a vector, or a matrix if there are several outputs).
    ///
    /// # Errors
    /// Unsupported accept (406), naming these.
    pub fn scores<T: Float>(&self, scores: Scores<T>, accept: &Accept) -> Result<Payload> {
        let chosen = self.choose(&SCORES, accept)?;
        let body = match chosen {
            JSON => text::json(&scores, self.style),
            JSON_LINES => text::json_lines(&scores),
            RECORDIO => records::scores(&scores),
            NPY => return array(scores),
            _ => text::csv(&scores, self.style, self.batch),
        };
        Ok(Payload::new(chosen, body))
    }

    /// Writes selected outputs: `text/csv` (a line for each row, lists in quotes), `application/json`
    /// (`{"predictions":[{key:value,...},...]}`), `application/jsonlines` (an object for each row) or
    /// `application/x-recordio-protobuf` (a record for each row, with a label for each key).
    ///
    /// # Errors
    /// Unsupported accept (406), naming these.
    pub fn selected<T: Float>(&self, selected: &Selected<T>, accept: &Accept) -> Result<Payload> {
        let chosen = self.choose(&SELECTED, accept)?;
        let body = match chosen {
            JSON => selected::json(selected),
            JSON_LINES => selected::json_lines(selected),
            RECORDIO => records::selected(selected),
            _ => selected::csv(selected, self.batch),
        };
        Ok(Payload::new(chosen, body))
    }

    /// What answers may be, the default first, for a line that describes a model: of selected outputs or
    /// of plain scores.
    pub fn types(&self, selected: bool) -> String {
        let offered: &[&str] = if selected { &SELECTED } else { &SCORES };
        self.best_first(offered).join(", ")
    }

    fn best_first(&self, offered: &[&'static str]) -> Vec<&'static str> {
        let mut best_first = offered.to_vec();
        let default = self.default_accept.trim().to_ascii_lowercase();
        best_first.sort_by_key(|&offer| offer != default);
        best_first
    }

    /// The best type of those offered, the default first.
    fn choose(&self, offered: &[&'static str], accept: &Accept) -> Result<&'static str> {
        let best_first = self.best_first(offered);
        // The container's multi-model server also takes the bare words.
        let header = accept.header().unwrap_or_default().trim();
        match header {
            word if word.eq_ignore_ascii_case("csv") => Ok(CSV),
            word if word.eq_ignore_ascii_case("json") => Ok(JSON),
            _ => accept.choose(&best_first),
        }
    }
}

fn array<T: Float>(scores: Scores<T>) -> Result<Payload> {
    let bytes = if scores.columns == 1 {
        npy::to_bytes(&Array1::from_vec(scores.values))
    } else {
        let shape = (scores.rows, scores.columns);
        npy::to_bytes(&Array2::from_shape_vec(shape, scores.values)?)
    };
    Ok(Payload::new(NPY, bytes))
}
