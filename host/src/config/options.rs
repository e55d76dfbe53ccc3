//! What an operator may say: flags, variables and the keys of a settings file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;
use serde::Deserialize;

use super::{Span, parse_toml};
use crate::repository::Location;
use crate::sandbox::Isolation;

/// What an operator may set. In a file the names are those of the flags.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Where the artifacts lie: a directory, or s3://BUCKET/PREFIX/. Needed unless
    /// SAGEMAKER_MULTI_MODEL is true.
    #[arg(long, env = "MODELCELL_REPOSITORY", value_name = "DIR|S3-URL")]
    pub repository: Option<Location>,

    /// The name of this repository's endpoint, for POST /endpoints/NAME/invocations. Further
    /// endpoints are tables of the settings file: [endpoints.NAME] [default: default].
    #[arg(long, env = "MODELCELL_ENDPOINT_NAME", value_name = "NAME")]
    pub endpoint_name: Option<String>,

    /// The further endpoints, each with a repository of its own and what else is not as here.
    #[arg(skip)]
    #[serde(default)]
    pub endpoints: BTreeMap<String, Options>,

    /// The address of an S3-compatible server, such as http://127.0.0.1:9000 [default: AWS's own].
    #[arg(long, env = "MODELCELL_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,

    /// Name the bucket in the path and not in the host name, as most S3-compatible servers want it
    /// [default: true with --s3-endpoint].
    #[arg(
        long,
        env = "MODELCELL_S3_PATH_STYLE",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub s3_path_style: Option<bool>,

    /// How long a loaded model is taken for the newest of its name; then the repository is asked. 0s
    /// asks before every request [default: 60s].
    #[arg(long, env = "MODELCELL_REVALIDATE_AFTER", value_name = "TIME")]
    pub revalidate_after: Option<Span>,

    /// Artifacts that are downloaded at a time [default: 16].
    #[arg(long, env = "MODELCELL_DOWNLOADS", value_name = "NUMBER")]
    pub downloads: Option<usize>,

    /// The memory that loaded models may hold together [default: that of the container or machine
    /// less a reserve].
    #[arg(long, env = "MODELCELL_MEMORY_BUDGET", value_name = "SIZE")]
    pub memory_budget: Option<ByteSize>,

    /// The memory that bodies and answers of requests in flight may hold together [default: an
    /// eighth of the memory there is, at most 256MiB].
    #[arg(long, env = "MODELCELL_REQUEST_MEMORY", value_name = "SIZE")]
    pub request_memory: Option<ByteSize>,

    /// How long a model stays after it was loaded, unless nothing else can make room [default: 10s].
    #[arg(long, env = "MODELCELL_MIN_RESIDENCY", value_name = "TIME")]
    pub min_residency: Option<Span>,

    /// The disk that artifacts, unpacked models, compiled code and snapshots may take in the cache
    /// directory [default: half of what is free at the start].
    #[arg(long, env = "MODELCELL_DISK_BUDGET", value_name = "SIZE")]
    pub disk_budget: Option<ByteSize>,

    /// A model that is loaded at the start and never evicted; may be repeated.
    #[arg(
        long = "pin",
        env = "MODELCELL_PIN",
        value_name = "NAME",
        value_delimiter = ','
    )]
    #[serde(default, rename = "pin")]
    pub pins: Vec<String>,

    /// The address to listen on [default: 127.0.0.1:8080; within SageMaker 0.0.0.0 and its port].
    #[arg(long, env = "MODELCELL_BIND", value_name = "ADDRESS:PORT")]
    pub bind: Option<SocketAddr>,

    /// A file (TOML) with the keys of those who may call: access keys as of AWS, or bearer tokens. It
    /// is read again on SIGHUP [default: everybody may call].
    #[arg(long, env = "MODELCELL_KEYS", value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// Let everybody call who reaches the port, although it is not on loopback and there are no
    /// --keys.
    #[arg(
        long,
        env = "MODELCELL_ALLOW_ANONYMOUS",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub allow_anonymous: Option<bool>,

    /// Where compiled code and snapshots are kept and artifacts are unpacked [default:
    /// ~/.cache/modelcell].
    #[arg(long, env = "MODELCELL_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// The folder with the runtimes, components for artifacts without code: NAME.wasm each [default:
    /// `runtimes` beside the program].
    #[arg(long, env = "MODELCELL_RUNTIMES", value_name = "DIR")]
    pub runtimes: Option<PathBuf>,

    /// A directory whose models `POST /models` may load, beside the repository; may be repeated
    /// [default: /opt/ml/models].
    #[arg(
        long = "model-root",
        env = "MODELCELL_MODEL_ROOT",
        value_name = "DIR",
        value_delimiter = ','
    )]
    #[serde(default, rename = "model-root")]
    pub model_roots: Vec<PathBuf>,

    /// The largest request body [default: 6MiB, as SageMaker has it].
    #[arg(long, env = "MODELCELL_MAX_BODY", value_name = "SIZE")]
    pub max_body: Option<ByteSize>,

    /// The longest time for a request; the cell that exceeds it is ended [default: 60s].
    #[arg(long, env = "MODELCELL_REQUEST_TIMEOUT", value_name = "TIME")]
    pub request_timeout: Option<Span>,

    /// The longest time for loading a model [default: 360s, as SageMaker has it].
    #[arg(long, env = "MODELCELL_LOAD_TIMEOUT", value_name = "TIME")]
    pub load_timeout: Option<Span>,

    /// The memory that compiling one component may take [default: 2GiB].
    #[arg(long, env = "MODELCELL_COMPILE_MEMORY", value_name = "SIZE")]
    pub compile_memory: Option<ByteSize>,

    /// The longest time for compiling a component [default: 120s].
    #[arg(long, env = "MODELCELL_COMPILE_TIMEOUT", value_name = "TIME")]
    pub compile_timeout: Option<Span>,

    /// How long requests in flight may go on after SIGTERM [default: 25s].
    #[arg(long, env = "MODELCELL_DRAIN_TIMEOUT", value_name = "TIME")]
    pub drain_timeout: Option<Span>,

    /// The longest time for one hook of a request [default: as --request-timeout].
    #[arg(long, env = "MODELCELL_HOOK_TIMEOUT", value_name = "TIME")]
    pub hook_timeout: Option<Span>,

    /// The least isolation of a model's requests from each other. `model` lets an artifact choose to
    /// have its cells reused, and has those reused that no snapshot can be taken of; `request` gives
    /// each request a fresh cell in any case, if need be by running model_fn for it [default: model].
    #[arg(
        long,
        env = "MODELCELL_ISOLATION",
        value_name = "request|model",
        value_enum
    )]
    pub isolation: Option<Isolation>,

    /// The largest answer of a model [default: 32MiB].
    #[arg(long, env = "MODELCELL_MAX_RESPONSE", value_name = "SIZE")]
    pub max_response: Option<ByteSize>,

    /// Cells of all models that run at a time [default: 64 for each processor].
    #[arg(long, env = "MODELCELL_MAX_CELLS", value_name = "NUMBER")]
    pub max_cells: Option<usize>,

    /// Cells of one model, which is how many of its requests run at a time [default: the number of
    /// processors].
    #[arg(long, env = "MODELCELL_CELLS_PER_MODEL", value_name = "NUMBER")]
    pub cells_per_model: Option<usize>,

    /// The memory that one cell may hold [default: 512MiB].
    #[arg(long, env = "MODELCELL_CELL_MEMORY", value_name = "SIZE")]
    pub cell_memory: Option<ByteSize>,

    /// What a model may print for each request; the rest is dropped [default: 64KiB].
    #[arg(long, env = "MODELCELL_GUEST_LOG", value_name = "SIZE")]
    pub guest_log: Option<ByteSize>,

    /// The largest artifact, unpacked [default: 1GiB].
    #[arg(long, env = "MODELCELL_MAX_UNPACKED", value_name = "SIZE")]
    pub max_unpacked: Option<ByteSize>,

    /// The most files and folders in an artifact [default: 10000].
    #[arg(long, env = "MODELCELL_MAX_FILES", value_name = "NUMBER")]
    pub max_files: Option<usize>,

    /// Requests to models at a time, running or waiting; further ones get 503 [default: 4096].
    #[arg(long, env = "MODELCELL_MAX_REQUESTS", value_name = "NUMBER")]
    pub max_requests: Option<usize>,

    /// Connections at a time; for further clients idle ones are closed, or else they get 503
    /// [default: 4096].
    #[arg(long, env = "MODELCELL_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<usize>,
}

