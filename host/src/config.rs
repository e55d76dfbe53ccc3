//! The settings of `modelcell serve`: flags, `MODELCELL_*` variables and a file, in this order of
//! precedence; then what SageMaker sets; then the defaults. Checked before the port opens.
//!
//! [`Options`] is what may be said, each of it optional; [`Settings`] is what holds.

mod machine;
mod options;
mod platform;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use crate::load::ModelLimits;
use crate::load::compiler::CompileOptions;
use crate::load::runtimes::{RuntimeOptions, VARIABLES};
use crate::load::unpack::UnpackLimits;
use crate::repository::{Location, ModelName};
use crate::sandbox::Isolation;
pub use options::Options;
use platform::Platform;
pub use values::{Span, parse_toml};
use values::{count, interval, size, time};

/// The longest body that may be allowed. Guests hold a body in memory several times over.
const BODY_CEILING: ByteSize = ByteSize::gib(1);

/// What SageMaker's InvokeEndpoint carries at most: 6,291,456 bytes.
const DEFAULT_BODY: ByteSize = ByteSize::mib(6);

/// The longest path in an artifact, in bytes.
const PATH_LIMIT: usize = 512;

/// The settings that hold.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the artifacts lie.
    pub repository: Option<RepositoryOptions>,
    /// SageMaker's multi-model mode: the platform says what to load.
    pub multi_model: bool,
    /// The address to listen on.
    pub bind: SocketAddr,
    /// Compiled code and unpacked artifacts.
    pub cache_dir: PathBuf,
    /// Directories whose models may be loaded by path.
    pub model_roots: Vec<PathBuf>,
    /// Bytes of the largest request body.
    pub max_body: u64,
    /// How long requests in flight may go on after the signal to stop.
    pub drain_timeout: Duration,
    /// Connections at a time.
    pub max_connections: usize,
    /// Bytes that loaded models may hold in memory together.
    pub memory_budget: u64,
    /// How long a loaded model is not evicted, unless nothing else can make room.
    pub min_residency: Duration,
    /// How long a model from the repository is taken for the newest; zero asks before each request.
    pub revalidate_after: Duration,
    /// Bytes that bodies and answers of requests in flight may hold together.
    pub request_memory: u64,
    /// Bytes that the cache directory may hold; none for half of what is free.
    pub disk_budget: Option<u64>,
    /// Models that are loaded at the start and stay.
    pub pins: Vec<ModelName>,
    /// How components are compiled: in this process, unless the program says otherwise.
    pub compile: CompileOptions,
    /// Components for artifacts that carry data only.
    pub runtimes: RuntimeOptions,
    /// What each model is allowed.
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

/// Looks a variable of the environment up; tests pass a table.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Options {
    /// The settings: these options, what SageMaker says, and the defaults.
    ///
    /// # Errors
    ///
    /// One line that names the option and what it may be.
    pub fn resolve(self, env: Lookup<'_>) -> Result<Settings, String> {
        let platform = Platform::read(env)?;
        let bind = self.bind.unwrap_or_else(|| platform.bind());
        let max_body = match self.max_body {
            Some(size) => size,
            None => platform.max_body.unwrap_or(DEFAULT_BODY),
        };
        let cache_dir = match self.cache_dir {
            Some(dir) => dir,
            None => default_cache_dir(env),
        };
        let model_roots = if self.model_roots.is_empty() {
            vec![PathBuf::from("/opt/ml/models")]
        } else {
            self.model_roots
        };
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let revalidate_after = interval("revalidate-after", self.revalidate_after, 60)?;
        let max_body = size("max-body", max_body, ByteSize(1), BODY_CEILING)?;
        let memory = machine::memory();
        let request_memory = match self.request_memory {
            Some(size) => size,
            None => ByteSize(machine::request_memory(memory).max(max_body)),
        };
        let memory_budget = match self.memory_budget {
            Some(size) => size,
            None => ByteSize(machine::memory_budget(memory)),
        };
        let compile = CompileOptions::default();
        let least_budget = ByteSize::mib(16);
        let whole = ByteSize(u64::MAX);
        let request_timeout = time("request-timeout", self.request_timeout, 60)?;
        Ok(Settings {
            memory_budget: size("memory-budget", memory_budget, least_budget, whole)?,
            min_residency: interval("min-residency", self.min_residency, 10)?,
            disk_budget: self
                .disk_budget
                .map(|budget| size("disk-budget", budget, least_budget, whole))
                .transpose()?,
            pins: pins(&self.pins, self.repository.is_some())?,
            repository: match self.repository {
                Some(location) => Some(RepositoryOptions {
                    location,
                    s3_path_style: self.s3_path_style.unwrap_or(self.s3_endpoint.is_some()),
                    s3_endpoint: self.s3_endpoint,
                    revalidate_after,
                    downloads: count("downloads", self.downloads, 16)?,
                }),
                None => None,
            },
            multi_model: platform.multi_model,
            bind,
            cache_dir,
            model_roots,
            revalidate_after,
            // Less than one body would let no such body in.
            request_memory: size("request-memory", request_memory, ByteSize(max_body), whole)?,
            max_body,
            drain_timeout: time("drain-timeout", self.drain_timeout, 25)?,
            max_connections: count("max-connections", self.max_connections, 4096)?,
            compile: CompileOptions {
                memory: size(
                    "compile-memory",
                    self.compile_memory.unwrap_or(ByteSize(compile.memory)),
                    ByteSize::mib(64),
                    ByteSize::tib(1),
                )?,
                timeout: time(
                    "compile-timeout",
                    self.compile_timeout,
                    compile.timeout.as_secs(),
                )?,
                ..compile
            },
            runtimes: RuntimeOptions {
                dir: self.runtimes.or_else(default_runtimes),
                environment: VARIABLES
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), env(name)?)))
                    .collect(),
            },
            limits: ModelLimits {
                unpack: UnpackLimits {
                    total_bytes: size(
                        "max-unpacked",
                        self.max_unpacked.unwrap_or(ByteSize::gib(1)),
                        ByteSize(1),
                        ByteSize::tib(1),
                    )?,
                    entries: count("max-files", self.max_files, 10_000)?,
                    path_bytes: PATH_LIMIT,
                },
                cell_memory: size(
                    "cell-memory",
                    self.cell_memory.unwrap_or(ByteSize::mib(512)),
                    ByteSize::mib(1),
                    ByteSize::gib(4),
                )? as usize,
                isolation: self.isolation.unwrap_or(Isolation::Model),
                cells: count("cells-per-model", self.cells_per_model, processors)?,
                all_cells: count("max-cells", self.max_cells, 64 * processors)?,
                guest_log: size(
                    "guest-log",
                    self.guest_log.unwrap_or(ByteSize::kib(64)),
                    ByteSize(0),
                    ByteSize::gib(1),
                )? as usize,
                transfer: size(
                    "max-response",
                    self.max_response.unwrap_or(ByteSize::mib(32)),
                    ByteSize::kib(64),
                    BODY_CEILING,
                )? as usize,
                request_timeout,
                hook_timeout: match self.hook_timeout {
                    Some(_) => time("hook-timeout", self.hook_timeout, 0)?,
                    None => request_timeout,
                },
                load_timeout: time("load-timeout", self.load_timeout, 360)?,
            },
        })
    }
}

