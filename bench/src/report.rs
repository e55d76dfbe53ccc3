//! Latencies, and aims next to what was measured.

use std::time::Duration;

/// Latencies, sorted.
pub struct Latencies(Vec<Duration>);

impl From<Vec<Duration>> for Latencies {
    fn from(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self(latencies)
    }
}

impl Latencies {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What `share` (0 to 1) of them did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }

    /// The median, the 90th, the 99th and the last in milliseconds, as a row under [`HEADING`].
    pub fn row(&self, name: &str) -> String {
        let at = |share| millis(self.percentile(share));
        format!(
            "{name:<44} {:>7} {:>9.3} {:>9.3} {:>9.3} {:>9.3}",
            self.count(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        )
    }
}

/// The columns of [`Latencies::row`].
pub const HEADING: &str =
    "                                              count    p50 ms    p90 ms    p99 ms    max ms";

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Prints an aim and what was measured. A missed aim is no failure: machines differ.
pub fn aim(aim: &str, measured: &str, met: bool) {
    let verdict = if met { "met" } else { "MISSED" };
    println!("  aim: {aim}; measured: {measured}: {verdict}");
}
