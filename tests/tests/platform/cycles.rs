//! That nothing grows, however often models are loaded and unloaded.

use std::thread;

use modelcell_tests::component::wat;
use modelcell_tests::kernel::{open_files, resident, threads};
use modelcell_tests::manage::metric;
use modelcell_tests::platform::{Launch, Platform};
use modelcell_tests::{entries_in, eventually};

const MIB: u64 = 1 << 20;

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

/// Loads, asks and unloads so many models, each under a name that there was none of before. They have
/// one directory, because it is not unpacking that is looked at.
fn cycles(platform: &Platform, url: &str, names: std::ops::Range<usize>) {
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let own = names.clone().skip(caller).step_by(CALLERS);
            scope.spawn(move || {
                for number in own {
                    let (name, target) = (format!("{number:032x}"), format!("m{number}.tar.gz"));
                    platform.load(&name, url, &target).ok();
                    platform.invoke(&name, &target, "").ok();
                    platform.unload(&name, &target).ok();
                }
            });
        }
    });
}

#[test]
fn ten_thousand_loads_and_unloads_leave_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let platform = Platform::start(Launch::new().cache(cache.path()));
    platform.store("m.tar.gz", &wat("sound"));
    let url = platform.unpack("m.tar.gz");
    // Until there is a snapshot, and all pools and buffers have been needed.
    cycles(&platform, &url, 0..STEP);
    let before = Footprint::of(&platform);
    let mut seen = Vec::new();
    for step in 1..=10 {
        cycles(&platform, &url, step * STEP..(step + 1) * STEP);
        seen.push(Footprint::of(&platform));
    }
    println!("before {before:?}\nafter {seen:#?}");
    assert_eq!(platform.list(), []);
    assert_eq!(metric(&platform, "modelcell_memory_used_bytes"), 0.0);
    eventually("files, threads and the cache are as before", || {
        let now = Footprint::of(&platform);
        now.files <= before.files + 8
            && now.threads <= before.threads + 8
            && now.cached <= before.cached
    });
    let after = Footprint::of(&platform);
    assert!(
        after.resident <= before.resident + 8 * MIB,
        "{} to {} MiB",
        before.resident / MIB,
        after.resident / MIB
    );
}
