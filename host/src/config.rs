//! The settings of `modelcell serve`: flags, `MODELCELL_*` variables and a file, in this order of
//! precedence; then what SageMaker sets; then the defaults. Checked before the port opens.
//!
//! [`Options`] is what may be said, each of it optional; [`Settings`] is what holds.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

use crate::load::ModelLimits;
use crate::load::unpack::UnpackLimits;

/// The longest body that may be allowed. Guests hold a body in memory several times over.
const BODY_CEILING: ByteSize = ByteSize::gib(1);

/// What SageMaker's InvokeEndpoint carries at most: 6,291,456 bytes.
const DEFAULT_BODY: ByteSize = ByteSize::mib(6);

/// The longest path in an artifact, in bytes.
const PATH_LIMIT: usize = 512;

/// A time as people write it: `30s`, `500ms`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Span)
            .map_err(|e| format!("{e}; write a time as 30s, 500ms or 2m"))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"30s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Text)
    }
}

/// What an operator may set. In a file the names are those of the flags.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// The directory that holds the artifacts. Needed unless SAGEMAKER_MULTI_MODEL is true.
    #[arg(long, env = "MODELCELL_REPOSITORY", value_name = "DIR")]
    pub repository: Option<PathBuf>,

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

    /// The most files in an artifact [default: 10000].
    #[arg(long, env = "MODELCELL_MAX_FILES", value_name = "NUMBER")]
    pub max_files: Option<usize>,

    /// Connections at a time; further clients wait [default: 4096].
    #[arg(long, env = "MODELCELL_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<usize>,
}

/// The settings that hold.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory that holds the artifacts.
    pub repository: Option<PathBuf>,
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
    /// What each model is allowed.
    pub limits: ModelLimits,
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
        Ok(Settings {
            repository: self.repository,
            multi_model: platform.multi_model,
            bind,
            cache_dir,
            model_roots,
            max_body: size("max-body", max_body, ByteSize(1), BODY_CEILING)?,
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

/// Reads TOML; an error is one line that names the place, not the library's excerpt of the file.
///
/// # Errors
///
/// `line 3: unknown field ...`
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start));
        let line = before.unwrap_or_default().matches('\n').count() + 1;
        format!("line {line}: {}", e.message())
    })
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
                "no repository: say --repository DIR, the directory that holds the artifacts"
                    .into(),
            );
        }
        Ok(())
    }
}

/// What SageMaker says through the environment.
#[derive(Debug, Default, PartialEq)]
struct Platform {
    /// The platform loads and unloads the models itself.
    multi_model: bool,
    port: Option<u16>,
    max_body: Option<ByteSize>,
}

impl Platform {
    fn read(env: Lookup<'_>) -> Result<Self, String> {
        let multi_model =
            env("SAGEMAKER_MULTI_MODEL").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        Ok(Self {
            multi_model,
            port: number(env, "SAGEMAKER_BIND_TO_PORT")?,
            // The more exact one first, as DJL Serving has it.
            max_body: match number(env, "SAGEMAKER_MAX_REQUEST_SIZE")? {
                Some(bytes) => Some(ByteSize(bytes)),
                None => match number::<u64>(env, "SAGEMAKER_MAX_PAYLOAD_IN_MB")? {
                    Some(mib) => Some(ByteSize(mib.saturating_mul(1 << 20))),
                    None => number(env, "MAX_CONTENT_LENGTH")?.map(ByteSize),
                },
            },
        })
    }

    /// Within SageMaker all interfaces, because the platform calls from outside of the container.
    fn bind(&self) -> SocketAddr {
        let inside = self.multi_model || self.port.is_some();
        let address = if inside {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        SocketAddr::from((address, self.port.unwrap_or(8080)))
    }
}

fn number<T: FromStr>(env: Lookup<'_>, name: &str) -> Result<Option<T>, String> {
    env(name)
        .map(|value| {
            value.trim().parse().map_err(|_| {
                format!("the variable {name} is {value:?}, which is not a number that fits")
            })
        })
        .transpose()
}

fn default_cache_dir(env: Lookup<'_>) -> PathBuf {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("modelcell")
}

fn size(name: &str, value: ByteSize, least: ByteSize, most: ByteSize) -> Result<u64, String> {
    if value < least || value > most {
        return Err(format!(
            "--{name} is {value}, but must be from {least} to {most}"
        ));
    }
    Ok(value.as_u64())
}

fn time(name: &str, value: Option<Span>, default_seconds: u64) -> Result<Duration, String> {
    let day = Duration::from_secs(24 * 60 * 60);
    let value = value.map_or(Duration::from_secs(default_seconds), |span| span.0);
    if value.is_zero() || value > day {
        return Err(format!("--{name} must be more than 0s and at most 1day"));
    }
    Ok(value)
}

fn count(name: &str, value: Option<usize>, default: usize) -> Result<usize, String> {
    let most = 1_000_000;
    let value = value.unwrap_or(default);
    if value == 0 || value > most {
        return Err(format!("--{name} is {value}, but must be from 1 to {most}"));
    }
    Ok(value)
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
            repository: Some("models".into()),
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
