//! The container image: what it says of itself, as whom and where it runs, how it stops. It is the one that
//! `MODELCELL_IMAGE` names; without that these tests are skipped, saying so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod run;

use std::env;
use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use modelcell_tests::artifact::misbehave;
use modelcell_tests::command::{Ended, source};
use modelcell_tests::eventually;
use modelcell_tests::kernel::children;
use run::Run;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where the image has the host keep what outlives it, if somebody mounts something there.
const CACHE: &str = "/var/cache/modelcell";

/// The image to test.
fn image() -> Option<String> {
    let image = env::var("MODELCELL_IMAGE").ok().filter(|i| !i.is_empty());
    if image.is_none() {
        println!("skipped: MODELCELL_IMAGE names no image (scripts/image-for-tests.sh makes one)");
    }
    image
}

/// The examples, packed.
fn examples() -> PathBuf {
    source().join("target/repository")
}

/// A directory that any user may read, and write to if `mode` says so.
fn directory(mode: u32) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
    dir
}

/// A port that was free just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_image_says_what_platforms_look_for() {
    let Some(image) = image() else { return };
    let mut inspect = Command::new(source().join("scripts/inspect-image.sh"));
    let said: Value = serde_json::from_str(&Ended::of(inspect.arg(image)).ok()).unwrap();
    let config = &said[0]["Config"];
    assert_eq!(config["Entrypoint"], json!(["modelcell"]));
    assert_eq!(config["Cmd"], json!(["serve", "--bind", "0.0.0.0:8080"]));
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}}));
    assert_eq!(config["StopSignal"], "SIGTERM");
    // SageMaker wants root.
    assert!(
        matches!(config["User"].as_str(), None | Some("")),
        "{config}"
    );
    for capability in ["multi-models", "accept-bind-to-port"] {
        let label = format!("com.amazonaws.sagemaker.capabilities.{capability}");
        assert_eq!(config["Labels"][label], "true");
    }
    assert_eq!(
        config["Labels"]["org.opencontainers.image.licenses"],
        "Apache-2.0"
    );
    // docker and podman have it in different places.
    let checks = [&config["Healthcheck"], &said[0]["Healthcheck"]];
    let check = checks.into_iter().find(|check| check.is_object());
    assert_eq!(check.unwrap()["Test"], json!(["CMD", "modelcell", "ping"]));
}

#[test]
fn any_user_can_serve() {
    let Some(image) = image() else { return };
    for flags in [&[][..], &["--user", "1000:1000"], &["--user", "65534"]] {
        let container = Run::serve(&image, &examples()).flags(flags).start();
        container.predicts();
        container.stop();
    }
}

#[test]
fn the_cache_directory_is_all_that_must_be_writable() {
    let Some(image) = image() else { return };
    let memory = format!("{CACHE}:rw,exec,mode=1777");
    for flags in [&[][..], &["--user", "1000:1000"]] {
        let read_only = Run::serve(&image, &examples())
            .flags(flags)
            .flags(&["--read-only"]);
        let refused = read_only.ended();
        assert_ne!(refused.code, 0);
        let parts = ["the cache directory", "Read-only file system"];
        assert!(
            parts.iter().all(|part| refused.stderr.contains(part)),
            "{}",
            refused.stderr
        );

        let container = read_only.flags(&["--tmpfs", &memory]).start();
        container.predicts();
        let warnings = container.log().lines_with(&["WARN"]);
        assert_eq!(warnings, Vec::<String>::new());
        container.stop();
    }
}

#[test]
fn a_volume_keeps_the_cache_for_the_user_who_made_it() {
    let Some(image) = image() else { return };
    // As Kubernetes makes volumes: anybody may write.
    let volume = directory(0o777);
    let run = || Run::serve(&image, &examples()).volume(volume.path(), CACHE);
    let as_user = || run().flags(&["--user", "1000:1000", "--read-only"]);

    let first = as_user().start();
    first.predicts();
    assert!(
        !first
            .log()
            .lines_with(&["iris", "code=Compiler"])
            .is_empty(),
        "{:?}",
        first.log().lines()
    );
    first.stop();
    let made = fs::metadata(volume.path().join("host")).unwrap();
    assert_eq!((made.uid(), made.mode() & 0o777), (1000, 0o700));

    let second = as_user().start();
    second.predicts();
    assert_eq!(
        second.log().lines_with(&["code=Compiler"]),
        Vec::<String>::new()
    );
    second.stop();

    // Code that somebody else wrote is not run.
    let refused = run().ended();
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("must belong to the user"),
        "{}",
        refused.stderr
    );
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let Some(image) = image() else { return };
    let models = directory(0o755);
    fs::write(models.path().join("m.tar.gz"), misbehave()).unwrap();
    let mut container = Run::serve(&image, models.path())
        .env("MODELCELL_CELLS_PER_MODEL", "1")
        .start();
    container.invoke("m.tar.gz", "").ok();
    let client = container.client().clone();
    let request = thread::spawn(move || client.invoke("m.tar.gz", "predict:sleep 3000"));
    eventually("the request is in its cell", || {
        container.get("/models/m.tar.gz").json()["idleCells"] == 0
    });
    container.terminate();
    container.log().wait_for(&["stopping"]);
    assert!(!request.is_finished(), "the request is still in flight");
    assert_eq!(request.join().unwrap().ok(), "slept");
    assert_eq!(container.wait().code(), Some(0));
}

#[test]
fn serve_alone_is_enough_inside_sagemaker() {
    let Some(image) = image() else { return };
    let port = free_port();
    let container = Run::of(&image, &["serve"])
        .env("SAGEMAKER_MULTI_MODEL", "true")
        .env("SAGEMAKER_BIND_TO_PORT", &port.to_string())
        .start();
    assert_eq!(container.address().port(), port);
    assert_eq!(container.log().lines_with(&["http://0.0.0.0:"]).len(), 1);
    container.get("/ping").ok();
    assert_eq!(container.get("/models").json(), json!({"models": []}));
    container.stop();
}

#[test]
fn the_health_check_knows_a_server_that_is_well() {
    let Some(image) = image() else { return };
    let port = free_port().to_string();
    let inside = |command| {
        Run::of(&image, &[command])
            .env("SAGEMAKER_MULTI_MODEL", "true")
            .env("SAGEMAKER_BIND_TO_PORT", &port)
    };
    assert_eq!(inside("ping").ended().code, 1);
    let container = inside("serve").start();
    inside("ping").ended().ok();
    container.stop();
    assert_eq!(inside("ping").ended().code, 1);
}

#[test]
fn the_first_process_leaves_no_dead_children() {
    let Some(image) = image() else { return };
    let bind = format!("127.0.0.1:{}", free_port());
    let container = Run::of(&image, &["serve", "--bind", &bind])
        .volume(&examples(), "/models:ro")
        .env("MODELCELL_REPOSITORY", "/models")
        .start();
    let pid = container.pid();
    container.predicts();
    // Compilers, which are waited for.
    eventually("no child is left", || children(pid).is_empty());
    container.stop();
}

#[test]
fn the_container_does_not_outlive_its_client() {
    let Some(image) = image() else { return };
    let mut container = Run::serve(&image, &examples()).start();
    container.get("/ping").ok();
    container.kill_client();
    eventually("the port is closed", || {
        TcpStream::connect(container.address()).is_err()
    });
}
