//! `modelcell new`, `package`, `inspect` and `invoke`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use modelcell_tests::Setup;
use modelcell_tests::artifact::{Tar, artifact, guest, guest_file, misbehave, misbehave_at_load};
use modelcell_tests::command::{Ended, modelcell, shared_cache, source};
use modelcell_tests::component::{ALL_HOOKS, with_hooks};
use tempfile::TempDir;

/// Runs the binary in a directory, with the compiled code that all tests share.
fn run(dir: &Path, args: &[&str]) -> Ended {
    let mut command = modelcell();
    command.env("MODELCELL_CACHE_DIR", shared_cache());
    Ended::of(command.current_dir(dir).args(args))
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn help_is_no_failure() {
    let dir = folder();
    for (args, part) in [
        (&["--help"][..], "serve"),
        (&["-h"], "inspect"),
        (&["help"], "package"),
        (&["help", "serve"], "--repository"),
        (&["serve", "--help"], "MODELCELL_REQUEST_TIMEOUT"),
        (&["new", "--help"], "NAME"),
        (&["package", "--help"], "--component"),
        (&["inspect", "--help"], "FILE"),
        (&["invoke", "--help"], "--content-type"),
        (&["--version"], "modelcell 0."),
    ] {
        let ended = run(dir.path(), args);
        let text = ended.ok();
        assert!(text.contains(part), "{args:?}: {text}");
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn mistakes_of_usage_have_their_own_exit_code() {
    let dir = folder();
    for (args, part) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["package"], "--component"),
        (&["inspect"], "FILE"),
        (&["invoke", "a", "--no-such-flag"], "--no-such-flag"),
        (&["new"], "NAME"),
    ] {
        run(dir.path(), args).failed(2, &[part]);
    }
}

#[test]
fn package_inspect_invoke() {
    let dir = folder();
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("sub")).unwrap();
    fs::write(data.join("b"), "bbb").unwrap();
    fs::write(data.join("sub/a"), "aa").unwrap();
    fs::write(data.join("modelcell.toml"), "request-timeout = '5s'").unwrap();
    let component = guest_file("misbehave").display().to_string();
    guest("misbehave");
    let package = |dir: &Path, output: &str| {
        let args = [
            "package",
            "--component",
            &component,
            "--model-dir",
            "data",
            "--output",
            output,
        ];
        run(dir, &args).ok()
    };
    let said = package(dir.path(), "m.tar.gz");
    assert!(
        said.contains("m.tar.gz") && said.contains("3 more files"),
        "{said}"
    );

    let inspected = run(dir.path(), &["inspect", "m.tar.gz"]).ok();
    for part in [
        "model.wasm",
        "modelcell.toml",
        "sub/a",
        "model-fn, input-fn, predict-fn, output-fn",
        "wasi:filesystem/types@0.2.",
        "a fresh cell from a snapshot",
        "it can run here",
    ] {
        assert!(inspected.contains(part), "{part}: {inspected}");
    }

    let ask = |action: &str| run(dir.path(), &["invoke", "m.tar.gz", "--body", action]).ok();
    assert_eq!(
        ask("predict:list /opt/ml/model"),
        "b model.wasm modelcell.toml sub"
    );
    assert_eq!(ask("predict:read /opt/ml/model/sub/a"), "aa");

    // The same files give the same bytes, whenever and from wherever they are packed.
    let first = fs::read(dir.path().join("m.tar.gz")).unwrap();
    let copy = folder();
    for file in ["modelcell.toml", "sub/a", "b"] {
        let to = copy.path().join("data").join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(data.join(file), to).unwrap();
    }
    package(copy.path(), "deep/er/n.tar.gz");
    let second = fs::read(copy.path().join("deep/er/n.tar.gz")).unwrap();
    assert!(first == second);
    // Nothing else is left beside the artifact.
    assert_eq!(
        fs::read_dir(copy.path().join("deep/er")).unwrap().count(),
        1
    );

    let server = Setup::new().artifact("m.tar.gz", &first).start();
    let reply = server.invoke("m.tar.gz", "predict:read /opt/ml/model/b");
    assert_eq!(reply.ok(), "bbb");
}

