//! Which digit is this? A neural network over 8x8 pixels, trained by scikit-learn.
//!
//! It shows hooks of one's own: `input_fn` reads pictures beside tables of numbers, and `output_fn`
//! answers in a form of its own.

mod picture;

use std::fmt::Write;
use std::path::Path;

use modelcell_guest::ndarray::{Array1, Array2, ArrayView1, Ix1, Ix2};
use modelcell_guest::{Accept, Decode, Error, Model, Payload, Request, Result, export, npy};
use serde::Serialize;

/// The number of pixels of an image.
const PIXELS: usize = picture::SIDE * picture::SIDE;

/// Pixels -> hidden layer -> a score per digit.
pub struct Digits {
    hidden: Layer,
    output: Layer,
}

/// Images to read.
pub struct Images {
    /// An image a row, line by line. A pixel is 0 (black) to 16 (white), as in the data set.
    pixels: Array2<f32>,
    /// Whether the caller sent one picture. The answer is then one object, not a list.
    single: bool,
}

/// What the network read.
pub struct Readings {
    readings: Vec<Reading>,
    single: bool,
}

/// What the network read in one image.
#[derive(Debug, Serialize)]
pub struct Reading {
    /// The likeliest digit.
    pub digit: usize,
    /// The probabilities of 0 to 9.
    pub probabilities: Vec<f32>,
}

#[export]
impl Model for Digits {
    type Input = Images;
    type Prediction = Readings;

    fn model_fn(model_dir: &Path) -> Result<Self> {
        let hidden = Layer::read(model_dir, "hidden", PIXELS)?;
        let output = Layer::read(model_dir, "output", hidden.bias.len())?;
        Ok(Self { hidden, output })
    }

    fn input_fn(&self, request: Request) -> Result<Images> {
        match request.media_type()?.as_str() {
            "image/png" => Ok(Images {
                pixels: picture::read(&request.body)?,
                single: true,
            }),
            "application/x-npy" | "application/json" | "text/csv" => Ok(Images {
                pixels: Array2::decode(request)?,
                single: false,
            }),
            other => Err(Error::unsupported_content_type(format!(
                "cannot read {other}: send image/png, application/x-npy, application/json or text/csv"
            ))),
        }
    }

    fn predict_fn(&self, images: Images) -> Result<Readings> {
        let Images { pixels, single } = images;
        if pixels.ncols() != PIXELS {
            return Err(Error::invalid_input(format!(
                "expected {PIXELS} pixels, got {}",
                pixels.ncols()
            )));
        }
        // NaN is in no range.
        if let Some(pixel) = pixels.iter().find(|pixel| !(0.0..=16.0).contains(*pixel)) {
            return Err(Error::invalid_input(format!(
                "a pixel is {pixel}: expected 0 (black) to 16 (white)"
            )));
        }

        let hidden = self.hidden.apply(&(pixels / 16.0)).mapv(|sum| sum.max(0.0));
        let scores = self.output.apply(&hidden);
        Ok(Readings {
            readings: scores.rows().into_iter().map(Reading::new).collect(),
            single,
        })
    }

    fn output_fn(&self, prediction: Readings, accept: &Accept) -> Result<Payload> {
        let Readings { readings, single } = prediction;
        if accept.choose(&["application/json", "text/csv"])? == "text/csv" {
            return Ok(Payload::new("text/csv", csv(&readings)?));
        }
        match readings.as_slice() {
            [reading] if single => Payload::json(reading),
            readings => Payload::json(readings),
        }
    }
}

/// A line per image: the digit, then the probabilities of 0 to 9.
fn csv(readings: &[Reading]) -> Result<String> {
    let mut csv = String::new();
    for reading in readings {
        write!(csv, "{}", reading.digit)?;
        for probability in &reading.probabilities {
            write!(csv, ",{probability}")?;
        }
        csv.push('\n');
    }
    Ok(csv)
}

/// A fully connected layer.
struct Layer {
    /// A row per input, a column per output.
    weights: Array2<f32>,
    bias: Array1<f32>,
}

impl Layer {
    fn read(model_dir: &Path, name: &str, inputs: usize) -> Result<Self> {
        let file = |part| model_dir.join(format!("{name}_{part}.npy"));
        let weights = npy::read(file("weights"))?.into_dimensionality::<Ix2>()?;
        let bias = npy::read(file("bias"))?.into_dimensionality::<Ix1>()?;
        let (found, expected) = (weights.dim(), (inputs, bias.len()));
        if found != expected {
            return Err(Error::failed(format!(
                "{name}_weights.npy has shape {found:?}, expected {expected:?}"
            )));
        }
        Ok(Self { weights, bias })
    }

    fn apply(&self, inputs: &Array2<f32>) -> Array2<f32> {
        inputs.dot(&self.weights) + &self.bias
    }
}

impl Reading {
    /// Softmax, from the highest score down, so that no exponential overflows.
    fn new(scores: ArrayView1<f32>) -> Self {
        let mut digit = 0;
        let mut highest = f32::NEG_INFINITY;
        for (candidate, &score) in scores.iter().enumerate() {
            if score > highest {
                (digit, highest) = (candidate, score);
            }
        }
        let exponentials = scores.mapv(|score| (score - highest).exp());
        let probabilities = (&exponentials / exponentials.sum()).to_vec();
        Self {
            digit,
            probabilities,
        }
    }
}

#[cfg(test)]
mod tests;
