//! UNLOAD: what is in flight ends well, and what the model held is free when the answer comes.

use std::thread;
use std::time::{Duration, Instant};

use modelcell_tests::artifact::{misbehave, misbehave_at_load, misbehave_reused};
use modelcell_tests::eventually;
use modelcell_tests::kernel::resident;
use modelcell_tests::manage::metric;
use modelcell_tests::platform::{Launch, Platform, hash};

const MIB: u64 = 1 << 20;

const BUSY: &str = "tenant-a/busy.tar.gz";

#[test]
fn an_unload_during_use_waits_for_it() {
    let platform = Platform::start(Launch::new().env("MODELCELL_CELLS_PER_MODEL", "4"));
    platform.store(BUSY, &misbehave_reused("hold 10"));
    let name = hash(BUSY);
    let url = platform.unpack(BUSY);
    platform.load(&name, &url, BUSY).ok();
    let path = format!("/models/{name}");
    thread::scope(|scope| {
        let requests = [(); 4].map(|()| {
            scope.spawn(|| {
                let sent = Instant::now();
                let reply = platform.invoke(&name, BUSY, "predict:sleep 4000");
                (sent, reply)
            })
        });
        eventually("all requests are in cells", || {
            let model = platform.get(&path).json();
            model["cells"] == 4 && model["idleCells"] == 0
        });
        let unload = scope.spawn(|| {
            let reply = platform.unload(&name, BUSY);
            let used = metric(&platform, "modelcell_memory_used_bytes");
            (Instant::now(), reply, used)
        });
        eventually("the model is gone for new requests", || {
            platform.get(&path).status == 404
        });
        let late = platform.invoke(&name, BUSY, "");
        late.error(404, "ModelNotFoundException", &[]);
        assert_eq!(platform.list(), []);
        let (answered, reply, used) = unload.join().unwrap();
        reply.ok();
        assert_eq!(used, 0.0, "nothing is held when the answer comes");
        for request in requests {
            let (sent, reply) = request.join().unwrap();
            assert_eq!(reply.ok(), "slept");
            assert!(answered >= sent + Duration::from_secs(4));
        }
    });
    // Another one may have the name at once.
    platform.load(&name, &url, BUSY).ok();
    assert_eq!(platform.invoke(&name, BUSY, "").ok(), "ok");
}

#[test]
fn what_a_model_held_is_the_kernels_again_when_the_answer_comes() {
    let platform = Platform::start(Launch::new());
    // The first model of a process brings what stays.
    platform.store("small.tar.gz", misbehave());
    platform.ask("small.tar.gz", "").ok();
    platform.retire("small.tar.gz");
    platform.store("large.tar.gz", &misbehave_reused("hold 200"));
    for _ in 0..3 {
        let before = resident(platform.pid());
        platform.ask("large.tar.gz", "").ok();
        let loaded = resident(platform.pid());
        assert!(loaded > before + 190 * MIB, "the model is really there");
        platform.retire("large.tar.gz");
        let after = resident(platform.pid());
        let more = after.saturating_sub(before) / MIB;
        assert!(more <= 16, "{more} MiB are not given back");
    }
}

/// The code for a snapshot is compiled in the background, which must not hold what is unloaded.
#[test]
fn what_a_model_held_is_free_also_if_its_code_is_still_compiled() {
    let cache = tempfile::tempdir().unwrap();
    let platform = Platform::start(Launch::new().cache(cache.path()));
    platform.store("m.tar.gz", &misbehave_at_load("hold 20"));
    for _ in 0..5 {
        platform.ask("m.tar.gz", "").ok();
        platform.retire("m.tar.gz");
        assert_eq!(metric(&platform, "modelcell_memory_used_bytes"), 0.0);
    }
}

/// Callers go on while models go: whoever asks again has the model loaded again.
#[test]
fn models_may_go_between_the_requests_of_busy_callers() {
    let platform = Platform::start(Launch::new());
    let names = ["a.tar.gz", "b.tar.gz", "c.tar.gz"];
    for name in names {
        platform.store(name, misbehave());
    }
    thread::scope(|scope| {
        for caller in 0..3 {
            let platform = &platform;
            scope.spawn(move || {
                for turn in 0..40 {
                    let name = names[(caller + turn) % names.len()];
                    let reply = platform.ask(name, "");
                    // 404 if it was sent before the model went and came after.
                    if reply.status != 404 {
                        assert_eq!(reply.ok(), "ok");
                    }
                }
            });
        }
        for turn in 0..30 {
            let name = names[turn % names.len()];
            if platform.loaded().iter().any(|loaded| loaded == name) {
                platform.retire(name);
            }
        }
    });
    for name in names {
        assert_eq!(platform.ask(name, "").ok(), "ok");
    }
}
