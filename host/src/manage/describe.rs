//! `GET /models/NAME`: AWS's two fields, and what an operator wants to know beside.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use hyper::StatusCode;
use serde::Serialize;

use crate::budget::{CELL_BYTES, MODEL_BYTES};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::host::Host;
use crate::load::progress::{Progress, Stage};
use crate::models::{Model, ModelsError, Status};
use crate::response::{self, Reply};
use crate::sandbox::Isolation;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadyBody<'a> {
    model_name: &'a str,
    model_url: &'a str,
    status: &'static str,
    /// The runtime that serves it, if the artifact has no code of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'a str>,
    /// The first line that its `model_fn` printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// Seconds since 1970.
    loaded_at: u64,
    invocations: u64,
    errors: u64,
    /// Time in each hook, summed over the invocations without error.
    hook_microseconds: HookMicros,
    /// What the model holds of the memory budget beside code: the next, and what the host keeps.
    memory_bytes: u64,
    /// Linear memories and tables of all cells, and the snapshot.
    linear_memory_bytes: u64,
    cells: usize,
    idle_cells: usize,
    /// How requests are kept apart, and whether their cells start from a snapshot.
    isolation: Isolation,
    snapshot: bool,
    /// Why there is no snapshot although there was to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation_reason: Option<String>,
    /// Compiled code, which counts once for all the models that share it.
    code_bytes: u64,
    code_shared_by: usize,
    /// Unpacked files.
    disk_bytes: u64,
    /// The artifact's version in the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// Why a newer version could not be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_error: Option<String>,
}

#[derive(Serialize)]
struct HookMicros {
    input_fn: u128,
    predict_fn: u128,
    output_fn: u128,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadingBody<'a> {
    model_name: &'a str,
    model_url: &'a str,
    status: &'static str,
    stage: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    downloaded_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
}

/// `GET /models/NAME`
///
/// # Errors
///
/// 404 if the model is neither loaded nor being loaded. To SageMaker's platform, which takes any 200
/// for a loaded model, one that is being loaded is not there either.
pub fn describe(host: &Host, endpoint: &Endpoint, name: &str) -> Result<Reply, Error> {
    match endpoint.models.status(name) {
        Some(Status::Ready(model)) => Ok(ready(&model)),
        Some(Status::Loading { url, progress }) if !host.settings.multi_model => {
            Ok(loading(name, &url, &progress))
        }
        _ => Err(ModelsError::NotFound(name.to_owned()).into()),
    }
}

fn ready(model: &Arc<Model>) -> Reply {
    let stats = model.stats.read();
    let loaded = model.loaded();
    let usage = loaded.cells.usage();
    let code = loaded.cells.code();
    let isolation = loaded.cells.isolation();
    // Of a snapshot's idle cells there is only the memory.
    let live = match isolation.snapshot {
        true => usage.cells - usage.idle,
        false => usage.cells,
    };
    let origin = model.origin.as_ref();
    let since_1970 = model.loaded_at.duration_since(UNIX_EPOCH);
    let body = ReadyBody {
        model_name: &model.name,
        model_url: &model.url,
        status: "ready",
        runtime: loaded.runtime.as_deref(),
        description: loaded.description.as_deref(),
        loaded_at: since_1970.unwrap_or_default().as_secs(),
        invocations: stats.invocations,
        errors: stats.errors,
        hook_microseconds: HookMicros {
            input_fn: stats.times.input_fn.as_micros(),
            predict_fn: stats.times.predict_fn.as_micros(),
            output_fn: stats.times.output_fn.as_micros(),
        },
        memory_bytes: usage.bytes,
        linear_memory_bytes: usage
            .bytes
            .saturating_sub(MODEL_BYTES + live as u64 * CELL_BYTES),
        cells: usage.cells,
        idle_cells: usage.idle,
        isolation: isolation.isolation,
        snapshot: isolation.snapshot,
        isolation_reason: isolation.reason.map(|reason| reason.to_string()),
        code_bytes: code.bytes(),
        // Less the one here.
        code_shared_by: Arc::strong_count(&code) - 1,
        disk_bytes: loaded.disk_bytes(),
        version: origin.map(|origin| origin.version().0.as_str()),
        refresh_error: origin.and_then(|origin| origin.failure()),
    };
    response::json(StatusCode::OK, &body)
}

fn loading(name: &str, url: &str, progress: &Progress) -> Reply {
    let bytes = progress.bytes();
    let body = LoadingBody {
        model_name: name,
        model_url: url,
        status: "loading",
        stage: progress.stage(),
        downloaded_bytes: bytes.map(|(downloaded, _)| downloaded),
        total_bytes: bytes.map(|(_, total)| total),
    };
    response::json(StatusCode::OK, &body)
}
