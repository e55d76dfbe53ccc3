//! A repository in S3: what the cache directory saves, what an outage does, what the operator hears.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use modelcell_tests::artifact::{Tar, guest, misbehave};
use modelcell_tests::manage::names;
use modelcell_tests::proxy::{ANY, Fault, Gate, Proxy};
use modelcell_tests::version::{ask, version};
use modelcell_tests::{Server, Store, bytes_in, eventually};

/// A bucket with one model, and a proxy before it.
fn one_model() -> (Store, Proxy) {
    let store = Store::s3();
    store.put("m.tar.gz", version("one"));
    let proxy = store.proxy();
    (store, proxy)
}

/// Something that happens to a file.
type Damage = fn(&Path);

/// Asks the server to stop, which it must do well.
fn stop(mut server: Server) {
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

/// The files of the artifacts that a cache directory holds.
fn cached(cache: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(cache.join("artifacts")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// Bytes of bodies that came for objects whose key ends so.
fn downloaded(proxy: &Proxy, key: &str) -> usize {
    proxy.seen("GET", key).iter().map(|seen| seen.body).sum()
}

#[test]
fn a_restart_asks_and_does_not_download_again() {
    let (store, proxy) = one_model();
    let server = store.setup_through(&proxy).start();
    assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
    assert_eq!(downloaded(&proxy, "m.tar.gz"), version("one").len());
    stop(server);

    proxy.forget();
    let server = store.setup_through(&proxy).start();
    assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
    assert_eq!(downloaded(&proxy, "m.tar.gz"), 0);
    let seen = proxy.seen(ANY, "m.tar.gz");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].status, 304);
    assert!(seen[0].if_none_match.is_some());
    stop(server);

    // What has changed meanwhile is noticed.
    store.put("m.tar.gz", version("two"));
    let server = store.setup_through(&proxy).start();
    assert_eq!(ask(&server, "m.tar.gz").ok(), "two");
}

#[test]
fn a_damaged_cache_is_noticed_and_fetched_anew() {
    let (store, proxy) = one_model();
    let damages: [(&str, Damage); 4] = [
        ("half of each file", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("no bytes", |file| fs::write(file, "").unwrap()),
        ("another bit", |file| {
            let mut bytes = fs::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("one file of them", |file| {
            if file.extension().is_some_and(|ending| ending == "artifact") {
                fs::remove_file(file).unwrap();
            }
        }),
    ];
    for (what, damage) in damages {
        let server = store.setup_through(&proxy).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
        server.kill();
        let files = cached(store.cache());
        assert!(!files.is_empty());
        files.iter().for_each(|file| damage(file));

        proxy.forget();
        let server = store.setup_through(&proxy).start();
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one", "{what}");
        assert_eq!(
            downloaded(&proxy, "m.tar.gz"),
            version("one").len(),
            "{what}"
        );
        stop(server);
    }
}

#[test]
fn a_crash_during_a_download_leaves_nothing_that_counts() {
    let store = Store::s3();
    let large = Tar::new()
        .file("model.wasm", &guest("misbehave"))
        .file("data", &vec![0; 4 << 20]);
    store.put("large.tar", large.tar());
    let proxy = store.proxy();
    proxy.times(1, "GET", "large.tar", Fault::Pause(3 << 20, Gate::new()));
    let server = store.setup_through(&proxy).start();
    let client = server.client().clone();
    let request = thread::spawn(move || client.invocation("large.tar", "").try_send());
    let runs = store.cache().join("run");
    eventually("half of it is on disk", || bytes_in(&runs) > 1 << 20);
    server.kill();
    assert!(request.join().unwrap().is_err());
    assert_eq!(cached(store.cache()), Vec::<PathBuf>::new());

    let server = store.setup_through(&proxy).start();
    assert!(bytes_in(&runs) < 1 << 20, "the next start cleans up");
    assert_eq!(server.invoke("large.tar", "").ok(), "ok");
}

#[test]
fn a_loaded_model_outlives_s3_and_a_cold_one_may_come_later() {
    let (store, mut proxy) = one_model();
    store.put("cold.tar.gz", version("cold"));
    let server = store
        .setup_through(&proxy)
        .flags(&["--revalidate-after", "1s"])
        .start();
    assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
    proxy.go_away();
    let reply = ask(&server, "cold.tar.gz");
    reply.error(503, "ServiceUnavailableException", &["does not answer"]);
    assert!(reply.header("retry-after").is_some());
    // Past the time after which the repository should have been asked.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
    }
    assert_eq!(names(&server.get("/models").json()), ["m.tar.gz"]);

    proxy.come_back();
    assert_eq!(ask(&server, "cold.tar.gz").ok(), "cold");
    store.put("m.tar.gz", version("two"));
    eventually("the new version answers", || {
        ask(&server, "m.tar.gz").ok() == "two"
    });
}

#[test]
fn what_the_operator_has_to_mend_is_said() {
    let (store, _) = one_model();
    let cases = [
        (
            store.setup().env("AWS_SECRET_ACCESS_KEY", "wrong"),
            "secret access key",
        ),
        (
            store.setup_of("s3://no-such-bucket/"),
            "bucket does not exist",
        ),
    ];
    for (setup, part) in cases {
        let server = setup.start();
        ask(&server, "m.tar.gz").error(502, "BadGatewayException", &[part]);
        server.log().wait_for(&["m.tar.gz", part]);
        // It is the repository that is wrong, not the server.
        assert_eq!(server.get("/ping").ok(), "");
    }
}

#[test]
fn nothing_outside_of_the_prefix_is_an_artifact() {
    for store in [Some(Store::s3()), Store::moto()].into_iter().flatten() {
        let bucket = store.bucket();
        store.put("m.tar.gz", version("one"));
        bucket.put("m2.tar.gz", misbehave());
        bucket.put("tenants/models-old/m.tar.gz", misbehave());
        // What S3's console puts in the place of a folder.
        bucket.put("tenants/models/", b"");
        bucket.put("tenants/models/folder/", b"");
        let server = store.setup().start();
        for name in ["m2.tar.gz", "tenants/models/m.tar.gz", "folder/m.tar.gz"] {
            ask(&server, name).error(404, "ModelNotFoundException", &[name]);
        }
        for name in ["../m2.tar.gz", "folder/", ""] {
            ask(&server, name).error(400, "BadRequestException", &[]);
        }
        let list = server.get("/models?scope=repository").json();
        assert_eq!(names(&list), ["m.tar.gz"]);
    }
}

#[test]
fn what_was_uploaded_in_parts_is_read() {
    let large = Tar::new()
        .file("model.wasm", &guest("misbehave"))
        .file("data", &vec![7; 11 << 20])
        .tar();
    for store in [Some(Store::s3()), Store::moto()].into_iter().flatten() {
        store.bucket().put_in_parts("tenants/models/m.tar", &large);
        let proxy = store.proxy();
        proxy.times(1, "GET", "m.tar", Fault::Cut(7 << 20));
        let server = store.setup_through(&proxy).start();
        assert_eq!(server.invoke("m.tar", "").ok(), "ok");
        assert_eq!(downloaded(&proxy, "m.tar"), large.len());
    }
}

#[test]
fn many_requests_for_a_cold_model_download_it_once() {
    const CLIENTS: usize = 200;
    let (store, proxy) = one_model();
    let gate = Gate::new();
    proxy.always("GET", "m.tar.gz", Fault::Pause(1_000, gate.clone()));
    let server = store
        .setup_through(&proxy)
        .flags(&["--cells-per-model", "200"])
        .start();
    thread::scope(|scope| {
        let ask_often = || (0..5).for_each(|_| assert_eq!(ask(&server, "m.tar.gz").ok(), "one"));
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask_often)).collect();
        gate.reached();
        gate.open();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
    });
    let seen = proxy.seen("GET", "m.tar.gz");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].body, version("one").len());
}