#[test]
fn package_refuses_what_could_not_run() {
    let dir = folder();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("sound.wasm", &guest("misbehave"));
    write("core.wasm", b"\0asm\x01\0\0\0");
    write("text.wasm", b"no wasm");
    write("hooks.wasm", &with_hooks("", &ALL_HOOKS[..3]));
    write("types.wasm", &with_hooks("", &ALL_HOOKS));
    let import = "(import \"acme:db/db@1.0.0\" (instance (export \"go\" (func))))";
    write("import.wasm", &with_hooks(import, &ALL_HOOKS));
    for name in ["component", "settings", "good"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    write("component/model.wasm", b"another");
    write("settings/modelcell.toml", b"no-such-key = 1");
    let package = |component: &str, more: &[&str]| {
        let args = [
            &["package", "--component", component, "--output", "x.tar.gz"],
            more,
        ]
        .concat();
        run(dir.path(), &args)
    };
    package("none.wasm", &[]).failed(1, &["none.wasm", "No such file"]);
    package("core.wasm", &[]).failed(1, &["core module", "wasm32-wasip2"]);
    package("text.wasm", &[]).failed(1, &["not WebAssembly"]);
    package("hooks.wasm", &[]).failed(1, &["hooks.wasm", "output-fn"]);
    package("types.wasm", &[]).failed(1, &["types.wasm"]);
    package("import.wasm", &[]).failed(1, &["import.wasm", "acme:db/db@1.0.0"]);
    package("sound.wasm", &["--model-dir", "none"]).failed(1, &["none", "No such file"]);
    package("sound.wasm", &["--model-dir", "component"]).failed(1, &["model.wasm"]);
    package("sound.wasm", &["--model-dir", "settings"]).failed(1, &["no-such-key"]);
    assert!(!dir.path().join("x.tar.gz").exists());
    package("sound.wasm", &["--model-dir", "good"]).ok();
    assert!(dir.path().join("x.tar.gz").exists());
    write("file", b"");
    let ended = run(
        dir.path(),
        &[
            "package",
            "--component",
            "sound.wasm",
            "--output",
            "file/x.tar.gz",
        ],
    );
    ended.failed(1, &["file/x.tar.gz"]);
}

#[test]
fn inspect_says_why_something_cannot_run() {
    let dir = folder();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("sockets.wasm", &guest("sockets"));
    let text = run(dir.path(), &["inspect", "sockets.wasm"]).ok();
    let line = text.lines().find(|line| line.contains("wasi:sockets/tcp@"));
    assert!(
        line.is_some_and(|line| line.contains("a call fails")),
        "{text}"
    );

    let import = "(import \"acme:db/db@1.0.0\" (instance (export \"go\" (func))))";
    write("import.wasm", &with_hooks(import, &ALL_HOOKS));
    let ended = run(dir.path(), &["inspect", "import.wasm"]);
    ended.failed(1, &["cannot run", "acme:db/db@1.0.0"]);
    assert!(
        ended.text().contains("acme:db/db@1.0.0  (not offered)"),
        "{}",
        ended.text()
    );

    write("hooks.wasm", &with_hooks("", &ALL_HOOKS[1..]));
    run(dir.path(), &["inspect", "hooks.wasm"]).failed(1, &["cannot run", "model-fn"]);
    write("types.wasm", &with_hooks("", &ALL_HOOKS));
    run(dir.path(), &["inspect", "types.wasm"]).failed(1, &["cannot run"]);
    write("core.wasm", b"\0asm\x01\0\0\0");
    run(dir.path(), &["inspect", "core.wasm"]).failed(1, &["core module"]);
    write("text.tar.gz", b"text");
    run(dir.path(), &["inspect", "text.tar.gz"]).failed(1, &["cannot be read"]);
    write("evil.tar.gz", &Tar::new().file("../x", b"").gz());
    run(dir.path(), &["inspect", "evil.tar.gz"]).failed(1, &[".."]);
    write("data.tar.gz", &Tar::new().file("data", b"").gz());
    run(dir.path(), &["inspect", "data.tar.gz"]).failed(1, &["no model.wasm"]);
    run(dir.path(), &["inspect", "none"]).failed(1, &["none", "No such file"]);

    // An unpacked artifact.
    fs::create_dir(dir.path().join("unpacked")).unwrap();
    write("unpacked/model.wasm", &guest("misbehave"));
    assert!(
        run(dir.path(), &["inspect", "unpacked"])
            .ok()
            .contains("it can run here")
    );
}

#[test]
fn invoke_takes_every_form_of_artifact_and_body() {
    let dir = folder();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("m.tar.gz", misbehave());
    write(
        "m.tar",
        &Tar::new().file("model.wasm", &guest("misbehave")).tar(),
    );
    write("m.wasm", &guest("misbehave"));
    fs::create_dir(dir.path().join("m")).unwrap();
    write("m/model.wasm", &guest("misbehave"));
    for form in ["m.tar.gz", "m.tar", "m.wasm", "m"] {
        let ended = run(dir.path(), &["invoke", form, "--body", "predict:env"]);
        assert_eq!(ended.ok(), "[]", "{form}");
    }
    write("body", b"predict:large 7");
    let from_file = run(dir.path(), &["invoke", "m.tar.gz", "--body", "@body"]);
    assert_eq!(from_file.ok(), "xxxxxxx");

    let mut command = modelcell();
    command
        .env("MODELCELL_CACHE_DIR", shared_cache())
        .current_dir(dir.path());
    command
        .args(["invoke", "m.tar.gz"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"predict:large 5")
        .unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"xxxxx");

    let ended = run(
        dir.path(),
        &[
            "invoke",
            "m.tar.gz",
            "--body",
            "echo",
            "--content-type",
            "text/csv",
            "--accept",
            "image/png",
            "--custom-attributes",
            "mine",
        ],
    );
    let seen: serde_json::Value = serde_json::from_str(&ended.ok()).unwrap();
    assert_eq!(seen["content_type"], "text/csv");
    assert_eq!(seen["accept"], "image/png");
    assert_eq!(seen["custom_attributes"], "mine");
    for part in [
        "application/json",
        "set by the guest",
        "input_fn",
        "predict_fn",
        "output_fn",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let printed = run(
        dir.path(),
        &["invoke", "m.tar.gz", "--body", "predict:print hello you"],
    );
    assert_eq!(printed.ok(), "printed");
    assert!(printed.stderr.contains("hello you"), "{}", printed.stderr);
}

#[test]
fn invoke_says_what_failed() {
    let dir = folder();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("m.tar.gz", misbehave());
    write("load.tar.gz", &misbehave_at_load("failed no weights"));
    write(
        "settings.tar.gz",
        &artifact(&guest("misbehave"), &[("modelcell.toml", b"x = 1")]),
    );
    write(
        "slow.tar.gz",
        &artifact(
            &guest("misbehave"),
            &[("modelcell.toml", b"request-timeout = '1s'")],
        ),
    );
    for (artifact, body, parts) in [
        ("none.tar.gz", "", &["none.tar.gz"][..]),
        ("load.tar.gz", "", &["model_fn", "no weights"]),
        ("settings.tar.gz", "", &["modelcell.toml"]),
        ("m.tar.gz", "@none", &["none", "No such file"]),
        (
            "m.tar.gz",
            "input:invalid no colour",
            &["input_fn", "no colour"],
        ),
        (
            "m.tar.gz",
            "predict:failed no luck",
            &["predict_fn", "no luck"],
        ),
        (
            "m.tar.gz",
            "output:panic no tree",
            &["output_fn", "panicked"],
        ),
        ("slow.tar.gz", "predict:loop", &["predict_fn", "time"]),
    ] {
        let ended = run(
            dir.path(),
            &["--log", "error", "invoke", artifact, "--body", body],
        );
        assert_eq!(ended.code, 1, "{artifact} {body}: {}", ended.stderr);
        assert_eq!(ended.stdout, b"");
        // Log lines may come before; the last line is the command's own.
        let last = ended.stderr.trim_end().lines().last().unwrap().to_owned();
        for part in parts {
            assert!(
                last.starts_with("modelcell: ") && last.contains(part),
                "{part}: {last}"
            );
        }
    }
}

#[test]
fn new_refuses_bad_names_and_taken_paths() {
    let dir = folder();
    let long = "/".to_owned();
    for name in [
        "Upper", "1st", "a b", "a.b", "-a", "_a", "ä", "test", "..", "", "x/..", &long,
    ] {
        let ended = run(dir.path(), &["new", "--", name]);
        assert_ne!(ended.code, 0, "{name}");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::write(dir.path().join("taken"), "mine").unwrap();
    run(dir.path(), &["new", "taken"]).failed(1, &["taken exists already"]);
    assert_eq!(
        fs::read_to_string(dir.path().join("taken")).unwrap(),
        "mine"
    );
    run(dir.path(), &["new", "taken/m"]).failed(1, &["taken/m", "cannot be written"]);
}

/// cargo in the project, with a target directory that outlives the test.
fn cargo(project: &Path, program: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(project)
        .env("CARGO_TARGET_DIR", source().join("target/scaffold"))
        // Those of the cargo that runs this test are about another project.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_BUILD_TARGET");
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?} {args:?}: {stderr}");
    assert!(!stderr.contains("warning:"), "{stderr}");
}

/// What the README promises: it builds, passes its test and answers, at once.
#[test]
fn a_new_model_builds_passes_its_test_and_answers() {
    let dir = folder();
    let said = run(dir.path(), &["new", "deep/my-model"]).ok();
    assert!(
        said.contains("deep/my-model") && said.contains("cargo test"),
        "{said}"
    );
    let project = dir.path().join("deep/my-model");
    for file in [
        "Cargo.toml",
        "src/lib.rs",
        "model/weights.txt",
        "README.md",
        ".gitignore",
        ".cargo/config.toml",
        "modelcell/guest-sdk/Cargo.toml",
        "modelcell/wit/inference.wit",
    ] {
        let text = fs::read_to_string(project.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(
            !text.contains("@NAME@") && !text.contains("@CRATE@"),
            "{file}"
        );
    }
    // The versions that this workspace has, so that nothing needs to be looked up.
    fs::copy(source().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();

    let cargo_path = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    cargo(&project, Path::new(&cargo_path), &["test", "--quiet"]);
    let guest_cargo = source().join("scripts/guest-cargo.sh");
    cargo(&project, &guest_cargo, &["build", "--quiet", "--release"]);

    let component = source().join("target/scaffold/wasm32-wasip2/release/my_model.wasm");
    let args = [
        "package",
        "--component",
        component.to_str().unwrap(),
        "--model-dir",
        "model",
    ];
    run(
        &project,
        &[&args[..], &["--output", "my-model.tar.gz"]].concat(),
    )
    .ok();
    let ended = run(
        &project,
        &[
            "invoke",
            "my-model.tar.gz",
            "--content-type",
            "text/csv",
            "--body",
            "1,2\n3,4\n",
        ],
    );
    assert_eq!(ended.ok(), "[0.5,-0.5]");
}
