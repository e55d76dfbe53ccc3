//! What a thousand models take, each of which has answered, by the kernel's count.

use std::process::Command;
use std::time::{Duration, Instant};

use modelcell_bench::client::Client;
use modelcell_bench::observe::{Resident, metrics};
use modelcell_bench::report::{aim, mib};
use serde::Deserialize;

use crate::replay::replay;
use crate::{AMPLE, Stage, spread};

/// What the thousand models may take.
const AIM: u64 = 1 << 30;
/// Loads at a time.
const CONNECTIONS: usize = 2;

/// Measures and prints.
pub fn measure(stage: &Stage) -> Result<(), String> {
    let models = stage.fleet.models();
    println!("\ndensity: {models} distinct models, each having answered");
    let (server, mut client) = stage.serve(AMPLE)?;
    let empty = Resident::of(server.process())?;
    let begin = Instant::now();
    let all: Vec<usize> = (0..models).collect();
    replay(stage, server.address, &all, CONNECTIONS)?.all_right()?;
    let seconds = begin.elapsed().as_secs_f64();
    // What is freed late is freed by now.
    std::thread::sleep(Duration::from_secs(2));
    let full = Resident::of(server.process())?;
    print_counts(stage, &mut client, full.rss - empty.rss)?;

    println!("                                  VmRSS       Pss   private anonymous  (MiB)");
    print_row("modelcell, no model", &empty);
    print_row(&format!("modelcell, {models} models"), &full);
    println!(
        "  {:.2} MiB a model; loading took {:.1} ms each, {CONNECTIONS} at a time",
        mib(full.rss - empty.rss) / models as f64,
        seconds * 1e3 / models as f64
    );
    match held_by_python(stage) {
        Ok(held) => println!(
            "one Python process that holds them and isolates nothing: VmRSS {:.0} MiB, without any {:.0} \
             MiB; modelcell takes {:.2} times as much",
            mib(held.full.rss << 10),
            mib(held.empty.rss << 10),
            full.rss as f64 / (held.full.rss << 10) as f64
        ),
        Err(reason) => println!("the Python process for comparison did not run: {reason}"),
    }
    aim(
        &format!("{models} models in at most {:.0} MiB", mib(AIM)),
        &format!("VmRSS {:.0} MiB", mib(full.rss)),
        full.rss <= AIM,
    );
    Ok(())
}

/// What the budget counts, next to what the kernel says was added.
fn print_counts(stage: &Stage, client: &mut Client, added: u64) -> Result<(), String> {
    let sizes = stage.sizes(client, stage.fleet.models())?;
    let counts = metrics(client)?;
    println!(
        "  the budget counts {:.0} MiB in {} models, the kernel {:.0} MiB more than without any: {}",
        mib(counts.used),
        counts.loaded,
        mib(added),
        spread(&sizes)
    );
    if counts.loaded == stage.fleet.models() as u64 && counts.evictions == 0 {
        return Ok(());
    }
    Err("not all models are loaded".into())
}

fn print_row(name: &str, resident: &Resident) {
    println!(
        "{name:<29} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
        mib(resident.rss),
        mib(resident.pss),
        mib(resident.private),
        mib(resident.anonymous)
    );
}

/// What `hold.py` prints.
#[derive(Deserialize)]
struct Held {
    empty: HeldMemory,
    full: HeldMemory,
}

/// In KiB.
#[derive(Deserialize)]
struct HeldMemory {
    rss: u64,
}

/// The same models in the library that trained them.
fn held_by_python(stage: &Stage) -> Result<Held, String> {
    let python =
        std::env::var_os("MODELCELL_BENCH_PYTHON").ok_or("MODELCELL_BENCH_PYTHON is not set")?;
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/hold.py"))
        .arg(&stage.fleet.trained)
        .output()
        .map_err(|e| e.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|e| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{e}: {said}")
    })
}
