//! The settings of `modelcell serve`: flags, `MODELCELL_*` variables and a file, in this order of
//! precedence; then what SageMaker sets; then the defaults. Checked before the port opens.
//!
//! [`Options`] is what may be said, each of it optional; [`Settings`] is what holds.

mod endpoint;
mod machine;
mod options;
mod platform;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use crate::load::ModelLimits;
use crate::load::compiler::CompileOptions;
use crate::load::runtimes::{RuntimeOptions, VARIABLES};
use endpoint::Shared;
pub use endpoint::{EndpointSettings, RepositoryOptions};
pub use options::Options;
use platform::Platform;
pub use values::{Span, parse_toml};
use values::{count, size, time};

/// The longest body that may be allowed. Guests hold a body in memory several times over.
const BODY_CEILING: ByteSize = ByteSize::gib(1);

/// What SageMaker's InvokeEndpoint carries at most: 6,291,456 bytes.
const DEFAULT_BODY: ByteSize = ByteSize::mib(6);

/// The least budget that lets a model in.
const LEAST_BUDGET: ByteSize = ByteSize::mib(16);

/// No upper bound.
const WHOLE: ByteSize = ByteSize(u64::MAX);

/// The settings that hold.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The endpoint of `/invocations` and `/models`, whose repository the command line names. None
    /// if the settings file has endpoints and there is no such repository.
    pub default_endpoint: Option<EndpointSettings>,
    /// The endpoints of the settings file.
    pub endpoints: Vec<EndpointSettings>,
    /// SageMaker's multi-model mode: the platform says what to load.
    pub multi_model: bool,
    /// The address to listen on.
    pub bind: SocketAddr,
    /// Who may call.
    pub access: AccessSettings,
    /// Compiled code and unpacked artifacts.
    pub cache_dir: PathBuf,
    /// Directories whose models may be loaded by path.
    pub model_roots: Vec<PathBuf>,
    /// How long requests in flight may go on after the signal to stop.
    pub drain_timeout: Duration,
    /// Connections at a time.
    pub max_connections: usize,
    /// Requests to models at a time, of all endpoints.
    pub max_requests: usize,
    /// Cells of all models that run at a time.
    pub max_cells: usize,
    /// Bytes that loaded models may hold in memory together.
    pub memory_budget: u64,
    /// Bytes that bodies and answers of requests in flight may hold together.
    pub request_memory: u64,
    /// Bytes that the cache directory may hold; none for half of what is free.
    pub disk_budget: Option<u64>,
    /// How components are compiled: in this process, unless the program says otherwise.
    pub compile: CompileOptions,
    /// Components for artifacts that carry data only.
    pub runtimes: RuntimeOptions,
    /// What each model is allowed, unless its endpoint says otherwise.
    pub limits: ModelLimits,
}

/// Who may call.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The file with the keys.
    pub keys: Option<PathBuf>,
    /// Whether the address may be reached from elsewhere although there are no keys.
    pub allow_anonymous: bool,
    /// Whether SageMaker's platform calls, which has checked its callers itself.
    pub inside_sagemaker: bool,
}

/// Looks a variable of the environment up; tests pass a table.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Options {
    /// The settings: these options, what SageMaker says, and the defaults.
    ///
    /// # Errors
    ///
    /// One line that names the option and what it may be.
    pub fn resolve(mut self, env: Lookup<'_>) -> Result<Settings, String> {
        let platform = Platform::read(env)?;
        let bind = self.bind.unwrap_or_else(|| platform.bind());
        platform.check_port(bind.port())?;
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let shared = Shared {
            max_body: platform.max_body.unwrap_or(DEFAULT_BODY),
            max_response: platform.max_response.unwrap_or(ByteSize::mib(32)),
            request_seconds: platform.request_seconds.unwrap_or(60),
            processors,
        };
        let memory = machine::memory();
        let memory_budget = match self.memory_budget {
            Some(size) => size,
            None => ByteSize(machine::memory_budget(memory)),
        };
        let memory_budget = size("memory-budget", memory_budget, LEAST_BUDGET, WHOLE)?;
        let tables = std::mem::take(&mut self.endpoints);
        let alone = tables.is_empty();
        let has_default = self.repository.is_some() || platform.multi_model || alone;
        let name = self.endpoint_name.clone();
        let name = name.unwrap_or_else(|| "default".into());
        if has_default && tables.contains_key(&name) {
            return Err(format!(
                "[endpoints.{name}] has the name of --repository's endpoint: choose another with --endpoint-name"
            ));
        }
        let endpoints = endpoints(tables, &self, has_default, memory_budget, &shared)?;
        let rest = memory_budget - endpoints.iter().map(|e| e.memory_budget).sum::<u64>();
        let own = endpoint::resolve(
            &name,
            &self,
            if has_default { rest } else { memory_budget },
            &shared,
        )?;
        let largest = endpoints
            .iter()
            .map(|e| e.max_body)
            .chain([own.max_body])
            .max();
        let largest = largest.unwrap_or_default();
        let request_memory = match self.request_memory {
            Some(size) => size,
            None => ByteSize(machine::request_memory(memory).max(largest)),
        };
        Ok(Settings {
            memory_budget,
            disk_budget: self
                .disk_budget
                .map(|budget| size("disk-budget", budget, LEAST_BUDGET, WHOLE))
                .transpose()?,
            multi_model: platform.multi_model,
            access: AccessSettings {
                keys: self.keys.take(),
                allow_anonymous: self.allow_anonymous.unwrap_or(false),
                inside_sagemaker: platform.is_there(),
            },
            bind,
            cache_dir: match self.cache_dir.take() {
                Some(dir) => dir,
                None => default_cache_dir(env),
            },
            model_roots: match self.model_roots.is_empty() {
                true => vec![PathBuf::from("/opt/ml/models")],
                false => std::mem::take(&mut self.model_roots),
            },
            // Less than one body would let no such body in.
            request_memory: size("request-memory", request_memory, ByteSize(largest), WHOLE)?,
            drain_timeout: time("drain-timeout", self.drain_timeout, 25)?,
            max_connections: count("max-connections", self.max_connections, 4096)?,
            max_requests: own.max_requests,
            max_cells: count("max-cells", self.max_cells, 64 * processors)?,
            compile: self.compile_options()?,
            runtimes: RuntimeOptions {
                dir: self.runtimes.take().or_else(default_runtimes),
                environment: VARIABLES
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), env(name)?)))
                    .collect(),
            },
            limits: own.limits.clone(),
            default_endpoint: has_default.then_some(own),
            endpoints,
        })
    }

    fn compile_options(&self) -> Result<CompileOptions, String> {
        let defaults = CompileOptions::default();
        Ok(CompileOptions {
            memory: size(
                "compile-memory",
                self.compile_memory.unwrap_or(ByteSize(defaults.memory)),
                ByteSize::mib(64),
                ByteSize::tib(1),
            )?,
            timeout: time(
                "compile-timeout",
                self.compile_timeout,
                defaults.timeout.as_secs(),
            )?,
            ..defaults
        })
    }
}

