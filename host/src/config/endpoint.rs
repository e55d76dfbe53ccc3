//! The settings of one endpoint: what a table `[endpoints.NAME]` says, and else what holds for the
//! whole host.

use std::time::Duration;

use bytesize::ByteSize;

use super::values::{count, interval, size, time};
use super::{BODY_CEILING, LEAST_BUDGET, Options, WHOLE};
use crate::headers::is_name;
use crate::load::ModelLimits;
use crate::load::unpack::UnpackLimits;
use crate::repository::{Location, ModelName};
use crate::sandbox::Isolation;

/// The longest path in an artifact, in bytes.
const PATH_LIMIT: usize = 512;

/// The longest name, as SageMaker has it:
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>
const NAME_LIMIT: usize = 63;

/// The settings of one endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// By which callers name it.
    pub name: String,
    /// Where its artifacts lie. None in SageMaker's multi-model mode, where the platform says what to
    /// load.
    pub repository: Option<RepositoryOptions>,
    /// Bytes that its models may hold in memory together.
    pub memory_budget: u64,
    /// How long a loaded model is not evicted, unless nothing else can make room.
    pub min_residency: Duration,
    /// How long a model from the repository is taken for the newest; zero asks before each request.
    pub revalidate_after: Duration,
    /// Models that are loaded at the start and stay.
    pub pins: Vec<ModelName>,
    /// Bytes of the largest request body.
    pub max_body: u64,
    /// Requests at a time.
    pub max_requests: usize,
    /// What each of its models is allowed.
    pub limits: ModelLimits,
}

/// How a repository is reached and how often it is asked.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// The directory or the bucket and prefix.
    pub location: Location,
    /// The address of an S3-compatible server.
    pub s3_endpoint: Option<String>,
    /// The bucket's name goes into the path.
    pub s3_path_style: bool,
    /// For how long what was found is taken for the newest; zero asks each time.
    pub revalidate_after: Duration,
    /// Downloads at a time.
    pub downloads: usize,
}

/// What an endpoint's settings are made with, beside its own options.
pub(super) struct Shared {
    /// The largest body if nothing is said.
    pub(super) max_body: ByteSize,
    /// The largest answer if nothing is said.
    pub(super) max_response: ByteSize,
    /// Seconds for a request if nothing is said.
    pub(super) request_seconds: u64,
    /// Processors of the machine.
    pub(super) processors: usize,
}

/// The settings of the endpoint `name`, whose options are `options`; its memory budget is
/// `memory_budget`.
///
/// # Errors
///
/// One line that names the option and what it may be.
pub(super) fn resolve(
    name: &str,
    options: &Options,
    memory_budget: u64,
    shared: &Shared,
) -> Result<EndpointSettings, String> {
    let revalidate_after = interval("revalidate-after", options.revalidate_after, 60)?;
    let max_body = options.max_body.unwrap_or(shared.max_body);
    Ok(EndpointSettings {
        name: valid_name(name)?,
        memory_budget: size(
            "memory-budget",
            ByteSize(memory_budget),
            LEAST_BUDGET,
            WHOLE,
        )?,
        min_residency: interval("min-residency", options.min_residency, 10)?,
        pins: pins(&options.pins, options.repository.is_some())?,
        repository: match &options.repository {
            Some(location) => Some(RepositoryOptions {
                location: location.clone(),
                s3_path_style: options
                    .s3_path_style
                    .unwrap_or(options.s3_endpoint.is_some()),
                s3_endpoint: options.s3_endpoint.clone(),
                revalidate_after,
                downloads: count("downloads", options.downloads, 16)?,
            }),
            None => None,
        },
        revalidate_after,
        max_body: size("max-body", max_body, ByteSize(1), BODY_CEILING)?,
        max_requests: count("max-requests", options.max_requests, 4096)?,
        limits: model_limits(options, shared)?,
    })
}

