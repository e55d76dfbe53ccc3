//! A thousand XGBoost models that were trained for the benchmark (`train.py`), packed into artifacts.
//!
//! Ten thousand names are served: name number n stands for model n modulo a thousand. The host keeps
//! models by name, and knows nothing of that.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use tar::{Builder, Header};

use crate::client::Answer;
use crate::subject::Subject;

/// How many names there are.
pub const NAMES: usize = 10_000;

/// How far an answer may be from XGBoost's: the last bits of the exponential differ between libraries.
const TOLERANCE: f32 = 1e-6;

/// The models.
pub struct Fleet {
    /// What `train.py` wrote.
    pub trained: PathBuf,
    /// Where the artifacts are, or the only one.
    artifacts: PathBuf,
    /// The models' shape.
    pub shape: Shape,
    cases: Vec<Case>,
}

/// Means over the models.
#[derive(Deserialize)]
pub struct Shape {
    /// Of the JSON file.
    pub bytes: f64,
    /// Of all trees.
    pub nodes: f64,
}

/// What the example's library predicts.
#[derive(Deserialize)]
struct Expected {
    inputs: Vec<Vec<Option<f64>>>,
    predictions: Vec<[f32; 1]>,
}

/// A request and the right answer.
#[derive(Deserialize)]
struct Case {
    row: Vec<f64>,
    probability: f32,
}

impl Fleet {
    /// Finds the trained models at `MODELCELL_BENCH_MODELS` and packs those that are not packed yet.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn prepare() -> Result<Self, String> {
        let fleet = Self::find()?;
        fleet
            .pack_all()
            .map_err(|e| format!("the models cannot be packed: {e}"))?;
        Ok(fleet)
    }

    /// Finds the trained models at `MODELCELL_BENCH_MODELS`.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn find() -> Result<Self, String> {
        let trained = std::env::var_os("MODELCELL_BENCH_MODELS")
            .map(PathBuf::from)
            .ok_or("MODELCELL_BENCH_MODELS is not set: run scripts/bench-fleet.sh")?;
        Ok(Self {
            artifacts: trained.join("data-artifacts"),
            shape: read_json(&trained.join("shape.json"))?,
            cases: read_json(&trained.join("cases.json"))?,
            trained,
        })
    }

    /// The model of the XGBoost example alone, under all names.
    ///
    /// # Errors
    ///
    /// One line that says what failed.
    pub fn of_example(subject: &Subject) -> Result<Self, String> {
        let expected: Expected = read_json(&subject.expected)?;
        let row = expected.inputs.into_iter().next();
        let prediction = expected.predictions.into_iter().next();
        let ([probability], Some(row)) = (prediction.unwrap_or([f32::NAN]), row) else {
            return Err("the example expects nothing".into());
        };
        let model = fs::metadata(subject.model_dir.join("model.json"));
        Ok(Self {
            trained: subject.model_dir.clone(),
            artifacts: subject.artifact.clone(),
            shape: Shape {
                bytes: model.map_err(|e| e.to_string())?.len() as f64,
                nodes: f64::NAN,
            },
            cases: vec![Case {
                row: row
                    .into_iter()
                    .map(|value| value.unwrap_or(f64::NAN))
                    .collect(),
                probability,
            }],
        })
    }

    /// How many distinct models there are.
    pub fn models(&self) -> usize {
        self.cases.len()
    }

    /// The artifact of a name.
    pub fn artifact(&self, number: usize) -> PathBuf {
        if self.models() == 1 {
            return self.artifacts.clone();
        }
        let model = number % self.models().max(1);
        self.artifacts.join(format!("{model:04}.tar.gz"))
    }

    /// The file that XGBoost saved.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn saved(&self, model: usize) -> io::Result<Vec<u8>> {
        let saved = File::open(self.trained.join(format!("{model:04}.json.gz")))?;
        let mut json = Vec::new();
        GzDecoder::new(saved).read_to_end(&mut json)?;
        Ok(json)
    }

    /// The features that a name is asked with.
    pub fn row(&self, number: usize) -> &[f64] {
        self.case(number).map_or(&[], |case| &case.row)
    }

    /// The same as CSV.
    pub fn csv(&self, number: usize) -> String {
        let row: Vec<_> = self.row(number).iter().map(f64::to_string).collect();
        row.join(",")
    }

    /// The request for a name, as it goes over the wire.
    pub fn request(&self, number: usize) -> Vec<u8> {
        let row = self.csv(number);
        format!(
            "POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: text/csv\r\n\
             X-Amzn-SageMaker-Target-Model: {}\r\nContent-Length: {}\r\n\r\n{row}",
            name(number),
            row.len()
        )
        .into_bytes()
    }

    /// Whether an answer is what XGBoost predicts.
    ///
    /// # Errors
    ///
    /// One line that says what came instead.
    pub fn check(&self, number: usize, answer: &Answer) -> Result<(), String> {
        if answer.status == 200 {
            return self.check_body(number, &answer.body);
        }
        let text = String::from_utf8_lossy(&answer.body);
        Err(format!("{}: {} {text}", name(number), answer.status))
    }

    /// Whether the body of an answer is what XGBoost predicts.
    ///
    /// # Errors
    ///
    /// One line that says what came instead.
    pub fn check_body(&self, number: usize, body: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(body);
        // The example answers in JSON, the runtime in CSV.
        match text.trim_matches(['[', ']', '\n']).parse() {
            Ok(got) if self.is_right(number, got) => Ok(()),
            _ => {
                let expected = self.expected(number);
                Err(format!("{}: {expected} expected, not {text}", name(number)))
            }
        }
    }

    /// Whether this is what XGBoost predicts.
    pub fn is_right(&self, number: usize, probability: f32) -> bool {
        (probability - self.expected(number)).abs() <= TOLERANCE
    }

    fn expected(&self, number: usize) -> f32 {
        self.case(number).map_or(f32::NAN, |case| case.probability)
    }

    fn case(&self, number: usize) -> Option<&Case> {
        self.cases.get(number % self.models().max(1))
    }

    /// Packs on all processors.
    fn pack_all(&self) -> io::Result<()> {
        fs::create_dir_all(&self.artifacts)?;
        let missing: Vec<usize> = (0..self.models())
            .filter(|&model| !self.artifact(model).is_file())
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let share = missing.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let workers: Vec<_> = missing
                .chunks(share)
                .map(|models| scope.spawn(|| models.iter().try_for_each(|&model| self.pack(model))))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
            })
        })
    }

    /// An artifact as SageMaker's XGBoost training leaves it: the saved model, and no code.
    fn pack(&self, model: usize) -> io::Result<()> {
        let json = self.saved(model)?;
        let artifact = self.artifact(model);
        let partial = artifact.with_extension("partial");
        let gzip = GzEncoder::new(File::create(&partial)?, Compression::default());
        let mut tar = Builder::new(gzip);
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(json.len() as u64);
        tar.append_data(&mut header, "xgboost-model", json.as_slice())?;
        tar.into_inner()?.finish()?;
        fs::rename(partial, artifact)
    }
}

/// The name with this number.
pub fn name(number: usize) -> String {
    format!("m{number:05}.tar.gz")
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = fs::read(path).map_err(|e| named(&e))?;
    serde_json::from_slice(&text).map_err(|e| named(&e))
}