impl Settings {
    /// A server needs models: from a repository, or from the platform.
    ///
    /// # Errors
    ///
    /// One line that says how to name a repository.
    pub fn require_models(&self) -> Result<(), String> {
        if self.repository.is_none() && !self.multi_model {
            return Err(
                "no repository: say --repository DIR, the directory that holds the artifacts, or \
                 --repository s3://BUCKET/PREFIX/"
                    .into(),
            );
        }
        Ok(())
    }
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
mod tests {
    use std::path::Path;

    use super::*;

    fn resolve(options: Options, env: &[(&str, &str)]) -> Result<Settings, String> {
        let lookup = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        options.resolve(&lookup)
    }

    fn with_repository() -> Options {
        Options {
            repository: Some("models".parse().unwrap()),
            ..Options::default()
        }
    }

    #[test]
    fn defaults() {
        let settings = resolve(with_repository(), &[("HOME", "/home/a")]).unwrap();
        assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.max_body, 6_291_456);
        assert_eq!(settings.limits.request_timeout, Duration::from_secs(60));
        assert_eq!(settings.cache_dir, Path::new("/home/a/.cache/modelcell"));
    }

    #[test]
    fn a_repository_is_needed_outside_of_sagemaker_only() {
        let settings = resolve(Options::default(), &[]).unwrap();
        assert!(
            settings
                .require_models()
                .unwrap_err()
                .contains("--repository")
        );
        let env = [
            ("SAGEMAKER_MULTI_MODEL", "True"),
            ("SAGEMAKER_BIND_TO_PORT", "9000"),
        ];
        let settings = resolve(Options::default(), &env).unwrap();
        settings.require_models().unwrap();
        assert_eq!(settings.bind.to_string(), "0.0.0.0:9000");
    }

    #[test]
    fn the_body_limit_follows_the_precedence_of_sagemakers_containers() {
        let all = [
            ("SAGEMAKER_MAX_REQUEST_SIZE", "1000"),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "2"),
            ("MAX_CONTENT_LENGTH", "3"),
        ];
        let limit = |env: &[(&str, &str)]| resolve(with_repository(), env).unwrap().max_body;
        assert_eq!(limit(&all), 1000);
        assert_eq!(limit(all.get(1..).unwrap()), 2 << 20);
        assert_eq!(limit(all.get(2..).unwrap()), 3);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let bad = |change: fn(&mut Options)| {
            let mut options = with_repository();
            change(&mut options);
            resolve(options, &[]).unwrap_err()
        };
        assert!(bad(|o| o.max_body = Some(ByteSize::tib(1))).contains("--max-body"));
        assert!(bad(|o| o.cell_memory = Some(ByteSize(1))).contains("--cell-memory"));
        assert!(
            bad(|o| o.request_timeout = Some(Span(Duration::ZERO))).contains("--request-timeout")
        );
        assert!(bad(|o| o.max_connections = Some(0)).contains("--max-connections"));
        assert!(bad(|o| o.compile_memory = Some(ByteSize(1))).contains("--compile-memory"));
        let env = [("SAGEMAKER_BIND_TO_PORT", "70000")];
        assert!(
            resolve(with_repository(), &env)
                .unwrap_err()
                .contains("SAGEMAKER_BIND_TO_PORT")
        );
    }

    #[test]
    fn a_file_has_the_flags_names_and_gives_way_to_them() {
        let file: Options =
            toml::from_str("bind = '127.0.0.1:1'\nmax-body = '1MiB'\nrequest-timeout = '5s'")
                .unwrap();
        let flags = Options {
            max_body: Some(ByteSize::mib(2)),
            ..with_repository()
        };
        let settings = resolve(flags.or(file), &[]).unwrap();
        assert_eq!(settings.bind.port(), 1);
        assert_eq!(settings.max_body, 2 << 20);
        assert_eq!(settings.limits.request_timeout, Duration::from_secs(5));
        assert!(toml::from_str::<Options>("max-bdy = '1MiB'").is_err());
    }
}
