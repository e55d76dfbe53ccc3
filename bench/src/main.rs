//! Prints what a request costs over HTTP, in a fresh cell and in one that is used again, next to a constant
//! answer and to bare wasmtime.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use modelcell_bench::client::Client;
use modelcell_bench::costs;
use modelcell_bench::floor::Bare;
use modelcell_bench::load::{self, Run};
use modelcell_bench::observe::counted;
use modelcell_bench::report::aim;
use modelcell_bench::server::{Packed, Server};
use modelcell_bench::subject::{NAME, Subject};

const CONNECTIONS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 21;
const ROUND: Duration = Duration::from_secs(1);
const WARM_UP: Duration = Duration::from_secs(1);
const BARE_CALLS: u32 = 50_000;
/// The same model in an artifact whose settings have its cells reused.
const REUSED: &str = "reused";
/// The share of reused cells' throughput that fresh ones are to reach, in percent.
const AIM: f64 = 60.0;
/// Longer than the snapshot's code takes to compile.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A run and what it cost the server.
struct Measured {
    run: Run,
    cpu_micros: f64,
}

fn run() -> Result<(), String> {
    let subject = Subject::find()?;
    let bare = bare_micros(&subject)?;
    println!("bare wasmtime, three hooks of one row: {bare:.1} us\n");

    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    subject
        .write_reused(dir.path())
        .map_err(|e| e.to_string())?;
    let reused = Packed {
        name: REUSED,
        component: &subject.component,
        model_dir: dir.path(),
    };
    let server = Server::start(&[subject.packed(), reused])?;
    let constant = b"GET /ping HTTP/1.1\r\nHost: bench\r\n\r\n".to_vec();
    let (fresh, reused) = (subject.http_request(NAME), subject.http_request(REUSED));
    for (name, request, snapshot) in [(NAME, &fresh, true), (REUSED, &reused, false)] {
        measure(&server, request, 8, WARM_UP)?;
        wait_for(&server, name, snapshot)?;
        measure(&server, request, 8, WARM_UP)?;
    }

    println!("answer    conns  requests/s   p50 us   p90 us   p99 us  p99.9 us  server CPU us");
    for connections in CONNECTIONS {
        let answers = Answers::measure(&server, [&constant, &reused, &fresh], connections)?;
        answers.print(connections, bare);
    }
    Ok(())
}

/// The round with the median throughput, of each kind of answer.
struct Answers {
    constant: Measured,
    reused: Measured,
    fresh: Measured,
    /// The median of fresh cells' throughput over that of reused ones, each pair one right after the other.
    share: f64,
}

impl Answers {
    /// In turn, so that all see the same moods of the machine.
    fn measure(server: &Server, requests: [&[u8]; 3], connections: usize) -> Result<Self, String> {
        let (mut constants, mut reuseds, mut freshes) = (Vec::new(), Vec::new(), Vec::new());
        let [constant, reused, fresh] = requests;
        for _ in 0..ROUNDS {
            constants.push(measure(server, constant, connections, ROUND)?);
            reuseds.push(measure(server, reused, connections, ROUND)?);
            freshes.push(measure(server, fresh, connections, ROUND)?);
        }
        let pairs = reuseds.iter().zip(&freshes);
        let shares = pairs.map(|(reused, fresh)| fresh.run.rate() / reused.run.rate());
        Ok(Self {
            share: costs::median(shares.collect()),
            constant: median(constants)?,
            reused: median(reuseds)?,
            fresh: median(freshes)?,
        })
    }

    fn print(&self, connections: usize, bare: f64) {
        let constant = &self.constant;
        print_row("constant", connections, constant);
        for (name, model) in [("reused", &self.reused), ("fresh", &self.fresh)] {
            print_row(name, connections, model);
            println!(
                "  {name} / constant: {:.0} % of the throughput; CPU over the constant's {:.1} us, of \
                 which bare wasmtime {bare:.1} us, so the host adds {:.1} us",
                100.0 * model.run.rate() / constant.run.rate(),
                model.cpu_micros - constant.cpu_micros,
                model.cpu_micros - constant.cpu_micros - bare,
            );
        }
        let share = 100.0 * self.share;
        println!("  fresh / reused: {share:.0} % of the throughput\n");
        if Some(&connections) == CONNECTIONS.last() {
            aim(
                &format!(
                    "at {connections} connections, fresh cells reach {AIM:.0} % of reused ones' throughput"
                ),
                &format!("{share:.0} %"),
                share >= AIM,
            );
        }
    }
}

/// Waits until the cells of the model `name` are made as is meant to be measured.
fn wait_for(server: &Server, name: &str, snapshot: bool) -> Result<(), String> {
    let mut client = Client::connect(server.address).map_err(|e| e.to_string())?;
    let begin = Instant::now();
    while counted(&mut client, &format!("{name}.tar.gz"))?.snapshot != snapshot {
        if begin.elapsed() > PATIENCE {
            return Err(format!(
                "the cells of {name} are not made as they should be"
            ));
        }
        std::thread::sleep(WARM_UP / 20);
    }
    Ok(())
}

/// The best of several batches, because whatever else the machine does only adds.
fn bare_micros(subject: &Subject) -> Result<f64, String> {
    let mut bare = Bare::start(&subject.component, &subject.model_dir, &subject.row)
        .map_err(|e| format!("{e:#}"))?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begin = Instant::now();
        for _ in 0..BARE_CALLS {
            bare.call().map_err(|e| format!("{e:#}"))?;
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e6 / f64::from(BARE_CALLS));
    }
    Ok(best)
}

fn measure(
    server: &Server,
    request: &[u8],
    connections: usize,
    time: Duration,
) -> Result<Measured, String> {
    let before = server.cpu_time()?;
    let run = load::run(server.address, request, connections, time)
        .map_err(|e| format!("the load failed: {e}"))?;
    let used = server.cpu_time()?.saturating_sub(before);
    let cpu_micros = used.as_secs_f64() * 1e6 / run.requests.max(1) as f64;
    Ok(Measured { run, cpu_micros })
}

/// The round with the median throughput.
fn median(mut rounds: Vec<Measured>) -> Result<Measured, String> {
    rounds.sort_by(|a, b| a.run.rate().total_cmp(&b.run.rate()));
    let middle = rounds.len() / 2;
    rounds.into_iter().nth(middle).ok_or("no rounds".into())
}

fn print_row(name: &str, connections: usize, measured: &Measured) {
    let run = &measured.run;
    let micros = |share| run.latencies.percentile(share).as_micros();
    println!(
        "{name:<9} {connections:>5} {:>11.0} {:>8} {:>8} {:>8} {:>9} {:>14.1}",
        run.rate(),
        micros(0.5),
        micros(0.9),
        micros(0.99),
        micros(0.999),
        measured.cpu_micros
    );
}
