//! Prints what the repository, the memory budget and eviction cost: cold starts from S3, a thousand
//! loaded models, and a long trace over ten thousand with room for a thousand.
//!
//! `fleet cold`, `fleet density` and `fleet trace` measure one of these; without an argument all are
//! measured.

mod cold;
mod density;
mod replay;
mod steady;

use std::process::ExitCode;
use std::sync::Arc;

use modelcell_bench::client::Client;
use modelcell_bench::fleet::{Fleet, name};
use modelcell_bench::observe::{Counted, counted};
use modelcell_bench::report::mib;
use modelcell_bench::s3::S3Server;
use modelcell_bench::server::Server;
use modelcell_bench::subject::Subject;

/// Room for everything, where nothing shall be evicted.
const AMPLE: u64 = 16 << 30;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What the measurements share.
struct Stage {
    fleet: Arc<Fleet>,
    s3: S3Server,
}

fn run() -> Result<(), String> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let subject = Subject::find()?;
    if wanted("cold") {
        let stage = Stage::of(Fleet::of_example(&subject)?)?;
        let json = stage.fleet.shape.bytes / 1e3;
        println!("the XGBoost example's own model, {json:.0} kB of JSON");
        cold::measure(&stage)?;
    }
    let fleet = Fleet::prepare()?;
    println!(
        "\n{} XGBoost models of 100 trees over 10 features, {:.0} nodes and {:.0} kB of JSON each, \
         without code",
        fleet.models(),
        fleet.shape.nodes,
        fleet.shape.bytes / 1e3
    );
    let stage = Stage::of(fleet)?;
    if wanted("cold") {
        cold::measure(&stage)?;
    }
    if wanted("density") {
        density::measure(&stage)?;
    }
    if wanted("trace") {
        steady::measure(&stage)?;
    }
    Ok(())
}

impl Stage {
    fn of(fleet: Fleet) -> Result<Self, String> {
        let fleet = Arc::new(fleet);
        let s3 = S3Server::start(fleet.clone()).map_err(|e| e.to_string())?;
        Ok(Self { fleet, s3 })
    }

    /// A server with this budget that asks S3 for what it has not, and a connection to it.
    fn serve(&self, memory_budget: u64) -> Result<(Server, Client), String> {
        self.serve_newest(memory_budget, "1h")
    }

    /// The same, but what was downloaded longer ago than `revalidate_after` is asked for again.
    fn serve_newest(
        &self,
        memory_budget: u64,
        revalidate_after: &str,
    ) -> Result<(Server, Client), String> {
        let server = Server::start_on_s3(&self.s3, memory_budget, revalidate_after)?;
        let client = Client::connect(server.address).map_err(|e| e.to_string())?;
        Ok((server, client))
    }

    /// Asks for one prediction, which must be right.
    fn ask(&self, client: &mut Client, number: usize) -> Result<(), String> {
        let answer = client.exchange(&self.fleet.request(number));
        let answer = answer.map_err(|e| format!("{}: {e}", name(number)))?;
        self.fleet.check(number, &answer)
    }

    /// What each of the first `models` counts for, once each has answered.
    fn sizes(&self, client: &mut Client, models: usize) -> Result<Vec<Counted>, String> {
        (0..models)
            .map(|number| counted(client, &name(number)))
            .collect()
    }
}

/// A budget with room for `models` models and a half, whose code is shared.
fn room_for(models: usize, sizes: &[Counted]) -> u64 {
    let code = sizes.iter().map(|size| size.code_bytes).max().unwrap_or(0);
    code + (mean(sizes) * (models as f64 + 0.5)) as u64
}

/// What a model counts for on average, without its code.
fn mean(sizes: &[Counted]) -> f64 {
    let sum: u64 = sizes.iter().map(|size| size.memory_bytes).sum();
    sum as f64 / sizes.len().max(1) as f64
}

/// The least, the mean and the most that a model counts for.
fn spread(sizes: &[Counted]) -> String {
    let all = || sizes.iter().map(|size| size.memory_bytes);
    format!(
        "{:.2} MiB a model (from {:.2} to {:.2}) and {:.2} MiB of code",
        mean(sizes) / f64::from(1 << 20),
        mib(all().min().unwrap_or(0)),
        mib(all().max().unwrap_or(0)),
        mib(sizes.iter().map(|size| size.code_bytes).max().unwrap_or(0))
    )
}
