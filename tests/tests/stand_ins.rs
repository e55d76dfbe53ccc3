//! The S3 servers and the proxy that other tests rely on do what S3 and bad networks do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;
use std::time::Duration;

use modelcell_tests::proxy::{ANY, Fault, Gate, Proxy};
use modelcell_tests::s3::Bucket;

const CONTENT: &[u8] = &[7; 10_000];

/// A bucket with an object `a/b`.
fn filled(bucket: Bucket) -> Bucket {
    bucket.put("a/b", CONTENT);
    bucket
}

/// Whether it comes through a proxy that does this once.
fn survives(fault: Fault) -> Result<(), String> {
    let bucket = filled(Bucket::new());
    let proxy = Proxy::start(bucket.address());
    proxy.times(1, "GET", "a/b", fault);
    let found = bucket.get(proxy.address(), "a/b", |get| get)?;
    assert_eq!(found.body, CONTENT, "damaged, and nobody noticed");
    Ok(())
}

#[test]
fn conditions_are_kept() {
    for bucket in [Some(Bucket::new()), Bucket::on_moto()]
        .into_iter()
        .flatten()
    {
        let bucket = filled(bucket);
        let address = bucket.address();
        let found = bucket.get(address, "a/b", |get| get).unwrap();
        assert_eq!(found.body, CONTENT);
        let status = |outcome: Result<_, String>| outcome.err();

        let same = bucket.get(address, "a/b", |get| get.if_none_match(&found.etag));
        assert_eq!(status(same), Some("304".into()));
        let same = bucket.get(address, "a/b", |get| {
            get.if_match(&found.etag).range("bytes=9000-")
        });
        assert_eq!(same.unwrap().body.len(), 1_000);

        bucket.put("a/b", b"other");
        let other = bucket.get(address, "a/b", |get| get.if_none_match(&found.etag));
        assert_eq!(other.unwrap().body, b"other");
        let other = bucket.get(address, "a/b", |get| {
            get.if_match(&found.etag).range("bytes=9000-")
        });
        assert_eq!(status(other), Some("PreconditionFailed".into()));

        bucket.delete("a/b");
        let gone = bucket.get(address, "a/b", |get| get);
        assert_eq!(status(gone), Some("NoSuchKey".into()));
        let gone = bucket.get(address, "a/b", |get| get.bucket("none-such"));
        assert_eq!(status(gone), Some("NoSuchBucket".into()));
    }
}

#[test]
fn what_goes_wrong_is_what_was_told() {
    // The SDK tries again where there was no answer.
    for passes in [
        Fault::HangUp,
        Fault::internal_error(),
        Fault::slow_down(),
        Fault::Drip(5_000, Duration::from_millis(10)),
    ] {
        assert_eq!(survives(passes), Ok(()));
    }
    let denied = Fault::answer(403, "AccessDenied", "Access Denied");
    assert_eq!(survives(denied), Err("AccessDenied".into()));
    for damage in [
        Fault::Cut(5_000),
        Fault::Corrupt(9_999),
        Fault::Length(9_999),
        Fault::Length(10_001),
    ] {
        assert_eq!(survives(damage), Err(String::new()));
    }
}

#[test]
fn the_proxy_counts_and_waits_and_comes_back() {
    let bucket = filled(Bucket::new());
    let mut proxy = Proxy::start(bucket.address());
    let gate = Gate::new();
    proxy.always("GET", "a/b", Fault::Pause(4_000, gate.clone()));
    let get = |proxy: &Proxy| bucket.get(proxy.address(), "a/b", |get| get);
    thread::scope(|scope| {
        let request = scope.spawn(|| get(&proxy).unwrap().body);
        gate.reached();
        let seen = proxy.seen("GET", "a/b");
        let so_far: Vec<_> = seen.iter().map(|one| (one.status, one.body)).collect();
        assert_eq!(so_far, [(200, 4_000)]);
        gate.open();
        assert_eq!(request.join().unwrap(), CONTENT);
    });
    assert_eq!(proxy.seen(ANY, "a/b").len(), 1);
    assert_eq!(proxy.seen(ANY, "other").len(), 0);

    proxy.go_away();
    assert!(get(&proxy).is_err());
    proxy.come_back();
    assert_eq!(get(&proxy).unwrap().body, CONTENT);
    assert_eq!(proxy.seen("GET", "a/b").len(), 2);
}
