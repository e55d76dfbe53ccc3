//! Prints what a request costs: over HTTP, next to a constant answer and to bare wasmtime.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use modelcell_bench::floor::Bare;
use modelcell_bench::load::{self, Run};
use modelcell_bench::server::Server;
use modelcell_bench::subject::{NAME, Subject};

const CONNECTIONS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);
const BARE_CALLS: u32 = 50_000;

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

    let server = Server::start(&[subject.packed()])?;
    let constant = b"GET /ping HTTP/1.1\r\nHost: bench\r\n\r\n".to_vec();
    let model = load::invocation(NAME, "text/csv", &subject.row);
    measure(&server, &model, 8, WARM_UP)?;

    println!("answer    conns  requests/s   p50 us   p90 us   p99 us  p99.9 us  server CPU us");
    for connections in CONNECTIONS {
        // In turn, so that both see the same moods of the machine; the medians are compared.
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((
                measure(&server, &constant, connections, ROUND)?,
                measure(&server, &model, connections, ROUND)?,
            ));
        }
        let (constants, models): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        let (constant, model) = (median(constants)?, median(models)?);
        print_row("constant", connections, &constant);
        print_row("model", connections, &model);
        println!(
            "  model / constant: {:.0} % of the throughput; CPU over the constant's {:.1} us, of \
             which bare wasmtime {bare:.1} us, so the host adds {:.1} us\n",
            100.0 * model.run.rate() / constant.run.rate(),
            model.cpu_micros - constant.cpu_micros,
            model.cpu_micros - constant.cpu_micros - bare,
        );
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
