//! What a cell of the XGBoost example holds, alive and while its slot waits for a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use modelcell::load::Loaded;
use modelcell::sandbox::Isolation;
use modelcell_bench::in_process::{InProcess, ask};
use modelcell_bench::observe::Resident;
use modelcell_bench::report::aim;
use modelcell_bench::subject::Subject;
use tokio::time::Instant as Deadline;

use crate::smaps::{Own, page_tables};

/// What a cell may hold of its own.
const AIM: u64 = 64 << 10;
/// Cells at a time, to divide what all hold by.
const CELLS: usize = 256;
/// How long a cell is looked at while it answers.
const WATCH: Duration = Duration::from_secs(3);

/// Measures and prints.
pub fn measure(subject: &Subject) -> Result<(), String> {
    println!("\nmemory of a cell of the XGBoost example");
    let host = InProcess::start(CELLS)?;
    let loaded = subject.load(&host, Isolation::Request)?;
    for _ in 0..100 {
        host.ask(&loaded, &subject.request())?;
    }
    let idle = Own::read()?;
    let (busy, looks) = watch(&host, subject, &loaded)?;
    let (store, tables) = stores(&host, &loaded)?;
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    println!(
        "  a slot that waits for a request: {:.0} KiB of pages of its own",
        kib(idle.slots)
    );
    println!(
        "  a cell while it answers, the most in {looks} looks: {:.0} KiB of its memory, {:.0} KiB of \
         its stack; and {:.1} KiB of store and instance (mean of {CELLS}), with {:.1} KiB of page \
         tables",
        kib(busy.slots),
        kib(busy.stacks),
        kib(store),
        kib(tables)
    );
    let all = busy.slots + busy.stacks + store;
    aim(
        &format!("a cell holds at most {:.0} KiB of its own", kib(AIM)),
        &format!("{:.0} KiB", kib(all)),
        all <= AIM,
    );
    Ok(())
}

/// The most that is seen of one cell while requests follow one another, and the number of looks.
fn watch(host: &InProcess, subject: &Subject, loaded: &Loaded) -> Result<(Own, usize), String> {
    let done = AtomicBool::new(false);
    let request = subject.request();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut most, mut looks) = (Own::default(), 0);
            while !done.load(Ordering::Relaxed) {
                let now = Own::read()?;
                most.slots = most.slots.max(now.slots);
                most.stacks = most.stacks.max(now.stacks);
                looks += 1;
            }
            Ok((most, looks))
        });
        let begin = Instant::now();
        let mut asked = Ok(());
        while asked.is_ok() && begin.elapsed() < WATCH {
            asked = host.runtime().block_on(async {
                for _ in 0..100 {
                    ask(loaded, &request).await?;
                }
                Ok::<_, String>(())
            });
        }
        done.store(true, Ordering::Relaxed);
        let watched = watcher.join();
        asked?;
        watched.unwrap_or_else(|_| Err("a thread panicked".into()))
    })
}

/// What the host keeps for a cell beside its memory and its stack, and for the kernel's page tables: by
/// the difference that many cells at a time make, none of which has begun to answer.
fn stores(host: &InProcess, loaded: &Loaded) -> Result<(u64, u64), String> {
    let lease_all = || {
        host.runtime().block_on(async {
            let mut leases = Vec::new();
            for _ in 0..CELLS {
                let deadline = Deadline::now() + Duration::from_secs(60);
                let lease = loaded.cells.lease(deadline).await;
                leases.push(lease.map_err(|e| e.to_string())?);
            }
            Ok::<_, String>(leases)
        })
    };
    let before = (own_bytes()?, page_tables()?);
    let leases = lease_all()?;
    let after = (own_bytes()?, page_tables()?);
    drop(leases);
    let each = |before: u64, after: u64| after.saturating_sub(before) / CELLS as u64;
    Ok((each(before.0, after.0), each(before.1, after.1)))
}

/// Pages that no file backs, less those in slots and stacks.
fn own_bytes() -> Result<u64, String> {
    let own = Own::read()?;
    let all = Resident::of(std::process::id())?;
    Ok(all.anonymous.saturating_sub(own.slots + own.stacks))
}
