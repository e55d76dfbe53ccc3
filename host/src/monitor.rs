//! What operators and their tools ask: `GET /metrics` and `GET /ready`.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::host::Host;
use crate::metrics::{EndpointReading, MODEL_SERIES, ModelReading, Readings};
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
    endpoint_name: String,
    model_name: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `GET /ready`, an extension: 200 when the pinned models of all endpoints are loaded, 503 before.
pub fn ready(host: &Host) -> Reply {
    let of_endpoint = |endpoint: &Endpoint| {
        let pins = endpoint.models.pins().into_iter();
        let name = endpoint.settings.name.clone();
        pins.map(move |pin| PinItem {
            endpoint_name: name.clone(),
            model_name: pin.name.to_string(),
            ready: pin.ready,
            error: pin.error.filter(|_| !pin.ready),
        })
        .collect::<Vec<_>>()
    };
    let pinned: Vec<PinItem> = host.endpoints().iter().flat_map(of_endpoint).collect();
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
    let sandbox = host.tools.sandbox();
    let disk = host.tools.workspace().disk();
    let mut readings = Readings {
        memory_budget: host.settings.memory_budget,
        disk_budget: disk.limit(),
        disk_used: disk.used(),
        buffered: host.buffers.used(),
        requests: host.gate.inside(),
        breaches: sandbox.breaches_by_limit(),
        leases: sandbox.leases_by_outcome(),
        ..Readings::default()
    };
    for endpoint in host.endpoints() {
        add(&mut readings, endpoint);
    }
    readings
}

fn add(readings: &mut Readings, endpoint: &Endpoint) {
    let counts = endpoint.models.counts();
    let mut code = HashMap::new();
    endpoint.models.look_at_all(|model| {
        let loaded = model.loaded();
        readings.waiting_for_cells += loaded.cells.queued();
        let shared = loaded.cells.code();
        code.insert(Arc::as_ptr(&shared), shared.bytes());
        if readings.models.len() < MODEL_SERIES {
            readings.models.push(reading(endpoint, model));
        }
    });
    readings.loaded_models += counts.ready;
    readings.loading_models += counts.loading;
    readings.waiting_for_models += counts.waiting;
    readings.memory_used += endpoint.budget.used();
    readings.memory_code += code.values().sum::<u64>();
    readings.endpoints.push(EndpointReading {
        name: endpoint.settings.name.clone(),
        counts: endpoint.counts.read(),
        requests: endpoint.gate.inside(),
        loaded_models: counts.ready,
        memory_budget: endpoint.budget.limit(),
        memory_used: endpoint.budget.used(),
    });
}

fn reading(endpoint: &Endpoint, model: &Model) -> ModelReading {
    let stats = model.stats.read();
    let usage = model.loaded().cells.usage();
    ModelReading {
        endpoint: endpoint.settings.name.clone(),
        name: model.name.to_string(),
        invocations: stats.invocations,
        errors: stats.errors,
        memory_bytes: usage.bytes,
        code_bytes: model.loaded().cells.code().bytes(),
        cells: usage.cells,
    }
}