fn model_limits(options: &Options, shared: &Shared) -> Result<ModelLimits, String> {
    let request_timeout = time(
        "request-timeout",
        options.request_timeout,
        shared.request_seconds,
    )?;
    let bytes = |name, value: Option<ByteSize>, default, least, most| {
        size(name, value.unwrap_or(default), least, most)
    };
    let cell_memory = bytes(
        "cell-memory",
        options.cell_memory,
        ByteSize::mib(512),
        ByteSize::mib(1),
        ByteSize::gib(4),
    )?;
    let guest_log = bytes(
        "guest-log",
        options.guest_log,
        ByteSize::kib(64),
        ByteSize(0),
        ByteSize::gib(1),
    )?;
    let max_response = bytes(
        "max-response",
        options.max_response,
        shared.max_response,
        ByteSize::kib(64),
        BODY_CEILING,
    )?;
    Ok(ModelLimits {
        unpack: UnpackLimits {
            total_bytes: bytes(
                "max-unpacked",
                options.max_unpacked,
                ByteSize::gib(1),
                ByteSize(1),
                ByteSize::tib(1),
            )?,
            entries: count("max-files", options.max_files, 10_000)?,
            path_bytes: PATH_LIMIT,
        },
        cell_memory: cell_memory as usize,
        isolation: options.isolation.unwrap_or(Isolation::Model),
        cells: count(
            "cells-per-model",
            options.cells_per_model,
            shared.processors,
        )?,
        guest_log: guest_log as usize,
        transfer: max_response as usize,
        request_timeout,
        hook_timeout: match options.hook_timeout {
            Some(_) => time("hook-timeout", options.hook_timeout, 0)?,
            None => request_timeout,
        },
        load_timeout: time("load-timeout", options.load_timeout, 360)?,
    })
}

/// SageMaker's rule for the names of endpoints: letters, digits, and hyphens between them.
fn valid_name(name: &str) -> Result<String, String> {
    if name.len() > NAME_LIMIT || !is_name(name) {
        return Err(format!(
            "the endpoint's name {name:?} must have 1 to {NAME_LIMIT} letters, digits, and hyphens between them"
        ));
    }
    Ok(name.to_owned())
}

fn pins(names: &[String], has_repository: bool) -> Result<Vec<ModelName>, String> {
    if !names.is_empty() && !has_repository {
        return Err("--pin names models of the repository, so it needs --repository".into());
    }
    let parse = |name: &String| {
        ModelName::parse(name).map_err(|e| format!("--pin {}: {e}", name.escape_debug()))
    };
    names.iter().map(parse).collect()
}

/// The options of the endpoint `name`, filled up with those of the host; without its repository,
/// pins and budget, which are each endpoint's own.
///
/// # Errors
///
/// If it has no repository, or a key of the whole host.
pub(super) fn inherit(name: &str, own: Options, host: &Options) -> Result<Options, String> {
    let here = format!("[endpoints.{name}]");
    if own.repository.is_none() {
        return Err(format!("{here} needs a repository"));
    }
    for (key, said) in [
        ("endpoint-name", own.endpoint_name.is_some()),
        ("endpoints", !own.endpoints.is_empty()),
        ("request-memory", own.request_memory.is_some()),
        ("disk-budget", own.disk_budget.is_some()),
        ("bind", own.bind.is_some()),
        ("keys", own.keys.is_some()),
        ("allow-anonymous", own.allow_anonymous.is_some()),
        ("cache-dir", own.cache_dir.is_some()),
        ("runtimes", own.runtimes.is_some()),
        ("model-root", !own.model_roots.is_empty()),
        ("max-cells", own.max_cells.is_some()),
        ("compile-memory", own.compile_memory.is_some()),
        ("compile-timeout", own.compile_timeout.is_some()),
        ("drain-timeout", own.drain_timeout.is_some()),
        ("max-connections", own.max_connections.is_some()),
    ] {
        if said {
            return Err(format!(
                "{here} has the key {key}, which is the whole host's: say it at the top of the file"
            ));
        }
    }
    let shared = Options {
        repository: None,
        memory_budget: None,
        pins: Vec::new(),
        ..host.clone()
    };
    Ok(own.or(shared))
}
