//! Prints what a good model's callers notice of hostile models on the same server: its 99th percentile
//! beside each of them, next to the undisturbed one.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use modelcell_bench::client::Client;
use modelcell_bench::load;
use modelcell_bench::report::{HEADING, Latencies, aim};
use modelcell_bench::server::{Packed, Server};
use modelcell_bench::subject::{NAME, Subject};

/// Callers of the good model, each of whom waits for an answer before the next request.
const CONNECTIONS: usize = 2;
/// Callers of the hostile one.
const ATTACKERS: usize = 4;
/// How long the good model is asked without and with each of them.
const QUIET: Duration = Duration::from_secs(1);
const BESIDE: Duration = Duration::from_secs(2);

/// So that there are several requests of those that never end.
const SETTINGS: &str = "request-timeout = '500ms'\ncell-memory = '64MiB'\n";

/// What the hostile guest is told (`tests/guests/misbehave`).
const ATTACKS: [(&str, &str); 12] = [
    ("a loop in input_fn", "input:loop"),
    ("a loop in predict_fn", "predict:loop"),
    ("a loop in output_fn", "output:loop"),
    ("its output held while it loops", "predict:hold-output"),
    ("a trap in each request", "predict:trap"),
    ("endless recursion", "predict:recurse"),
    ("all memory eaten", "predict:eat-memory"),
    ("a million tiny allocations", "predict:tiny 1000000"),
    ("answers of 16 MB", "predict:large 16000000"),
    ("a flood of output", "predict:flood 100000"),
    (
        "files opened and never closed",
        "predict:open-for-good 1000",
    ),
    ("sleep", "predict:sleep 100000"),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let subject = Subject::find()?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    fs::write(dir.path().join("modelcell.toml"), SETTINGS).map_err(|e| e.to_string())?;
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/misbehave.wasm");
    let hostile = Packed {
        name: "hostile",
        component: &hostile,
        model_dir: dir.path(),
    };
    let server = Server::start(&[subject.packed(), hostile])?;
    let good = load::invocation(NAME, "text/csv", &subject.row);
    // Loads both.
    ask(server.address, &good, QUIET)?;
    attack(server.address, "", || ask(server.address, &good, QUIET))?;

    println!(
        "\nthe XGBoost example beside hostile models, {ATTACKERS} requests of which run or wait\n"
    );
    println!("{HEADING}");
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    for (what, body) in ATTACKS {
        quiet.push(ask(server.address, &good, QUIET)?);
        let run = attack(server.address, body, || ask(server.address, &good, BESIDE))?;
        println!("{}", run.row(what));
        beside.push((what, run));
    }
    // The median of its p99s: a machine has its moods without any attack.
    quiet.sort_by_key(|run| run.percentile(0.99));
    let middle = quiet.len() / 2;
    let undisturbed = quiet.get(middle).ok_or("no undisturbed runs")?;
    println!("{}", undisturbed.row("undisturbed"));
    let usual = undisturbed.percentile(0.99).as_secs_f64();
    println!();
    for (what, run) in &beside {
        let ratio = run.percentile(0.99).as_secs_f64() / usual;
        let measured = format!("{ratio:.1} times");
        aim(
            &format!("p99 beside {what} at most twice the undisturbed"),
            &measured,
            ratio <= 2.0,
        );
    }
    Ok(())
}

/// The latencies of the good model, none of whose requests may fail.
fn ask(address: SocketAddr, request: &[u8], time: Duration) -> Result<Latencies, String> {
    let run = load::run(address, request, CONNECTIONS, time);
    Ok(run.map_err(|e| format!("the good model: {e}"))?.latencies)
}

/// Does `work` while the hostile model is asked all the time, whatever it answers.
fn attack<T>(address: SocketAddr, body: &str, work: impl FnOnce() -> T) -> T {
    let request = load::invocation("hostile", "text/plain", body.as_bytes());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..ATTACKERS {
            scope.spawn(|| keep_asking(address, &request, &over));
        }
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// Sends the request again and again. What is answered does not matter, nor does a closed connection.
fn keep_asking(address: SocketAddr, request: &[u8], over: &AtomicBool) {
    let mut client = None;
    while !over.load(Ordering::Relaxed) {
        client = match client.or_else(|| Client::connect(address).ok()) {
            Some(mut client) => client.exchange(request).is_ok().then_some(client),
            None => return,
        };
    }
}