impl Options {
    /// Reads a settings file.
    ///
    /// # Errors
    ///
    /// One line that names the file, and the place in it.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| format!("the settings file {} cannot be read: {e}", file.display()))?;
        parse_toml(&text)
            .map_err(|e| format!("the settings file {} is not valid: {e}", file.display()))
    }

    /// These options, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            repository: self.repository.or(other.repository),
            endpoint_name: self.endpoint_name.or(other.endpoint_name),
            endpoints: if self.endpoints.is_empty() {
                other.endpoints
            } else {
                self.endpoints
            },
            s3_endpoint: self.s3_endpoint.or(other.s3_endpoint),
            s3_path_style: self.s3_path_style.or(other.s3_path_style),
            revalidate_after: self.revalidate_after.or(other.revalidate_after),
            downloads: self.downloads.or(other.downloads),
            memory_budget: self.memory_budget.or(other.memory_budget),
            request_memory: self.request_memory.or(other.request_memory),
            min_residency: self.min_residency.or(other.min_residency),
            disk_budget: self.disk_budget.or(other.disk_budget),
            pins: if self.pins.is_empty() {
                other.pins
            } else {
                self.pins
            },
            bind: self.bind.or(other.bind),
            keys: self.keys.or(other.keys),
            allow_anonymous: self.allow_anonymous.or(other.allow_anonymous),
            cache_dir: self.cache_dir.or(other.cache_dir),
            runtimes: self.runtimes.or(other.runtimes),
            model_roots: if self.model_roots.is_empty() {
                other.model_roots
            } else {
                self.model_roots
            },
            max_body: self.max_body.or(other.max_body),
            request_timeout: self.request_timeout.or(other.request_timeout),
            hook_timeout: self.hook_timeout.or(other.hook_timeout),
            isolation: self.isolation.or(other.isolation),
            max_response: self.max_response.or(other.max_response),
            max_cells: self.max_cells.or(other.max_cells),
            load_timeout: self.load_timeout.or(other.load_timeout),
            compile_memory: self.compile_memory.or(other.compile_memory),
            compile_timeout: self.compile_timeout.or(other.compile_timeout),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            cells_per_model: self.cells_per_model.or(other.cells_per_model),
            cell_memory: self.cell_memory.or(other.cell_memory),
            guest_log: self.guest_log.or(other.guest_log),
            max_unpacked: self.max_unpacked.or(other.max_unpacked),
            max_files: self.max_files.or(other.max_files),
            max_requests: self.max_requests.or(other.max_requests),
            max_connections: self.max_connections.or(other.max_connections),
        }
    }
}