/// The endpoints of the settings file. Those that name no part of the memory budget share evenly what
/// the others leave, with the default endpoint if there is one.
fn endpoints(
    tables: BTreeMap<String, Options>,
    host: &Options,
    has_default: bool,
    memory_budget: u64,
    shared: &Shared,
) -> Result<Vec<EndpointSettings>, String> {
    let said = |options: &Options| options.memory_budget.map(|size| size.as_u64());
    let taken = tables
        .values()
        .filter_map(said)
        .fold(0, u64::saturating_add);
    let silent = tables
        .values()
        .filter(|options| said(options).is_none())
        .count();
    let sharing = silent as u64 + u64::from(has_default);
    let left = memory_budget
        .checked_sub(taken)
        .filter(|left| sharing == 0 || *left / sharing >= LEAST_BUDGET.as_u64());
    let left = left.ok_or_else(|| {
        format!(
            "the endpoints' parts of the memory budget leave too little of its {} for the others: \
             at least {LEAST_BUDGET} each",
            ByteSize(memory_budget)
        )
    })?;
    let each = |(name, own): (String, Options)| {
        let budget = said(&own).unwrap_or_else(|| left / sharing.max(1));
        let options = endpoint::inherit(&name, own, host)?;
        let settings = endpoint::resolve(&name, &options, budget, shared);
        settings.map_err(|error| format!("[endpoints.{name}]: {error}"))
    };
    tables.into_iter().map(each).collect()
}

impl Settings {
    /// A server needs models: from a repository, or from the platform.
    ///
    /// # Errors
    ///
    /// One line that says how to name a repository.
    pub fn require_models(&self) -> Result<(), String> {
        let default = self.default_endpoint.as_ref();
        let has_repository = default.is_some_and(|endpoint| endpoint.repository.is_some());
        if !has_repository && self.endpoints.is_empty() && !self.multi_model {
            return Err(
                "no repository: say --repository DIR, the directory that holds the artifacts, or \
                 --repository s3://BUCKET/PREFIX/"
                    .into(),
            );
        }
        Ok(())
    }

    /// A server that others can reach must know its callers, or be told that it need not.
    ///
    /// # Errors
    ///
    /// One line that says what to choose from.
    pub fn require_access(&self) -> Result<(), String> {
        let AccessSettings {
            keys,
            allow_anonymous,
            inside_sagemaker,
        } = &self.access;
        if keys.is_some() && self.multi_model {
            return Err(
                "--keys cannot be used within SageMaker: its platform checks callers itself and \
                 signs nothing"
                    .into(),
            );
        }
        let open = keys.is_none() && !self.bind.ip().is_loopback();
        if open && !allow_anonymous && !inside_sagemaker {
            return Err(format!(
                "on {} anybody who reaches the port could call and manage all models: name the \
                 callers with --keys FILE, listen on 127.0.0.1, or say --allow-anonymous",
                self.bind
            ));
        }
        Ok(())
    }
}

/// The folder beside the program, or where a package would put it.
fn default_runtimes() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let dir = program.parent()?;
    let places = [dir.join("runtimes"), dir.join("../lib/modelcell/runtimes")];
    places.into_iter().find(|place| place.is_dir())
}

fn default_cache_dir(env: Lookup<'_>) -> PathBuf {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("modelcell")
}

#[cfg(test)]
mod tests;
