//! `GET /endpoints`: which endpoints there are.

use hyper::StatusCode;
use serde::Serialize;

use crate::access::Caller;
use crate::endpoint::Endpoint;
use crate::host::Host;
use crate::response::{self, Reply};

#[derive(Serialize)]
struct EndpointsBody<'a> {
    endpoints: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    endpoint_name: &'a str,
    /// Whether `/invocations` and `/models` mean it.
    is_default: bool,
    loaded_models: usize,
    requests_in_flight: usize,
    /// Bytes of its part of the memory budget, and what its models hold of that.
    memory_budget_bytes: u64,
    memory_used_bytes: u64,
}

/// `GET /endpoints`, an extension: those that the caller may know of.
pub fn endpoints(host: &Host, caller: &Caller) -> Reply {
    let default = host.settings.default_endpoint.as_ref();
    let known = |endpoint: &&Endpoint| caller.has_endpoint(&endpoint.settings.name);
    let items = host.endpoints().iter().filter(known).map(|endpoint| Item {
        endpoint_name: &endpoint.settings.name,
        is_default: default.is_some_and(|own| own.name == endpoint.settings.name),
        loaded_models: endpoint.models.counts().ready,
        requests_in_flight: endpoint.gate.inside(),
        memory_budget_bytes: endpoint.budget.limit(),
        memory_used_bytes: endpoint.budget.used(),
    });
    let body = EndpointsBody {
        endpoints: items.collect(),
    };
    response::json(StatusCode::OK, &body)
}
