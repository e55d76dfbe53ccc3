//! That nothing grows, however often models are loaded and unloaded.

use std::ops::Range;
use std::thread;

use modelcell_tests::artifact::{artifact, misbehave_at_load};
use modelcell_tests::component::wat;
use modelcell_tests::kernel::{open_files, resident, threads};
use modelcell_tests::manage::{metric, until_frozen};
use modelcell_tests::platform::{Launch, Platform, hash};
use modelcell_tests::{entries_in, eventually};

/// Bytes that the allocator may keep more than before: 400 for each cycle.
const BYTES: u64 = 4 << 20;

/// Connections and threads of pools that there may be more than before.
const POOLED: u64 = 8;

/// LOADs, INVOKEs and UNLOADs after which the host is looked at.
const STEP: usize = 1_000;

/// Callers at a time.
const CALLERS: usize = 4;

/// What a container takes.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    resident: u64,
    files: u64,
    threads: u64,
    cached: u64,
}

impl Footprint {
    fn of(platform: &Platform) -> Self {
        Self {
            resident: resident(platform.pid()),
            files: open_files(platform.pid()),
            threads: threads(platform.pid()),
            cached: entries_in(platform.launch().cache_dir()),
        }
    }
}

/// The urls of what is loaded. They are unpacked once, because it is not unpacking that is looked at.
struct Urls {
    /// The cheapest model.
    small: String,
    /// One that holds memory.
    large: String,
    /// Files that cannot be loaded.
    damaged: String,
}

impl Urls {
    fn of(platform: &Platform) -> Self {
        let unpack = |target: &str, artifact: &[u8]| {
            platform.store(target, artifact);
            platform.unpack(target)
        };
        Self {
            small: unpack("small.tar.gz", &wat("sound")),
            large: unpack("large.tar.gz", &misbehave_at_load("hold 2")),
            damaged: unpack("damaged.tar.gz", &artifact(b"#!/bin/sh", &[])),
        }
    }
}

/// Loads, asks and unloads a model, under a name that there was none of before.
fn cycle(platform: &Platform, urls: &Urls, number: usize) {
    let (name, target) = (format!("{number:032x}"), format!("m{number}.tar.gz"));
    if number.is_multiple_of(20) {
        let reply = platform.load(&name, &urls.damaged, &target);
        reply.error(400, "InvalidModelException", &[]);
        assert_eq!(platform.unload(&name, &target).status, 404);
    }
    let url = match number % 20 {
        10 => &urls.large,
        _ => &urls.small,
    };
    platform.load(&name, url, &target).ok();
    platform.invoke(&name, &target, "").ok();
    platform.unload(&name, &target).ok();
}

fn cycles(platform: &Platform, urls: &Urls, numbers: Range<usize>) {
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let own = numbers.clone().skip(caller).step_by(CALLERS);
            scope.spawn(move || own.for_each(|number| cycle(platform, urls, number)));
        }
    });
}

#[test]
fn ten_thousand_loads_and_unloads_leave_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let platform = Platform::start(Launch::new().cache(cache.path()));
    Urls::of(&platform);
    // What is compiled and kept in the cache.
    for target in ["small.tar.gz", "large.tar.gz"] {
        platform.ask(target, "").ok();
        until_frozen(&platform, &hash(target));
        platform.retire(target);
    }
    let urls = Urls::of(&platform);
    // Until all pools and buffers have been needed.
    cycles(&platform, &urls, 0..STEP);
    let before = Footprint::of(&platform);
    println!("before: {before:?}");
    for step in 1..=10 {
        cycles(&platform, &urls, step * STEP..(step + 1) * STEP);
        println!("after {} more: {:?}", step * STEP, Footprint::of(&platform));
    }
    assert_eq!(platform.list(), []);
    eventually("memory, files, threads and the cache are as before", || {
        let now = Footprint::of(&platform);
        metric(&platform, "modelcell_memory_used_bytes") == 0.0
            && now.files <= before.files + POOLED
            && now.threads <= before.threads + POOLED
            && now.cached <= before.cached
    });
    let more = Footprint::of(&platform)
        .resident
        .saturating_sub(before.resident);
    assert!(more <= BYTES, "{} KiB more", more >> 10);
}
