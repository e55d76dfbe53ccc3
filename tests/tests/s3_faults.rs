//! What goes wrong between the server and S3: nothing of it may reach a model, and callers hear
//! whether to come again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;
use std::time::{Duration, Instant};

use modelcell_tests::manage::names;
use modelcell_tests::proxy::{ANY, Fault, Gate, Proxy};
use modelcell_tests::version::{ask, both_ends, version, version_at_both_ends};
use modelcell_tests::{Server, Setup, Store, bytes_in, eventually};

/// An artifact that has nothing of its own to tell damaged bytes by.
const PLAIN: &str = "m.tar";

/// A server with a proxy between it and a bucket with one model.
struct Bench {
    store: Store,
    proxy: Proxy,
    server: Server,
}

impl Bench {
    fn new(flags: &[&str]) -> Self {
        let store = Store::s3();
        store.put(PLAIN, version_at_both_ends("one"));
        let proxy = store.proxy();
        compile(&store);
        let server = store.setup_through(&proxy).flags(flags).start();
        Self {
            store,
            proxy,
            server,
        }
    }

    /// Meets a fault that does not end, which must be answered so and leave nothing, and then loads
    /// the model without it.
    fn fails(&self, fault: Fault, status: u16, kind: &str, parts: &[&str]) {
        self.proxy.always(ANY, PLAIN, fault);
        let reply = ask(&self.server, PLAIN);
        reply.error(status, kind, parts);
        let comes_again = reply.header("retry-after").is_some();
        assert_eq!(comes_again, status == 503, "whether to come again");
        self.nothing_is_left();
        self.proxy.heal();
        self.recovers();
    }

    /// Answers again, once what went wrong is forgotten.
    fn recovers(&self) {
        eventually("the model answers again", || {
            ask(&self.server, PLAIN).status == 200
        });
        self.answers();
    }

    fn answers(&self) {
        assert_eq!(both_ends(&self.server, PLAIN), ["one", "one"]);
    }

    /// Nothing of a download that failed.
    fn nothing_is_left(&self) {
        eventually("the download's files are gone", || {
            let cache = self.store.cache();
            bytes_in(&cache.join("artifacts")) + bytes_in(&cache.join("run")) == 0
        });
    }
}

/// Compiles the model beforehand, so that time limits are those of the download, however busy the
/// machine is.
fn compile(store: &Store) {
    let setup = Setup::new().artifact(PLAIN, version_at_both_ends("zero"));
    let server = setup.cache(store.cache()).start();
    assert_eq!(ask(&server, PLAIN).ok(), "zero");
}

#[test]
fn what_s3_denies_is_said_with_the_permission_that_is_missing() {
    let denied = Fault::answer(403, "AccessDenied", "Access Denied");
    let parts = ["m.tar", "s3:GetObject"];
    Bench::new(&[]).fails(denied, 403, "AccessDeniedException", &parts);
}

#[test]
fn what_the_operator_has_to_mend_is_said() {
    for (status, code, part) in [
        (403, "RequestTimeTooSkewed", "clock"),
        (403, "InvalidAccessKeyId", "credentials"),
        (400, "ExpiredToken", "credentials have expired"),
        (301, "PermanentRedirect", "region"),
        (403, "InvalidObjectState", "restore"),
    ] {
        let fault = Fault::answer(status, code, "What S3 says of it.");
        Bench::new(&[]).fails(fault, 502, "BadGatewayException", &[part]);
    }
}

#[test]
fn a_list_that_s3_does_not_give_is_an_error() {
    let bench = Bench::new(&[]);
    let list = || bench.server.get("/models?scope=repository");
    let only = || bench.server.call("POST", "/invocations").body("").send();
    let denied = Fault::answer(403, "AccessDenied", "Access Denied");
    for (fault, status, kind, part) in [
        (denied, 403, "AccessDeniedException", "s3:ListBucket"),
        (Fault::slow_down(), 503, "ServiceUnavailableException", ""),
        (Fault::HangUp, 503, "ServiceUnavailableException", ""),
    ] {
        bench.proxy.always(ANY, ANY, fault);
        list().error(status, kind, &[part]);
        only().error(status, kind, &[part]);
        bench.proxy.heal();
        assert_eq!(names(&list().json()), [PLAIN]);
    }
    assert_eq!(only().ok(), "ok");
}

