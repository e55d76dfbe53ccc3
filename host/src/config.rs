//! The settings of `modelcell serve`: flags, `MODELCELL_*` variables and a file, in this order of
//! precedence; then what SageMaker sets; then the defaults. Checked before the port opens.
//!
//! [`Options`] is what may be said, each of it optional; [`Settings`] is what holds.

mod machine;
mod platform;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use serde::Deserialize;

use crate::load::ModelLimits;
use crate::load::unpack::UnpackLimits;
use crate::repository::{Location, ModelName};
use platform::Platform;
pub use values::{Span, parse_toml};
use values::{count, interval, size, time};

/// The longest body that may be allowed. Guests hold a body in memory several times over.
const BODY_CEILING: ByteSize = ByteSize::gib(1);

/// What SageMaker's InvokeEndpoint carries at most: 6,291,456 bytes.
const DEFAULT_BODY: ByteSize = ByteSize::mib(6);

/// The longest path in an artifact, in bytes.
const PATH_LIMIT: usize = 512;

/// What an operator may set. In a file the names are those of the flags.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Where the artifacts lie: a directory, or s3://BUCKET/PREFIX/. Needed unless
    /// SAGEMAKER_MULTI_MODEL is true.
    #[arg(long, env = "MODELCELL_REPOSITORY", value_name = "DIR|S3-URL")]
    pub repository: Option<Location>,

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

    /// The disk that artifacts, unpacked models and compiled code may take in the cache directory
    /// [default: half of what is free at the start].
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

    /// Where compiled code is kept and artifacts are unpacked [default: ~/.cache/modelcell].
    #[arg(long, env = "MODELCELL_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

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

    /// How long requests in flight may go on after SIGTERM [default: 25s].
    #[arg(long, env = "MODELCELL_DRAIN_TIMEOUT", value_name = "TIME")]
    pub drain_timeout: Option<Span>,

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

    /// Connections at a time; further clients wait [default: 4096].
    #[arg(long, env = "MODELCELL_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<usize>,
}

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
            cache_dir: self.cache_dir.or(other.cache_dir),
            model_roots: if self.model_roots.is_empty() {
                other.model_roots
            } else {
                self.model_roots
            },
            max_body: self.max_body.or(other.max_body),
            request_timeout: self.request_timeout.or(other.request_timeout),
            load_timeout: self.load_timeout.or(other.load_timeout),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            cells_per_model: self.cells_per_model.or(other.cells_per_model),
            cell_memory: self.cell_memory.or(other.cell_memory),
            guest_log: self.guest_log.or(other.guest_log),
            max_unpacked: self.max_unpacked.or(other.max_unpacked),
            max_files: self.max_files.or(other.max_files),
            max_connections: self.max_connections.or(other.max_connections),
        }
    }

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
        let least_budget = ByteSize::mib(16);
        let whole = ByteSize(u64::MAX);
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
                cells: count("cells-per-model", self.cells_per_model, processors)?,
                guest_log: size(
                    "guest-log",
                    self.guest_log.unwrap_or(ByteSize::kib(64)),
                    ByteSize(0),
                    ByteSize::gib(1),
                )? as usize,
                request_timeout: time("request-timeout", self.request_timeout, 60)?,
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

fn default_cache_dir(env: Lookup<'_>) -> PathBuf {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("modelcell")
}

#[cfg(test)]
mod tests {
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
