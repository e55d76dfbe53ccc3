//! Components that cannot run here, and what cells offer to those that can.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::fs::symlink;

use modelcell_tests::artifact::{artifact, guest, guest_file, misbehave};
use modelcell_tests::component::{ALL_HOOKS, component, with_hooks};
use modelcell_tests::{Server, Setup};
use serde_json::json;

/// A server with a good model, to see that bad ones leave it alone.
fn server() -> Server {
    Setup::new().artifact("good.tar.gz", misbehave()).start()
}

/// Loads an artifact of this component, which must be refused, and says why it was.
#[track_caller]
fn refused(server: &Server, component: &[u8], parts: &[&str]) -> String {
    server.add("bad.tar.gz", artifact(component, &[]));
    let reply = server.invoke("bad.tar.gz", "");
    let message = reply.error(400, "InvalidModelException", parts);
    assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    assert_eq!(server.get("/models/bad.tar.gz").status, 404);
    message
}

#[test]
fn a_component_that_lacks_a_hook_is_refused() {
    let server = server();
    let message = refused(
        &server,
        &with_hooks("", &["model-fn", "input-fn", "output-fn"]),
        &["predict-fn", "modelcell:inference/hooks@0.2.0"],
    );
    // The second reason names the others: those of the hand-written component have no real types.
    let (missing, _) = message.split_once("; ").unwrap();
    assert!(!missing.contains("input-fn"), "{message}");
    let none = component("(component)");
    refused(
        &server,
        &none,
        &["model-fn, input-fn, predict-fn, output-fn"],
    );
}

#[test]
fn hooks_of_another_type_are_refused() {
    let server = server();
    refused(
        &server,
        &with_hooks("", &ALL_HOOKS),
        &["exports with other types", "predict-fn"],
    );
}

#[test]
fn a_core_module_is_refused() {
    let server = server();
    refused(
        &server,
        b"\0asm\x01\0\0\0",
        &["core module", "wasm32-wasip2"],
    );
}

#[test]
fn what_is_not_webassembly_is_refused() {
    let server = server();
    refused(&server, b"", &["not WebAssembly"]);
    refused(&server, b"\x7fELF\x02\x01\x01\0", &["not WebAssembly"]);
    refused(&server, b"(component)", &["not WebAssembly", "binary"]);
    refused(&server, b"\0asm\x99\0\x01\0", &["version"]);
}

#[test]
fn damaged_components_are_refused() {
    let server = server();
    let sound = guest("misbehave");
    for length in [8, 9, 100, sound.len() / 2, sound.len() - 1] {
        refused(&server, &sound[..length], &["component"]);
    }
    // In the middle of the code, where a flipped bit may well be valid: it must then still not harm
    // the host.
    for position in [12, 1000, sound.len() / 3, sound.len() / 2] {
        let mut damaged = sound.clone();
        damaged[position] ^= 0x55;
        server.add("bad.tar.gz", artifact(&damaged, &[]));
        let status = server.invoke("bad.tar.gz", "").status;
        assert!([200, 400, 500].contains(&status), "{position}: {status}");
        server.call("DELETE", "/models/bad.tar.gz").send();
        assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    }
    let mut damaged = sound.clone();
    damaged[12] ^= 0x55;
    refused(&server, &damaged, &["not valid"]);
}

#[test]
fn imports_that_no_release_of_wasi_has_are_named() {
    let server = server();
    for import in [
        "wasi:teleport/beam@0.2.0",
        "wasi:cli/stdout@0.9.0",
        "wasi:sockets/teleport@0.2.3",
        "acme:private/database@1.0.0",
    ] {
        let import_text = format!("(import \"{import}\" (instance (export \"go\" (func))))");
        refused(
            &server,
            &with_hooks(&import_text, &ALL_HOOKS),
            &[import, "does not offer"],
        );
    }
    let function = "(import \"beam\" (func))";
    refused(
        &server,
        &with_hooks(function, &ALL_HOOKS),
        &["beam", "does not offer"],
    );
}

/// A component may be sound in itself and still ask for more than there is of a known interface.
#[test]
fn unknown_functions_of_known_interfaces_are_refused() {
    let server = server();
    let import = "(import \"wasi:random/random@0.2.0\" (instance (export \"roll-dice\" (func))))";
    refused(&server, &with_hooks(import, &ALL_HOOKS), &["component"]);
}

