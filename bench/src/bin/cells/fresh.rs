//! A request in a fresh cell next to one in a cell that is used again, in turn.

use std::process::Command;
use std::time::{Duration, Instant};

use modelcell::hooks::Request;
use modelcell::load::Loaded;
use modelcell::sandbox::Isolation;
use modelcell_bench::costs::{Cost, HEADING, Round, mean, median};
use modelcell_bench::fleet::Fleet;
use modelcell_bench::floor::Bare;
use modelcell_bench::in_process::{InProcess, ask};
use modelcell_bench::report::aim;
use modelcell_bench::subject::{Subject, request_of};

/// The argument of a process that measures under the environment it was started with.
pub const CHILD: &str = "fresh-here";

/// The argument of a process that asks in fresh cells alone, for a profiler.
pub const BUSY: &str = "busy";

/// What a fresh cell may cost beyond a reused one.
const AIM: f64 = 20.0;
const ROUNDS: usize = 41;
const REQUESTS: u32 = 1_000;
const BUSY_TIME: Duration = Duration::from_secs(10);

/// Measures in a process for each value of `RUST_BACKTRACE`, because a process reads it once.
pub fn measure() -> Result<(), String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    for backtrace in ["0", "1"] {
        println!("\nthree hooks of one row of the XGBoost example, RUST_BACKTRACE={backtrace}");
        let child = Command::new(&this)
            .arg(CHILD)
            .env("RUST_BACKTRACE", backtrace)
            .env_remove("RUST_LIB_BACKTRACE")
            .status()
            .map_err(|e| e.to_string())?;
        if !child.success() {
            return Err(format!("with RUST_BACKTRACE={backtrace}: {child}"));
        }
    }
    Ok(())
}

/// Measures and prints.
pub fn measure_here(subject: &Subject) -> Result<(), String> {
    let example = Fleet::of_example(subject)?;
    let host = InProcess::start(1)?;
    // The row whose answer is known.
    let row = example.csv(0).into_bytes();
    let mut bare =
        Bare::start(&subject.component, &subject.model_dir, &row).map_err(|e| format!("{e:#}"))?;
    let reused = subject.load(&host, Isolation::Model)?;
    let fresh = subject.load(&host, Isolation::Request)?;
    let request = request_of(row);
    let round = |loaded| round(&host, &request, &example, loaded);
    let (mut bares, mut reuseds, mut freshes) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=ROUNDS {
        let costs = (bare_round(&mut bare)?, round(&reused)?, round(&fresh)?);
        // The first one warms up.
        if number > 0 {
            bares.push(costs.0);
            reuseds.push(costs.1);
            freshes.push(costs.2);
        }
    }
    println!("{HEADING}");
    println!("{:<38} {:>7.1}", "bare wasmtime", median(bares));
    println!("{}", Cost::median(&reuseds).row("a reused cell"));
    println!("{}", Cost::median(&freshes).row("a fresh cell"));
    let pairs = reuseds.iter().zip(&freshes);
    let beyond = median(pairs.map(|(one, other)| other.total - one.total).collect());
    aim(
        &format!("a fresh cell costs at most {AIM:.0} us more than a reused one"),
        &format!("{beyond:.1} us more"),
        beyond <= AIM,
    );
    Ok(())
}

/// Asks in fresh cells for ten seconds.
pub fn keep_busy(subject: &Subject) -> Result<(), String> {
    let host = InProcess::start(1)?;
    let fresh = subject.load(&host, Isolation::Request)?;
    let example = Fleet::of_example(subject)?;
    let request = request_of(example.csv(0).into_bytes());
    let begin = Instant::now();
    let mut costs = Vec::new();
    while begin.elapsed() < BUSY_TIME {
        costs.push(round(&host, &request, &example, &fresh)?);
    }
    println!("{HEADING}\n{}", Cost::median(&costs).row("a fresh cell"));
    Ok(())
}

/// Asks `loaded` again and again; each answer must be right.
fn round(
    host: &InProcess,
    request: &Request,
    example: &Fleet,
    loaded: &Loaded,
) -> Result<Cost, String> {
    host.runtime().block_on(async {
        let mut round = Round::default();
        for _ in 0..REQUESTS {
            let answered = ask(loaded, request).await?;
            round.add(&answered);
            example.check_body(0, &answered.payload.body)?;
        }
        Ok(round.cost())
    })
}

fn bare_round(bare: &mut Bare) -> Result<f64, String> {
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let begin = Instant::now();
        bare.call().map_err(|e| format!("{e:#}"))?;
        times.push(begin.elapsed());
    }
    Ok(mean(times))
}
