//! What is read when somebody asks for the metrics. A registry of its own each time, so that a model
//! that is gone leaves no series behind.

use crate::endpoint::CountsReading;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};

/// Models with series of their own: those that were used last. A series for each of ten thousand
/// models would be more than a Prometheus server wants.
pub const MODEL_SERIES: usize = 500;

/// What names a model.
const MODEL_LABELS: &[&str] = &["endpoint", "model"];

/// The host at one moment.
#[derive(Debug, Default)]
pub struct Readings {
    /// Models that are loaded: `LoadedModelCount`.
    pub loaded_models: usize,
    /// Models that are being loaded.
    pub loading_models: usize,
    /// Requests that wait for a model to be loaded.
    pub waiting_for_models: usize,
    /// Requests that wait for a cell.
    pub waiting_for_cells: usize,
    /// Bytes of the memory budget.
    pub memory_budget: u64,
    /// Bytes that models hold of it.
    pub memory_used: u64,
    /// Bytes of that which are compiled code.
    pub memory_code: u64,
    /// Bytes of the disk budget.
    pub disk_budget: u64,
    /// Bytes that the cache directory holds of it.
    pub disk_used: u64,
    /// Bytes of bodies and answers of requests in flight.
    pub buffered: u64,
    /// Requests to models in flight.
    pub requests: usize,
    /// How often guests went beyond each limit, by its name.
    pub breaches: Vec<(&'static str, u64)>,
    /// How requests came by their cells, by the outcome's name.
    pub leases: Vec<(&'static str, u64)>,
    /// All endpoints.
    pub endpoints: Vec<EndpointReading>,
    /// The most recently used models, at most [`MODEL_SERIES`].
    pub models: Vec<ModelReading>,
}

/// An endpoint at one moment.
#[derive(Debug)]
pub struct EndpointReading {
    /// Its name.
    pub name: String,
    /// Requests to its models, by how they ended.
    pub counts: CountsReading,
    /// Requests to its models in flight.
    pub requests: usize,
    /// Its models that are loaded.
    pub loaded_models: usize,
    /// Bytes of its part of the memory budget.
    pub memory_budget: u64,
    /// Bytes that its models hold of that.
    pub memory_used: u64,
}

/// A model at one moment.
#[derive(Debug)]
pub struct ModelReading {
    /// Its endpoint's name.
    pub endpoint: String,
    /// Its name.
    pub name: String,
    /// Requests since it was loaded.
    pub invocations: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Bytes of its cells.
    pub memory_bytes: u64,
    /// Bytes of its compiled code, which other models may share.
    pub code_bytes: u64,
    /// Its cells.
    pub cells: usize,
}

impl Readings {
    /// The readings as Prometheus has them.
    pub(super) fn families(&self) -> Result<Vec<MetricFamily>> {
        let registry = Registry::new();
        self.gauges(&registry)?;
        self.labelled(&registry)?;
        self.of_endpoints(&registry)?;
        self.model_counters(&registry)?;
        self.model_gauges(&registry)?;
        Ok(registry.gather())
    }

    fn gauges(&self, registry: &Registry) -> Result<()> {
        let free = self.memory_budget.saturating_sub(self.memory_used);
        for (name, help, value) in [
            (
                "loaded_model_count",
                "Models that are loaded.",
                self.loaded_models as u64,
            ),
            (
                "loading_model_count",
                "Models that are being loaded.",
                self.loading_models as u64,
            ),
            (
                "requests_waiting_for_models",
                "Requests that wait for a model to be loaded.",
                self.waiting_for_models as u64,
            ),
            (
                "requests_waiting_for_cells",
                "Requests that wait for a cell of their model.",
                self.waiting_for_cells as u64,
            ),
            (
                "memory_budget_bytes",
                "What loaded models may hold in memory.",
                self.memory_budget,
            ),
            (
                "memory_used_bytes",
                "What loaded models hold in memory.",
                self.memory_used,
            ),
            (
                "memory_code_bytes",
                "What of that is compiled code; the rest is cells and snapshots.",
                self.memory_code,
            ),
            (
                "memory_free_bytes",
                "What is left of the memory budget.",
                free,
            ),
            (
                "disk_budget_bytes",
                "What the cache directory may hold.",
                self.disk_budget,
            ),
            (
                "disk_used_bytes",
                "What the cache directory holds.",
                self.disk_used,
            ),
            (
                "buffered_bytes",
                "Bodies and answers of requests in flight.",
                self.buffered,
            ),
            (
                "requests_in_flight",
                "Requests to models that are running or waiting.",
                self.requests as u64,
            ),
        ] {
            let gauge = IntGauge::with_opts(Opts::new(format!("modelcell_{name}"), help))?;
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(Box::new(gauge))?;
        }
        Ok(())
    }

    fn labelled(&self, registry: &Registry) -> Result<()> {
        for (name, help, label, values) in [
            (
                "limit_breaches_total",
                "How often a guest went beyond a limit.",
                "limit",
                &self.breaches,
            ),
            (
                "cell_leases_total",
                "How requests came by their cells.",
                "outcome",
                &self.leases,
            ),
        ] {
            let opts = Opts::new(format!("modelcell_{name}"), help);
            let counter = IntCounterVec::new(opts, &[label])?;
            for (value, number) in values {
                counter.with_label_values(&[*value]).inc_by(*number);
            }
            register(registry, counter)?;
        }
        Ok(())
    }

    fn of_endpoints(&self, registry: &Registry) -> Result<()> {
        type Value = fn(&EndpointReading) -> u64;
        let counters: [(&str, &str, Value); 3] = [
            (
                "invocations_total",
                "Requests to the endpoint's models.",
                |e| e.counts.invocations,
            ),
            (
                "invocation_4xx_errors_total",
                "Those of them that were answered with a status from 400 to 499.",
                |e| e.counts.errors_4xx,
            ),
            (
                "invocation_5xx_errors_total",
                "Those of them that were answered with a status of 500 or more.",
                |e| e.counts.errors_5xx,
            ),
        ];
        for (name, help, value) in counters {
            let counter = IntCounterVec::new(endpoint_opts(name, help), &["endpoint"])?;
            for endpoint in &self.endpoints {
                let counter = counter.with_label_values(&[&endpoint.name]);
                counter.inc_by(value(endpoint));
            }
            register(registry, counter)?;
        }
        let gauges: [(&str, &str, Value); 4] = [
            (
                "requests_in_flight",
                "Requests that are running or waiting.",
                |e| e.requests as u64,
            ),
            (
                "loaded_model_count",
                "The endpoint's models that are loaded.",
                |e| e.loaded_models as u64,
            ),
            (
                "memory_budget_bytes",
                "The endpoint's part of the memory budget.",
                |e| e.memory_budget,
            ),
            (
                "memory_used_bytes",
                "What the endpoint's models hold of it.",
                |e| e.memory_used,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = IntGaugeVec::new(endpoint_opts(name, help), &["endpoint"])?;
            for endpoint in &self.endpoints {
                let value = i64::try_from(value(endpoint)).unwrap_or(i64::MAX);
                gauge.with_label_values(&[&endpoint.name]).set(value);
            }
            register(registry, gauge)?;
        }
        Ok(())
    }

    fn model_counters(&self, registry: &Registry) -> Result<()> {
        type Value = fn(&ModelReading) -> u64;
        let counters: [(&str, &str, Value); 2] = [
            ("invocations_total", "Requests to the model.", |m| {
                m.invocations
            }),
            ("errors_total", "Requests to the model that failed.", |m| {
                m.errors
            }),
        ];
        for (name, help, value) in counters {
            let counter = IntCounterVec::new(model_opts(name, help), MODEL_LABELS)?;
            for model in &self.models {
                counter
                    .with_label_values(&[&model.endpoint, &model.name])
                    .inc_by(value(model));
            }
            register(registry, counter)?;
        }
        Ok(())
    }

    fn model_gauges(&self, registry: &Registry) -> Result<()> {
        type Value = fn(&ModelReading) -> u64;
        let gauges: [(&str, &str, Value); 3] = [
            (
                "memory_bytes",
                "What the model's cells and its snapshot hold.",
                |m| m.memory_bytes,
            ),
            (
                "code_bytes",
                "The model's compiled code, which other models may share.",
                |m| m.code_bytes,
            ),
            ("cells", "The model's cells.", |m| m.cells as u64),
        ];
        for (name, help, value) in gauges {
            let gauge = IntGaugeVec::new(model_opts(name, help), MODEL_LABELS)?;
            for model in &self.models {
                let value = i64::try_from(value(model)).unwrap_or(i64::MAX);
                gauge
                    .with_label_values(&[&model.endpoint, &model.name])
                    .set(value);
            }
            register(registry, gauge)?;
        }
        Ok(())
    }
}

fn endpoint_opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("modelcell_endpoint_{name}"), help)
}

fn model_opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("modelcell_model_{name}"), help)
}

fn register(registry: &Registry, collector: impl Collector + 'static) -> Result<()> {
    registry.register(Box::new(collector))
}