#[test]
fn a_busy_s3_is_an_outage() {
    let bench = Bench::new(&[]);
    bench.fails(
        Fault::slow_down(),
        503,
        "ServiceUnavailableException",
        &["fewer requests"],
    );
    let mut tries = bench.proxy.seen("GET", PLAIN);
    tries.retain(|seen| seen.status == 503);
    assert!(tries.len() > 1, "tried again: {tries:?}");
}

#[test]
fn a_failing_s3_is_an_outage() {
    let parts = ["500"];
    Bench::new(&[]).fails(
        Fault::internal_error(),
        503,
        "ServiceUnavailableException",
        &parts,
    );
}

#[test]
fn an_s3_that_hangs_up_is_an_outage() {
    Bench::new(&[]).fails(Fault::HangUp, 503, "ServiceUnavailableException", &[]);
}

#[test]
fn what_passes_is_tried_again() {
    for fault in [Fault::internal_error(), Fault::slow_down(), Fault::HangUp] {
        let bench = Bench::new(&[]);
        bench.proxy.times(2, ANY, PLAIN, fault);
        bench.answers();
        assert_eq!(bench.proxy.seen("GET", PLAIN).len(), 3);
    }
}

#[test]
fn a_download_that_is_cut_off_goes_on_where_it_was() {
    let bench = Bench::new(&[]);
    bench.proxy.times(2, "GET", PLAIN, Fault::Cut(100_000));
    bench.answers();
    let seen = bench.proxy.seen("GET", PLAIN);
    let [_, resumed @ ..] = seen.as_slice() else {
        panic!("no request");
    };
    assert_eq!(resumed.len(), 2, "{seen:?}");
    let starts = resumed.iter().map(|one| one.range.as_deref().unwrap());
    let starts: Vec<_> = starts.map(|range| range.trim_end_matches('-')).collect();
    assert_eq!(starts, ["bytes=100000", "bytes=200000"]);
}

#[test]
fn a_download_that_is_cut_off_every_time_is_an_outage() {
    let bench = Bench::new(&[]);
    bench.proxy.always("GET", PLAIN, Fault::Cut(0));
    let reply = ask(&bench.server, PLAIN);
    reply.error(503, "ServiceUnavailableException", &["cut"]);
    assert!(reply.header("retry-after").is_some());
    bench.nothing_is_left();
}

#[test]
fn damaged_bytes_are_fetched_again_and_never_served() {
    for at in [0, 100_000, version_at_both_ends("one").len() - 1] {
        let bench = Bench::new(&[]);
        bench.proxy.times(1, "GET", PLAIN, Fault::Corrupt(at));
        bench.answers();
        assert_eq!(bench.proxy.seen("GET", PLAIN).len(), 2);
    }
    let parts = ["m.tar", "damaged"];
    let fault = Fault::Corrupt(100_000);
    Bench::new(&[]).fails(fault, 502, "BadGatewayException", &parts);
}

#[test]
fn a_wrong_length_is_noticed() {
    let length = version_at_both_ends("one").len();
    for wrong in [length - 512, length + 512, 0] {
        let bench = Bench::new(&[]);
        bench.proxy.times(1, "GET", PLAIN, Fault::Length(wrong));
        bench.answers();
        assert!(bench.proxy.seen("GET", PLAIN).len() > 1, "{wrong}");
    }
    let fault = Fault::Length(length - 512);
    Bench::new(&[]).fails(fault, 502, "BadGatewayException", &["damaged"]);
}

#[test]
fn a_download_that_takes_too_long_is_ended() {
    let bench = Bench::new(&["--load-timeout", "3s"]);
    let drip = Fault::Drip(1_000, Duration::from_millis(100));
    bench.fails(drip, 504, "ModelTimeoutException", &["--load-timeout"]);
}

#[test]
fn a_caller_need_not_wait_for_a_slow_download() {
    let bench = Bench::new(&["--request-timeout", "1s"]);
    let gate = Gate::new();
    bench
        .proxy
        .always("GET", PLAIN, Fault::Pause(1_000, gate.clone()));
    let reply = ask(&bench.server, PLAIN);
    reply.error(429, "ModelNotReadyException", &[PLAIN]);
    assert!(reply.header("retry-after").is_some());
    gate.open();
    eventually("it is loaded", || ask(&bench.server, PLAIN).status == 200);
    assert_eq!(bench.proxy.seen("GET", PLAIN).len(), 1, "the load went on");
}

