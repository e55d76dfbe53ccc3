//! What requests cost in process, and of what parts that is made.

use std::time::Duration;

use crate::in_process::Answered;

/// Microseconds, means over the requests of one round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// All of it.
    pub total: f64,
    /// To come by a cell.
    pub lease: f64,
    /// `input_fn`.
    pub input_fn: f64,
    /// `predict_fn`.
    pub predict_fn: f64,
    /// `output_fn`.
    pub output_fn: f64,
    /// What is left: the cell's end, mostly.
    pub end: f64,
}

/// The columns of [`Cost::row`].
pub const HEADING: &str = "                                           all   to lease  input_fn  \
                           predict_fn  output_fn  to end (us)";

/// Adds up a round.
#[derive(Default)]
pub struct Round {
    requests: u32,
    total: Duration,
    lease: Duration,
    input_fn: Duration,
    predict_fn: Duration,
    output_fn: Duration,
}

impl Round {
    /// Adds a request.
    pub fn add(&mut self, answered: &Answered) {
        self.requests += 1;
        self.total += answered.total;
        self.lease += answered.lease;
        self.input_fn += answered.hooks.input_fn;
        self.predict_fn += answered.hooks.predict_fn;
        self.output_fn += answered.hooks.output_fn;
    }

    /// The means.
    pub fn cost(&self) -> Cost {
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(self.requests.max(1));
        let hooks = self.input_fn + self.predict_fn + self.output_fn;
        Cost {
            total: micros(self.total),
            lease: micros(self.lease),
            input_fn: micros(self.input_fn),
            predict_fn: micros(self.predict_fn),
            output_fn: micros(self.output_fn),
            end: micros(self.total.saturating_sub(self.lease + hooks)),
        }
    }
}

impl Cost {
    /// The median of each part over several rounds, each for itself.
    pub fn median(rounds: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| median(rounds.iter().map(part).collect());
        Self {
            total: of(|cost| cost.total),
            lease: of(|cost| cost.lease),
            input_fn: of(|cost| cost.input_fn),
            predict_fn: of(|cost| cost.predict_fn),
            output_fn: of(|cost| cost.output_fn),
            end: of(|cost| cost.end),
        }
    }

    /// As a row under [`HEADING`].
    pub fn row(&self, name: &str) -> String {
        format!(
            "{name:<38} {:>7.1} {:>10.1} {:>9.1} {:>11.1} {:>10.1} {:>7.1}",
            self.total, self.lease, self.input_fn, self.predict_fn, self.output_fn, self.end
        )
    }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