#[test]
fn a_slow_download_holds_up_no_other() {
    let (store, proxy) = one_model();
    let others: Vec<String> = (0..6).map(|number| format!("m{number}.tar.gz")).collect();
    for name in &others {
        store.put(name, version(name));
    }
    let gate = Gate::new();
    proxy.always("GET", "/m.tar.gz", Fault::Pause(1_000, gate.clone()));
    let server = store
        .setup_through(&proxy)
        .flags(&["--downloads", "2"])
        .start();
    thread::scope(|scope| {
        let slow = scope.spawn(|| ask(&server, "m.tar.gz").ok());
        gate.reached();
        let ask_one = |name| assert_eq!(&ask(&server, name).ok(), name);
        let clients: Vec<_> = others
            .iter()
            .map(|name| scope.spawn(move || ask_one(name)))
            .collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        assert!(!slow.is_finished());
        gate.open();
        assert_eq!(slow.join().unwrap(), "one");
    });
}

#[test]
fn no_more_downloads_than_allowed_go_on_at_a_time() {
    let (store, proxy) = one_model();
    store.put("next.tar.gz", version("next"));
    let gate = Gate::new();
    proxy.always("GET", "/m.tar.gz", Fault::Pause(1_000, gate.clone()));
    let server = store
        .setup_through(&proxy)
        .flags(&["--downloads", "1"])
        .start();
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(&server, "m.tar.gz").ok());
        gate.reached();
        let second = scope.spawn(|| ask(&server, "next.tar.gz").ok());
        eventually("it waits for its turn", || {
            let next = server.get("/models/next.tar.gz");
            next.status == 200 && next.json()["stage"] == "waiting"
        });
        assert_eq!(downloaded(&proxy, "next.tar.gz"), 0);
        gate.open();
        assert_eq!(first.join().unwrap(), "one");
        assert_eq!(second.join().unwrap(), "next");
    });
}

#[test]
fn a_download_shows_how_far_it_is() {
    let (store, proxy) = one_model();
    let gate = Gate::new();
    proxy.always("GET", "m.tar.gz", Fault::Pause(50_000, gate.clone()));
    let server = store.setup_through(&proxy).start();
    thread::scope(|scope| {
        let request = scope.spawn(|| ask(&server, "m.tar.gz").ok());
        gate.reached();
        eventually("half of it has come", || {
            server.get("/models/m.tar.gz").json()["downloadedBytes"] == 50_000
        });
        let model = server.get("/models/m.tar.gz").json();
        assert_eq!(model["modelName"], "m.tar.gz");
        assert_eq!(model["status"], "loading");
        assert_eq!(model["stage"], "downloading");
        assert_eq!(model["totalBytes"], version("one").len());
        gate.open();
        assert_eq!(request.join().unwrap(), "one");
        let model = server.get("/models/m.tar.gz").json();
        assert_ne!(model["status"], "loading");
    });
}

#[test]
fn what_does_not_fit_into_the_disk_budget_is_refused_with_both_numbers() {
    let (store, _) = one_model();
    let large = Tar::new()
        .file("model.wasm", &guest("misbehave"))
        .file("data", &vec![0; 20 << 20]);
    store.put("large.tar", large.tar());
    let server = store.setup().flags(&["--disk-budget", "16MiB"]).start();
    let parts = ["at least 20.", "16.0 MiB", "--disk-budget"];
    ask(&server, "large.tar").error(507, "InsufficientStorage", &parts);
    assert_eq!(cached(store.cache()), Vec::<PathBuf>::new());
    assert_eq!(ask(&server, "m.tar.gz").ok(), "one");
}