#[test]
fn sockets_may_be_imported_but_not_called() {
    let sockets = artifact(&guest("sockets"), &[]);
    let server = Setup::new()
        .artifact("s.tar.gz", sockets)
        .artifact("good.tar.gz", misbehave())
        .start();
    assert_eq!(server.invoke("s.tar.gz", "").ok(), "no network used");
    let port = server.address().port();
    for call in [
        format!("connect 127.0.0.1:{port}"),
        "bind 127.0.0.1:0".to_owned(),
        "resolve localhost".to_owned(),
    ] {
        let reply = server.invoke("s.tar.gz", &call);
        reply.error(
            500,
            "ModelError",
            &["predict_fn", "wasi:sockets", "no cell offers"],
        );
        assert_eq!(server.invoke("s.tar.gz", "").ok(), "no network used");
        assert_eq!(server.invoke("good.tar.gz", "").ok(), "ok");
    }
}

#[test]
fn a_model_sees_its_own_files_and_nothing_else() {
    let files: [(&str, &[u8]); 2] = [("data.txt", b"secret of m"), ("sub/more.txt", b"more")];
    let server = Setup::new()
        .artifact("m.tar.gz", artifact(&guest("misbehave"), &files))
        .artifact("other.tar.gz", misbehave())
        .start();
    let ask = |action: &str| server.invoke("m.tar.gz", &format!("predict:{action}")).ok();
    assert_eq!(ask("list /opt/ml/model"), "data.txt model.wasm sub");
    assert_eq!(ask("read /opt/ml/model/data.txt"), "secret of m");
    assert_eq!(ask("read /opt/ml/model/sub/more.txt"), "more");
    let repository = server.repository().display().to_string();
    for action in [
        "list /",
        "list /opt",
        "list .",
        "read /etc/passwd",
        "read /opt/ml/model/../../../etc/passwd",
        "read /opt/ml/model/../other",
        "list /opt/ml/model/..",
        "read /proc/self/environ",
        &format!("list {repository}"),
        &format!("read {repository}/other.tar.gz"),
    ] {
        let answer = ask(action);
        assert!(answer.starts_with("error: "), "{action}: {answer}");
    }
    let other = server.invoke("other.tar.gz", "predict:list /opt/ml/model");
    assert_eq!(other.ok(), "model.wasm");
}

#[test]
fn the_model_directory_is_read_only() {
    let server = Setup::new()
        .artifact("m.tar.gz", artifact(&guest("misbehave"), &[("data", b"1")]))
        .start();
    let ask = |action: &str| server.invoke("m.tar.gz", &format!("predict:{action}")).ok();
    for action in [
        "write /opt/ml/model/new",
        "write /opt/ml/model/data",
        "write /tmp/new",
        "make-dir /opt/ml/model/dir",
        "remove /opt/ml/model/data",
        "rename /opt/ml/model/data",
    ] {
        let answer = ask(action);
        assert!(answer.starts_with("error: "), "{action}: {answer}");
    }
    assert_eq!(ask("list /opt/ml/model"), "data model.wasm");
    assert_eq!(ask("read /opt/ml/model/data"), "1");
}

/// An unpacked directory may hold links, which an archive cannot.
#[test]
fn links_out_of_an_unpacked_directory_are_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("m");
    fs::create_dir(&dir).unwrap();
    fs::copy(guest_file("misbehave"), dir.join("model.wasm")).unwrap();
    fs::write(dir.join("data"), "inside").unwrap();
    fs::write(root.path().join("outside"), "outside").unwrap();
    symlink("/etc/passwd", dir.join("absolute")).unwrap();
    symlink("../outside", dir.join("relative")).unwrap();
    symlink("..", dir.join("up")).unwrap();
    symlink("data", dir.join("inside")).unwrap();
    let flag = root.path().display().to_string();
    let server = Setup::new().flags(&["--model-root", &flag]).start();
    server.load(&json!({"model_name": "m", "url": dir})).ok();
    let ask = |path: &str| {
        let action = format!("predict:read /opt/ml/model/{path}");
        let call = server.call("POST", "/models/m/invoke");
        call.body(action).send().ok()
    };
    assert_eq!(ask("inside"), "inside");
    for path in ["absolute", "relative", "up/outside"] {
        let answer = ask(path);
        assert!(answer.starts_with("error: "), "{path}: {answer}");
    }
}

#[test]
fn environment_arguments_and_stdin_are_empty() {
    let server = Setup::new()
        .artifact("m.tar.gz", misbehave())
        .env("AWS_SECRET_ACCESS_KEY", "very secret")
        .start();
    let ask = |action: &str| server.invoke("m.tar.gz", &format!("predict:{action}")).ok();
    assert_eq!(ask("env"), "[]");
    assert_eq!(ask("args"), "[]");
    assert_eq!(ask("stdin"), "\"\"");
}
