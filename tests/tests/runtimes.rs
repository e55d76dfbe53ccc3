//! Artifacts without code: which runtime serves them, and what it is told. The runtimes here do as they
//! are told; what the real ones answer is tested in `xgboost.rs` and its neighbours.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use modelcell_tests::artifact::{Tar, artifact, guest, misbehave};
use modelcell_tests::command::{Ended, modelcell, shared_cache};
use modelcell_tests::manage::until_frozen;
use modelcell_tests::{Setup, eventually};
use tempfile::TempDir;

/// A folder with `misbehave` as each of these runtimes.
fn runtimes(names: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for name in names {
        let component = guest("misbehave");
        fs::write(dir.path().join(format!("{name}.wasm")), component).unwrap();
    }
    dir
}

fn with_runtimes(dir: &TempDir) -> Setup {
    Setup::new()
        .flags(&["--runtimes", dir.path().to_str().unwrap()])
        .secret(dir.path().to_str().unwrap())
}

/// An artifact of data files alone.
fn data(files: &[(&str, &str)]) -> Vec<u8> {
    let tar = files.iter().fold(Tar::new(), |tar, (name, content)| {
        tar.file(name, content.as_bytes())
    });
    tar.gz()
}

#[test]
fn the_settings_or_the_files_choose_the_runtime() {
    let dir = runtimes(&["mine", "onnx", "lightgbm", "xgboost"]);
    let server = with_runtimes(&dir).start();
    for (name, files, runtime, why) in [
        (
            "named",
            &[("modelcell.toml", "runtime = 'mine'")][..],
            "mine",
            "modelcell.toml names it",
        ),
        (
            "named-against-files",
            &[
                ("modelcell.toml", "runtime = 'mine'"),
                ("model.onnx", "x"),
                ("model.ubj", "x"),
            ],
            "mine",
            "modelcell.toml names it",
        ),
        ("onnx", &[("net.onnx", "x")], "onnx", "net.onnx"),
        (
            "lightgbm",
            &[("model.txt", "tree\nversion=v4\n")],
            "lightgbm",
            "model.txt",
        ),
        (
            "xgboost",
            &[
                ("features.json", "[]"),
                ("xgboost-model", "{\"learner\":{}}"),
            ],
            "xgboost",
            "xgboost-model",
        ),
    ] {
        let name = format!("{name}.tar.gz");
        server.add(&name, data(files));
        assert_eq!(server.invoke(&name, "").ok(), "ok");
        assert_eq!(
            server.get(&format!("/models/{name}")).json()["runtime"],
            runtime
        );
        let log = server.log().wait_for(&["carries data only", &name]);
        assert!(log.contains(runtime) && log.contains(why), "{log}");
    }
}

#[test]
fn an_artifacts_own_code_always_wins() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("xgboost.wasm"), b"not even a component").unwrap();
    let files: [(&str, &[u8]); 2] = [
        ("modelcell.toml", b"runtime = 'xgboost'"),
        ("xgboost-model", b"{\"learner\":{}}"),
    ];
    let server = with_runtimes(&dir)
        .artifact("own.tar.gz", artifact(&guest("misbehave"), &files))
        .start();
    assert_eq!(server.invoke("own.tar.gz", "").ok(), "ok");
    let described = server.get("/models/own.tar.gz").json();
    assert!(described.get("runtime").is_none(), "{described}");
    server.log().wait_for(&["model.wasm serves it", "xgboost"]);
}

