//! What requests cost in process, and of what parts that is made.

use std::time::Duration;

use modelcell::hooks::HookTimes;

use crate::in_process::Answered;

/// Microseconds, means over the requests of one round but for those that were interrupted.
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

/// Of a hundred requests, how many are left out: the slowest, in which the kernel mostly ran something else.
/// One of those lasts as long as a hundred others.
const INTERRUPTED: usize = 2;

/// The requests of a round.
#[derive(Default)]
pub struct Round(Vec<Cost>);

impl Round {
    /// Adds a request.
    pub fn add(&mut self, answered: &Answered) {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let HookTimes {
            input_fn,
            predict_fn,
            output_fn,
        } = answered.hooks;
        let before = answered.lease + input_fn + predict_fn + output_fn;
        self.0.push(Cost {
            total: micros(answered.total),
            lease: micros(answered.lease),
            input_fn: micros(input_fn),
            predict_fn: micros(predict_fn),
            output_fn: micros(output_fn),
            end: micros(answered.total.saturating_sub(before)),
        });
    }

    /// The means.
    pub fn cost(mut self) -> Cost {
        self.0.sort_by(|a, b| a.total.total_cmp(&b.total));
        let kept = undisturbed(&self.0);
        let of = |part: fn(&Cost) -> f64| kept.iter().map(part).sum::<f64>() / kept.len() as f64;
        Cost::of(of)
    }
}

/// The mean of other times than a request's, likewise.
pub fn mean(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let kept = undisturbed(&times);
    let sum: Duration = kept.iter().sum();
    sum.as_secs_f64() * 1e6 / kept.len() as f64
}

fn undisturbed<T>(sorted: &[T]) -> &[T] {
    let left_out = sorted.len() * INTERRUPTED / 100;
    sorted.get(..sorted.len() - left_out).unwrap_or_default()
}

impl Cost {
    /// The median of each part over several rounds, each for itself.
    pub fn median(rounds: &[Self]) -> Self {
        Self::of(|part| median(rounds.iter().map(part).collect()))
    }

    fn of(part: impl Fn(fn(&Self) -> f64) -> f64) -> Self {
        Self {
            total: part(|cost| cost.total),
            lease: part(|cost| cost.lease),
            input_fn: part(|cost| cost.input_fn),
            predict_fn: part(|cost| cost.predict_fn),
            output_fn: part(|cost| cost.output_fn),
            end: part(|cost| cost.end),
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
