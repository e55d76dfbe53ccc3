//! What operators and their tools ask: `GET /metrics` and `GET /ready`.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use crate::error::Error;
use crate::host::Host;
use crate::metrics::{MODEL_SERIES, ModelReading, Readings};
use crate::models::Model;
use crate::response::{self, Reply};

#[derive(Serialize)]
struct ReadyBody {
    ready: bool,
    pinned: Vec<PinItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PinItem {
    model_name: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `GET /ready`, an extension: 200 when all pinned models are loaded, 503 before.
pub fn ready(host: &Host) -> Reply {
    let pinned: Vec<PinItem> = host
        .models
        .pins()
        .into_iter()
        .map(|pin| PinItem {
            model_name: pin.name.to_string(),
            ready: pin.ready,
            error: pin.error.filter(|_| !pin.ready),
        })
        .collect();
    let ready = pinned.iter().all(|pin| pin.ready);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    response::json(status, &ReadyBody { ready, pinned })
}

/// `GET /metrics`, in the text format of Prometheus.
///
/// # Errors
///
/// [`Error::Metrics`], which a test rules out.
pub fn metrics(host: &Host) -> Result<Reply, Error> {
    let text = host.metrics.text(&readings(host)).map_err(Error::Metrics)?;
    Ok(response::metrics(text))
}

fn readings(host: &Host) -> Readings {
    let counts = host.models.counts();
    let mut queued = 0;
    let mut models = Vec::new();
    let mut code = HashMap::new();
    host.models.look_at_all(|model| {
        let loaded = model.loaded();
        queued += loaded.cells.queued();
        let shared = loaded.cells.code();
        code.insert(Arc::as_ptr(&shared), shared.bytes());
        if models.len() < MODEL_SERIES {
            models.push(reading(model));
        }
    });
    Readings {
        loaded_models: counts.ready,
        loading_models: counts.loading,
        waiting_for_models: counts.waiting,
        waiting_for_cells: queued,
        memory_budget: host.budget.limit(),
        memory_used: host.budget.used(),
        memory_code: code.values().sum(),
        disk_budget: host.disk.limit(),
        disk_used: host.disk.used(),
        buffered: host.buffers.used(),
        breaches: host.models.sandbox().breaches_by_limit(),
        leases: host.models.sandbox().leases_by_outcome(),
        models,
    }
}

fn reading(model: &Model) -> ModelReading {
    let stats = model.stats.read();
    let usage = model.loaded().cells.usage();
    ModelReading {
        name: model.name.to_string(),
        invocations: stats.invocations,
        errors: stats.errors,
        memory_bytes: usage.bytes,
        code_bytes: model.loaded().cells.code().bytes(),
        cells: usage.cells,
    }
}