#[test]
fn what_no_runtime_serves_is_refused_with_advice() {
    let dir = runtimes(&["onnx", "mine"]);
    let server = with_runtimes(&dir)
        .artifact("good.tar.gz", misbehave())
        .start();
    let toml = "modelcell.toml";
    for (files, parts) in [
        (&[("a.csv", "1,2")][..], &["no model.wasm", "ONNX"][..]),
        (&[("model.pkl", "x")], &["model.pkl", "skl2onnx"]),
        (
            &[("a.onnx", ""), ("b", "tree\nversion=v4")],
            &["a.onnx for onnx", "b for lightgbm", "runtime = "],
        ),
        (
            &[("b.ubj", "")],
            &[
                "the runtime xgboost",
                "b.ubj",
                "it has mine, onnx",
                "--runtimes",
            ],
        ),
        (&[(toml, "runtime = 'other'")], &["the runtime other"]),
        (&[(toml, "runtime = '../mine'")], &["lower-case"]),
        (
            &[("sub/model.onnx", "")],
            &["a model in sub/", "tar -C sub"],
        ),
        (
            &[(toml, "[environment]\n\"A=B\" = '1'")],
            &["environment", "A=B"],
        ),
    ] {
        server.add("bad.tar.gz", data(files));
        let reply = server.invoke("bad.tar.gz", "");
        reply.error(400, "InvalidModelException", parts);
    }
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
}

#[test]
fn without_runtimes_that_is_what_it_says() {
    let dir = TempDir::new().unwrap();
    let server = with_runtimes(&dir)
        .artifact("a.tar.gz", data(&[("model.onnx", "")]))
        .start();
    let reply = server.invoke("a.tar.gz", "");
    reply.error(400, "InvalidModelException", &["the runtime onnx", "none"]);
    // An operator who puts it there needs no restart.
    fs::write(dir.path().join("onnx.wasm"), guest("misbehave")).unwrap();
    server.add("b.tar.gz", data(&[("model.onnx", "")]));
    assert_eq!(server.invoke("b.tar.gz", "").ok(), "ok");
}

#[test]
fn models_of_a_runtime_share_its_code_and_nothing_else() {
    let dir = runtimes(&["mine"]);
    let server = with_runtimes(&dir).start();
    let toml = ("modelcell.toml", "runtime = 'mine'");
    for number in 0..5 {
        let content = format!("number {number}");
        let name = format!("{number}.tar.gz");
        server.add(&name, data(&[toml, ("data", &content)]));
        server.invoke(&name, "predict:remember x").ok();
    }
    for number in 0..5 {
        let name = format!("{number}.tar.gz");
        until_frozen(&server, &name);
        let read = server.invoke(&name, "predict:read /opt/ml/model/data");
        assert_eq!(read.ok(), format!("number {number}"));
        let left = server.invoke(&name, "predict:recall").ok();
        assert_eq!(left, "static= heap= thread= environment=");
    }
    let shared = || server.get("/models/0.tar.gz").json()["codeSharedBy"].clone();
    eventually("all share one copy of the code", || shared() == 5);
}

#[test]
fn a_runtime_that_is_replaced_serves_the_next_models() {
    let dir = runtimes(&["mine"]);
    let server = with_runtimes(&dir).start();
    let files = [("modelcell.toml", "runtime = 'mine'")];
    server.add("a.tar.gz", data(&files));
    assert_eq!(server.invoke("a.tar.gz", "").ok(), "ok");
    let new = dir.path().join("new");
    fs::write(&new, b"\0asm\x01\0\0\0").unwrap();
    fs::rename(&new, dir.path().join("mine.wasm")).unwrap();
    server.add("b.tar.gz", data(&files));
    let reply = server.invoke("b.tar.gz", "");
    // Whose fault it is not, is the model's author.
    reply.error(
        500,
        "InternalServerException",
        &["the runtime mine", "core module"],
    );
    assert_eq!(server.invoke("a.tar.gz", "").ok(), "ok");
}

