//! How SageMaker starts a container: `serve` alone, and all else by the environment.
//!
//! Where the variable `MODELCELL_IMAGE` names an image, it is started in that, by
//! `scripts/run-image.sh`; otherwise the bare binary is. What differs between the two is here: a bare
//! binary sees the directories of this machine, and a container those that are mounted.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::container::Container;
use crate::command::{Ended, modelcell, source};

/// Where the platform puts models, as a container sees it.
const MODELS: &str = "/opt/ml/models";

/// Where the cache directory is mounted in a container.
const CACHE: &str = "/cache";

/// The range of ports that the platform lets a container have, as on real endpoints.
pub const SAFE_PORTS: (u16, u16) = (25_000, 25_999);

/// What the environment of a real multi-model endpoint has beside its ports.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("SAGEMAKER_MULTI_MODEL", "true"),
    ("HOSTNAME", "model.aws.local"),
    ("HOME", "/root"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_EXECUTION_ENV", "AWS_ECS_EC2"),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "/v2/credentials/00000000-0000-0000-0000-000000000000",
    ),
    (
        "ECS_CONTAINER_METADATA_URI",
        "http://169.254.170.2/v3/00000000",
    ),
    (
        "ECS_CONTAINER_METADATA_URI_V4",
        "http://169.254.170.2/v4/00000000",
    ),
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
];

/// A container that is about to be started.
pub struct Launch {
    image: Option<String>,
    port: u16,
    models: TempDir,
    cache: PathBuf,
    env: Vec<(String, String)>,
}

impl Default for Launch {
    fn default() -> Self {
        Self::new()
    }
}

impl Launch {
    /// As a real endpoint starts it, on a port that is free.
    ///
    /// # Panics
    ///
    /// If there is no place for models.
    pub fn new() -> Self {
        let image = env::var("MODELCELL_IMAGE").ok();
        let image = image.filter(|name| !name.is_empty());
        let models = TempDir::new().unwrap();
        // A container's user may be another one.
        fs::set_permissions(models.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Of its own, because a container may write as another user.
        let cache = match image {
            Some(_) => "target/tests/image-cache",
            None => "target/tests/cache",
        };
        let cache = source().join(cache);
        fs::create_dir_all(&cache).unwrap();
        let port = free_port(20_000..25_000);
        let mut launch = Self {
            image,
            port,
            models,
            cache,
            env: Vec::new(),
        };
        for (name, value) in ENVIRONMENT {
            launch = launch.env(name, value);
        }
        let (first, last) = SAFE_PORTS;
        launch
            .env("SAGEMAKER_BIND_TO_PORT", &port.to_string())
            .env("SAGEMAKER_SAFE_PORT_RANGE", &format!("{first}-{last}"))
    }

    /// Sets a variable of the environment, also one that is set already.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(old, _)| old != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has it listen on a port of the safe range and not on the one that the platform names first.
    #[must_use]
    pub fn bind_in_safe_range(mut self) -> Self {
        let (first, last) = SAFE_PORTS;
        self.port = free_port(first..last + 1);
        let bind = format!("127.0.0.1:{}", self.port);
        self.env("MODELCELL_BIND", &bind)
    }

    /// Takes another cache directory than the one that tests share.
    #[must_use]
    pub fn cache(mut self, dir: &Path) -> Self {
        self.cache = dir.to_owned();
        self
    }

    /// Where the platform puts models, on this machine.
    pub fn models(&self) -> &Path {
        self.models.path()
    }

    /// The same directory, as the container sees it.
    pub fn models_inside(&self) -> String {
        match self.image {
            Some(_) => MODELS.to_owned(),
            None => self.models.path().display().to_string(),
        }
    }

    /// The cache directory, on this machine.
    pub fn cache_dir(&self) -> &Path {
        &self.cache
    }

    /// The port that the platform calls.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether this starts an image.
    pub fn is_image(&self) -> bool {
        self.image.is_some()
    }

    /// Starts it and waits until it is healthy.
    ///
    /// # Panics
    ///
    /// With its log, if it ends before that or does not become healthy in time.
    pub fn start(self) -> Container {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Container::healthy(command.spawn().unwrap(), self)
    }

    /// Starts what must not start, and checks that what it says has these texts.
    ///
    /// # Panics
    ///
    /// If it does start, or says something else.
    #[track_caller]
    pub fn refused(&self, parts: &[&str]) {
        let ended = Ended::of(&mut self.command());
        if !self.is_image() {
            ended.failed(1, parts);
            return;
        }
        // Engines add lines of their own, and some change the code.
        assert_ne!(ended.code, 0);
        for part in parts {
            assert!(
                ended.stderr.contains(part),
                "{part:?} is not in {}",
                ended.stderr
            );
        }
    }

    fn command(&self) -> Command {
        match &self.image {
            Some(image) => self.in_image(image),
            None => self.bare(),
        }
    }

    fn bare(&self) -> Command {
        let mut command = modelcell();
        command
            .envs(self.env.iter().cloned())
            .env("MODELCELL_MODEL_ROOT", self.models.path())
            .env("MODELCELL_CACHE_DIR", &self.cache)
            .arg("serve");
        command
    }

    fn in_image(&self, image: &str) -> Command {
        let mut command = Command::new(source().join("scripts/run-image.sh"));
        let mut env = self.env.clone();
        env.push(("MODELCELL_CACHE_DIR".to_owned(), CACHE.to_owned()));
        for (name, value) in env {
            command.arg("-e").arg(format!("{name}={value}"));
        }
        for mount in [
            format!("{}:{MODELS}:ro", self.models.path().display()),
            format!("{}:{CACHE}", self.cache.display()),
        ] {
            command.arg("-v").arg(mount);
        }
        command.arg(image).arg("serve").stdin(Stdio::null());
        command
    }
}

/// A port that is free now. The range must have none of those that the kernel gives to clients, or one of
/// them could have it before the server does.
fn free_port(range: Range<u16>) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test processes look for one as well.
    let start = (std::process::id() * 16 % 4_000) as u16;
    let length = range.end - range.start;
    for _ in 0..length {
        let next = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = range.start + next % length;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {range:?} is free");
}