#[test]
fn an_object_that_is_replaced_during_its_download_is_whole() {
    let bench = Bench::new(&[]);
    let gate = Gate::new();
    bench
        .proxy
        .times(1, "GET", PLAIN, Fault::Pause(100_000, gate.clone()));
    replaced_meanwhile(&bench, &gate, &["one", "two"]);
}

#[test]
fn a_download_that_is_cut_off_does_not_go_on_with_another_version() {
    let bench = Bench::new(&[]);
    let gate = Gate::new();
    // The first answer waits before its end and is cut off there; what is left is of no use.
    bench
        .proxy
        .times(1, "GET", PLAIN, Fault::CutAt(100_000, gate.clone()));
    replaced_meanwhile(&bench, &gate, &["two"]);
}

#[test]
fn what_is_deleted_during_its_download_is_whole_or_not_found() {
    let bench = Bench::new(&[]);
    let gate = Gate::new();
    let cut = Fault::CutAt(100_000, gate.clone());
    bench.proxy.times(1, "GET", PLAIN, cut);
    thread::scope(|scope| {
        let request = scope.spawn(|| ask(&bench.server, PLAIN));
        gate.reached();
        bench.store.delete(PLAIN);
        gate.open();
        let reply = request.join().unwrap();
        reply.error(404, "ModelNotFoundException", &[PLAIN]);
    });
    bench.nothing_is_left();
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_of_it_again() {
    // The other server would notice that the proxy takes a header out.
    let Some(store) = Store::moto() else { return };
    store.put(PLAIN, version_at_both_ends("one"));
    let proxy = store.proxy();
    proxy.times(1, "GET", PLAIN, Fault::Cut(100_000));
    proxy.always("GET", PLAIN, Fault::NoRanges);
    let server = store.setup_through(&proxy).start();
    assert_eq!(both_ends(&server, PLAIN), ["one", "one"]);
    let seen = proxy.seen("GET", PLAIN);
    let status: Vec<_> = seen.iter().map(|seen| seen.status).collect();
    assert_eq!(status, [200, 200], "{seen:?}");
}

/// Replaces the model while its download stands before the gate.
fn replaced_meanwhile(bench: &Bench, gate: &Gate, allowed: &[&str]) {
    thread::scope(|scope| {
        let request = scope.spawn(|| ask(&bench.server, PLAIN).ok());
        gate.reached();
        bench.store.put(PLAIN, version_at_both_ends("two"));
        gate.open();
        let answer = request.join().unwrap();
        assert!(allowed.contains(&answer.as_str()), "{answer}");
        assert_eq!(both_ends(&bench.server, PLAIN), [answer.clone(), answer]);
    });
}

#[test]
fn a_compressed_artifact_is_checked_before_it_is_unpacked() {
    let bench = Bench::new(&[]);
    bench.store.put("m.tar.gz", version("one"));
    bench
        .proxy
        .always("GET", "m.tar.gz", Fault::Corrupt(60_000));
    let parts = ["m.tar.gz", "damaged"];
    ask(&bench.server, "m.tar.gz").error(502, "BadGatewayException", &parts);
    bench.proxy.heal();
    eventually("what is sound is taken", || {
        ask(&bench.server, "m.tar.gz").status == 200
    });
}

#[test]
fn many_requests_in_an_outage_are_few_for_s3() {
    let bench = Bench::new(&[]);
    bench.proxy.always(ANY, PLAIN, Fault::internal_error());
    let begin = Instant::now();
    for _ in 0..100 {
        ask(&bench.server, PLAIN).error(503, "ServiceUnavailableException", &[]);
    }
    // A load tries a few times, and its failure is remembered for a moment.
    let loads = 1 + begin.elapsed().as_secs() as usize;
    let tries = bench.proxy.seen(ANY, PLAIN).len();
    assert!(tries <= 3 * loads, "{tries} for {loads} loads");
}

/// The answer to HEAD has no body, so a proxy on the way may have given it. What is loaded stays until
/// S3 itself says which key it does not have.
#[test]
fn a_404_that_is_not_s3s_takes_no_model_away() {
    let bench = Bench::new(&["--revalidate-after", "200ms"]);
    bench.answers();
    let nobody = Fault::answer(404, "", "not here");
    bench.proxy.always("HEAD", PLAIN, nobody);
    eventually("the server has asked several times", || {
        bench.answers();
        bench.proxy.seen("HEAD", PLAIN).len() > 3
    });
    bench.proxy.heal();
    bench.store.delete(PLAIN);
    eventually("the model is gone", || {
        ask(&bench.server, PLAIN).status == 404
    });
}