#[test]
fn code_sees_the_variables_that_are_meant_for_it() {
    let dir = runtimes(&["mine"]);
    let set = "[environment]\nMINE = 'a b'\n";
    let both = format!("runtime = 'mine'\n{set}SAGEMAKER_BATCH = 'false'");
    let server = with_runtimes(&dir)
        .env("SAGEMAKER_BATCH", "true")
        .env("SAGEMAKER_INFERENCE_OUTPUT", "labels")
        .env("AWS_REGION", "us-east-1")
        .artifact("plain.tar.gz", misbehave())
        .artifact(
            "own.tar.gz",
            artifact(&guest("misbehave"), &[("modelcell.toml", set.as_bytes())]),
        )
        .artifact(
            "runtime.tar.gz",
            data(&[("modelcell.toml", "runtime = 'mine'")]),
        )
        .artifact("both.tar.gz", data(&[("modelcell.toml", &both)]))
        .start();
    for (model, expected) in [
        ("plain.tar.gz", "[]"),
        ("own.tar.gz", r#"[("MINE", "a b")]"#),
        (
            "runtime.tar.gz",
            r#"[("SAGEMAKER_BATCH", "true"), ("SAGEMAKER_INFERENCE_OUTPUT", "labels")]"#,
        ),
        (
            "both.tar.gz",
            r#"[("MINE", "a b"), ("SAGEMAKER_BATCH", "false"), ("SAGEMAKER_INFERENCE_OUTPUT", "labels")]"#,
        ),
    ] {
        // Before there is a snapshot, and from it.
        assert_eq!(server.invoke(model, "predict:env").ok(), expected);
        until_frozen(&server, model);
        assert_eq!(server.invoke(model, "predict:env").ok(), expected);
    }
}

/// A snapshot of what `model_fn` made of other variables would be the wrong model.
#[test]
fn other_variables_make_another_snapshot() {
    let dir = runtimes(&["mine"]);
    let cache = TempDir::new().unwrap();
    let files = [
        ("modelcell.toml", "runtime = 'mine'"),
        ("behaviour", "print read me"),
    ];
    let artifact = data(&files);
    for (batch, loads) in [("true", 1), ("false", 1), ("true", 0)] {
        let server = with_runtimes(&dir)
            .cache(cache.path())
            .env("SAGEMAKER_BATCH", batch)
            .artifact("m.tar.gz", &artifact)
            .start();
        server.invoke("m.tar.gz", "").ok();
        until_frozen(&server, "m.tar.gz");
        let printed = server.log().lines_with(&["output", "read me"]).len();
        assert!(
            printed >= loads && (loads > 0 || printed == 0),
            "{batch}: {printed}"
        );
        // It is kept with the snapshot.
        let described = server.get("/models/m.tar.gz").json();
        assert_eq!(described["description"], "read me");
        // Written beside the requests.
        let kept = || {
            fs::read_dir(cache.path().join("snapshots"))
                .unwrap()
                .count()
                > 0
        };
        eventually("the snapshot is kept", kept);
    }
}

fn run(dir: &Path, runtimes: &TempDir, args: &[&str]) -> Ended {
    let mut command = modelcell();
    command
        .env("MODELCELL_CACHE_DIR", shared_cache())
        .env("MODELCELL_RUNTIMES", runtimes.path())
        .env("MODELCELL_LOG", "warn")
        .current_dir(dir)
        .args(args);
    Ended::of(&mut command)
}

#[test]
fn the_commands_know_runtimes() {
    let runtimes = runtimes(&["onnx"]);
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    let package = ["package", "--model-dir", "model", "-o", "m.tar.gz"];
    run(dir.path(), &runtimes, &package).failed(1, &["no model.wasm", "ONNX"]);
    run(dir.path(), &runtimes, &["package", "-o", "m.tar.gz"]).failed(2, &["--component"]);
    fs::write(model.join("model.onnx"), b"").unwrap();
    fs::write(model.join("behaviour"), b"print a net of 7 layers").unwrap();
    let packed = run(dir.path(), &runtimes, &package);
    assert!(packed.ok().contains("2 files"), "{}", packed.text());
    for form in ["model", "m.tar.gz"] {
        let said = run(dir.path(), &runtimes, &["inspect", form]).ok();
        for part in [
            "onnx (model.onnx: its name ends in .onnx)",
            "a net of 7 layers",
            "it can run here",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let ask = ["invoke", form, "--body", "predict:ok"];
        assert_eq!(run(dir.path(), &runtimes, &ask).ok(), "ok");
    }
    fs::write(model.join("behaviour"), b"invalid layer 3 is too wide").unwrap();
    run(dir.path(), &runtimes, &["inspect", "model"]).failed(1, &["layer 3 is too wide"]);
}
