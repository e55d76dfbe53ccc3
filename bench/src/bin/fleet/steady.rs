//! A long trace over ten thousand models with room for a thousand: what hits, what fails, and what a
//! hit costs while others miss.

use modelcell_bench::client::Client;
use modelcell_bench::fleet::NAMES;
use modelcell_bench::observe::{Counted, Metrics, Resident, metrics};
use modelcell_bench::report::{HEADING, Latencies, aim, mib, millis};
use modelcell_bench::trace::{Lru, zipf};

use crate::replay::{Replay, replay};
use crate::{AMPLE, Stage, room_for, spread};

const REQUESTS: usize = 100_000;
/// Without misses requests are quick, and so many give a steady 99th percentile.
const REQUESTS_WITHOUT_MISSES: usize = 50_000;
const ROOM: usize = 1_000;
const SEED: u64 = 1;
/// Enough to load models while others answer. More would mix up the trace's order, on which LRU
/// depends.
const CONNECTIONS: usize = 4;

/// Measures and prints.
pub fn measure(stage: &Stage) -> Result<(), String> {
    println!(
        "\ntrace: {REQUESTS} requests over {NAMES} models (Zipf, s = 1), room for {ROOM}, \
         {CONNECTIONS} connections"
    );
    let (sizes, before) = without_misses(stage)?;
    let budget = room_for(ROOM, &sizes);
    println!("  budget {:.0} MiB: {}", mib(budget), spread(&sizes));

    let trace = zipf(NAMES, REQUESTS, SEED);
    let (server, _) = stage.serve(budget)?;
    let run = replay(stage, server.address, &trace, CONNECTIONS)?;
    // A new connection: the server has closed one that was idle for so long.
    let counts = metrics(&mut Client::connect(server.address).map_err(|e| e.to_string())?)?;
    let resident = Resident::of(server.process())?;
    drop(server);

    let expected = simulate(&trace, &sizes, budget);
    let (hits, misses) = split(&run, &expected);
    println!(
        "  {:.0} s, {:.0} requests/s, {} evictions; at the end {} models and VmRSS {:.0} MiB",
        run.elapsed.as_secs_f64(),
        REQUESTS as f64 / run.elapsed.as_secs_f64(),
        counts.evictions,
        counts.loaded,
        mib(resident.rss)
    );
    println!("{HEADING}");
    println!("{}", before.row("hits, no misses at all: before"));
    println!("{}", hits.row("hits among misses"));
    println!("{}", misses.row("misses"));
    let (_, after) = without_misses(stage)?;
    println!("{}", after.row("hits, no misses at all: after"));
    // The lower one, because whatever else the machine does only adds.
    let quiet = if before.percentile(0.99) < after.percentile(0.99) {
        before
    } else {
        after
    };
    print_aims(&run, &expected, counts, &quiet, &hits);
    Ok(())
}

/// The same kind of trace over as many models as there is room for, all of them loaded before.
/// Returns what they count for, and the latencies.
fn without_misses(stage: &Stage) -> Result<(Vec<Counted>, Latencies), String> {
    let (server, mut client) = stage.serve(AMPLE)?;
    let all: Vec<usize> = (0..ROOM).collect();
    replay(stage, server.address, &all, CONNECTIONS)?.all_right()?;
    let before = metrics(&mut client)?;
    let trace = zipf(ROOM, REQUESTS_WITHOUT_MISSES, SEED + 1);
    let run = replay(stage, server.address, &trace, CONNECTIONS)?;
    run.all_right()?;
    if metrics(&mut client)?.misses != before.misses {
        return Err("there were misses although all models were loaded".into());
    }
    let latencies: Vec<_> = run.answered.iter().map(|(_, latency)| *latency).collect();
    Ok((stage.sizes(&mut client, ROOM)?, latencies.into()))
}

/// What exact LRU in the order of the trace makes of each request: whether it is a hit.
fn simulate(trace: &[usize], sizes: &[Counted], budget: u64) -> Vec<bool> {
    let code = sizes.iter().map(|size| size.code_bytes).max().unwrap_or(0);
    let mut lru = Lru::new(budget.saturating_sub(code));
    let touch = |&number: &usize| {
        let size = sizes.get(number % sizes.len().max(1));
        lru.touch(number, size.map_or(0, |size| size.memory_bytes))
    };
    trace.iter().map(touch).collect()
}

/// Latencies of hits and of misses. The server does not say which a request was; the simulation
/// does, and the two differ only where requests overtook one another.
fn split(run: &Replay, expected: &[bool]) -> (Latencies, Latencies) {
    let is_hit = |place: usize| expected.get(place).copied().unwrap_or(false);
    let (hits, misses): (Vec<_>, Vec<_>) =
        run.answered.iter().partition(|(place, _)| is_hit(*place));
    let times = |part: Vec<(usize, _)>| part.into_iter().map(|(_, latency)| latency).collect();
    let (hits, misses): (Vec<_>, Vec<_>) = (times(hits), times(misses));
    (hits.into(), misses.into())
}

fn print_aims(
    run: &Replay,
    expected: &[bool],
    counts: Metrics,
    quiet: &Latencies,
    hits: &Latencies,
) {
    let expected_hits = expected.iter().filter(|&&hit| hit).count();
    let exact = 100.0 * expected_hits as f64 / expected.len() as f64;
    let measured = 100.0 * counts.hits as f64 / (counts.hits + counts.misses).max(1) as f64;
    aim(
        &format!("hit ratio within a point of exact LRU's {exact:.2} %"),
        &format!("{measured:.2} %"),
        (measured - exact).abs() <= 1.0,
    );
    let first = run.errors.first().map_or("", String::as_str);
    aim(
        "no errors",
        &format!("{} {first}", run.errors.len()),
        run.errors.is_empty(),
    );
    let (alone, among) = (quiet.percentile(0.99), hits.percentile(0.99));
    let ratio = among.as_secs_f64() / alone.as_secs_f64();
    aim(
        "p99 of hits among misses at most 3 times that without",
        &format!(
            "{ratio:.1} times, {:.2} ms and {:.2} ms",
            millis(among),
            millis(alone)
        ),
        ratio <= 3.0,
    );
}
