//! What operators watch: counters and histograms, in the text format of Prometheus.
//!
//! What SageMaker has a metric for has its name here, in Prometheus's spelling (CloudWatch's
//! `ModelLoadingTime` is `modelcell_model_loading_time_seconds`):
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html>. All names are in this
//! folder. What is only read when somebody asks (bytes, counts, per-model series) is in [`Readings`].

mod readings;

use std::time::Duration;

use hyper::StatusCode;
use prometheus::core::Collector;
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, Opts, Registry, TextEncoder};

pub use readings::{EndpointReading, MODEL_SERIES, ModelReading, Readings};

/// Content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Seconds from a tenth of a millisecond to a minute.
const REQUEST_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// Seconds from a millisecond to six minutes, SageMaker's limit for a load.
const LOAD_BUCKETS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 360.0,
];

/// What is counted as it happens.
pub struct Metrics {
    registry: Registry,
    /// Requests to a model, by any route: `Invocations`.
    invocations: IntCounter,
    /// Those of them that were answered with a status from 400 to 499: `Invocation4XXErrors`.
    errors_4xx: IntCounter,
    /// Those of them that were answered with a status from 500: `Invocation5XXErrors`.
    errors_5xx: IntCounter,
    /// Time in the three hooks, of requests without error: `ModelLatency`.
    model_latency: Histogram,
    /// All other time of such a request, from its headers to its answer: `OverheadLatency`.
    overhead_latency: Histogram,
    /// Requests whose model was loaded: `ModelCacheHit` is their part of all.
    pub cache_hits: IntCounter,
    /// Requests whose model had to be loaded first.
    pub cache_misses: IntCounter,
    /// Time of a load, download included: `ModelLoadingTime`.
    pub loading: Histogram,
    /// Time of a download: `ModelDownloadingTime`.
    pub downloading: Histogram,
    /// Time until a model that was let go was gone: `ModelUnloadingTime`.
    pub unloading: Histogram,
    /// Time that a request waited for its model to be loaded: `ModelLoadingWaitTime`.
    pub loading_wait: Histogram,
    /// Models that were let go to make room.
    pub evictions: IntCounter,
    /// Loads that failed.
    pub load_failures: IntCounter,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    ///
    /// If two have the same name, which a test rules out.
    pub fn new() -> Result<Self, String> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(format!("modelcell_{name}"), help));
            register(&registry, counter)
        };
        let seconds = |name: &str, help: &str, buckets: &[f64]| {
            let name = format!("modelcell_{name}_seconds");
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(&registry, Histogram::with_opts(opts))
        };
        Ok(Self {
            invocations: counter("invocations_total", "Requests to a model.")?,
            errors_4xx: counter(
                "invocation_4xx_errors_total",
                "Requests to a model answered with a status from 400 to 499.",
            )?,
            errors_5xx: counter(
                "invocation_5xx_errors_total",
                "Requests to a model answered with a status of 500 or more.",
            )?,
            model_latency: seconds(
                "model_latency",
                "Time in input_fn, predict_fn and output_fn of a request without error.",
                REQUEST_BUCKETS,
            )?,
            overhead_latency: seconds(
                "overhead_latency",
                "Time of a request without error outside of the hooks.",
                REQUEST_BUCKETS,
            )?,
            cache_hits: counter("model_cache_hits_total", "Requests whose model was loaded.")?,
            cache_misses: counter(
                "model_cache_misses_total",
                "Requests whose model had to be loaded.",
            )?,
            loading: seconds(
                "model_loading_time",
                "Time of a load that succeeded, download included.",
                LOAD_BUCKETS,
            )?,
            downloading: seconds(
                "model_downloading_time",
                "Time of an artifact's download.",
                LOAD_BUCKETS,
            )?,
            unloading: seconds(
                "model_unloading_time",
                "Time until a model that was let go was gone.",
                LOAD_BUCKETS,
            )?,
            loading_wait: seconds(
                "model_loading_wait_time",
                "Time that a request waited for its model to be loaded.",
                LOAD_BUCKETS,
            )?,
            evictions: counter("evictions_total", "Models let go to make room in memory.")?,
            load_failures: counter("load_failures_total", "Loads that failed.")?,
            registry,
        })
    }

    /// Counts a request to a model by the status of its answer.
    pub fn invoked(&self, status: StatusCode) {
        self.invocations.inc();
        if status.is_client_error() {
            self.errors_4xx.inc();
        } else if status.is_server_error() {
            self.errors_5xx.inc();
        }
    }

    /// Counts the times of a request that was answered without error.
    pub fn answered(&self, in_hooks: Duration, overhead: Duration) {
        self.model_latency.observe(in_hooks.as_secs_f64());
        self.overhead_latency.observe(overhead.as_secs_f64());
    }

    /// Everything, with what was read just now.
    ///
    /// # Errors
    ///
    /// If a name or label is not valid in Prometheus, which a test rules out.
    pub fn text(&self, readings: &Readings) -> Result<Vec<u8>, String> {
        let mut families = self.registry.gather();
        families.extend(readings.families().map_err(|e| e.to_string())?);
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&families, &mut text)
            .map_err(|e| e.to_string())?;
        Ok(text)
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> Result<C, String> {
    let collector = collector.map_err(|e| e.to_string())?;
    let registered = registry.register(Box::new(collector.clone()));
    registered.map_err(|e| e.to_string())?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_counters_histograms_and_readings() {
        let metrics = Metrics::new().unwrap();
        metrics.invocations.inc();
        metrics.loading.observe(0.02);
        let model = ModelReading {
            endpoint: "default".into(),
            name: "a \"quoted\"\n\\ name".into(),
            invocations: 3,
            errors: 1,
            memory_bytes: 10,
            code_bytes: 20,
            cells: 2,
        };
        let readings = Readings {
            memory_budget: 100,
            memory_used: 30,
            models: vec![model],
            ..Readings::default()
        };
        let text = String::from_utf8(metrics.text(&readings).unwrap()).unwrap();
        for line in [
            "modelcell_invocations_total 1",
            "# TYPE modelcell_model_loading_time_seconds histogram",
            "modelcell_model_loading_time_seconds_bucket{le=\"0.025\"} 1",
            "modelcell_memory_free_bytes 70",
            "# TYPE modelcell_model_invocations_total counter",
            r#"modelcell_model_invocations_total{endpoint="default",model="a \"quoted\"\n\\ name"} 3"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
