//! Cold starts: a request to a model that is not loaded, next to a plain GET of its artifact.

use std::time::{Duration, Instant};

use modelcell_bench::client::Client;
use modelcell_bench::observe::metrics;
use modelcell_bench::report::{HEADING, Latencies, aim, millis};
use modelcell_bench::s3::S3Server;

use crate::{AMPLE, Stage, room_for};

/// Servers that never saw the component.
const FRESH: usize = 5;
/// Models that fit at a time, more if the least budget that a server takes has room for them; and
/// models that are asked for in turn, so that each is a miss.
const ROOM: usize = 20;
const LEAST_BUDGET: u64 = 16 << 20;
const MODELS: usize = 120;
/// How often each is loaded again after its eviction.
const ROUNDS: usize = 2;
/// Time for the compiler to be done with the code for snapshots, for which no answer waits.
const COMPILING: Duration = Duration::from_secs(2);

/// The times of one kind of cold start.
#[derive(Default)]
struct Times {
    gets: Vec<Duration>,
    answers: Vec<Duration>,
    beyond: Vec<Duration>,
}

/// Measures and prints.
pub fn measure(stage: &Stage) -> Result<(), String> {
    println!("\ncold start, one request at a time\n{HEADING}");
    let mut s3 = Client::connect(stage.s3.address).map_err(|e| e.to_string())?;

    let mut first = Times::default();
    for number in 0..FRESH {
        let (_server, mut client) = stage.serve(AMPLE)?;
        first.add(stage, &mut s3, &mut client, number)?;
    }
    let first = first.print("the component's first time");

    // Each request asks S3, so that no artifact comes from the disk unasked.
    let (_server, mut client) = stage.serve_newest(budget(stage)?, "0s")?;
    // The component is compiled by a model that is not measured.
    stage.ask(&mut client, MODELS)?;
    std::thread::sleep(COMPILING);
    let before = metrics(&mut client)?;
    let mut other = Times::default();
    let mut again = Times::default();
    for number in 0..MODELS {
        other.add(stage, &mut s3, &mut client, number)?;
    }
    for number in (0..MODELS).cycle().take(MODELS * ROUNDS) {
        again.add(stage, &mut s3, &mut client, number)?;
    }
    let after = metrics(&mut client)?;
    let other = other.print("another model of a compiled component");
    let again = again.print("the same model after its eviction");
    let (requests, misses) = (MODELS * (ROUNDS + 1), after.misses - before.misses);
    println!(
        "  {misses} of {requests} requests were misses, {} models were evicted, {} are loaded",
        after.evictions - before.evictions,
        after.loaded
    );
    if misses != requests as u64 {
        return Err("not every request was a miss, so these are no cold starts".into());
    }
    for (name, beyond, limit) in [
        ("first time ever (the aim is for 150 kB)", first, 250.0),
        ("another model of the component", other, 10.0),
        ("the same after eviction", again, 10.0),
    ] {
        let median = millis(beyond.percentile(0.5));
        aim(
            &format!("{name}: at most {limit:.0} ms beyond the GET"),
            &format!(
                "{median:.1} ms in the middle, {:.1} ms at most",
                millis(beyond.percentile(1.0))
            ),
            median <= limit,
        );
    }
    Ok(())
}

/// Room for [`ROOM`] models, as a server with ample room counts them.
fn budget(stage: &Stage) -> Result<u64, String> {
    let (_server, mut client) = stage.serve(AMPLE)?;
    for number in 0..MODELS {
        stage.ask(&mut client, number)?;
    }
    let room = room_for(ROOM, &stage.sizes(&mut client, MODELS)?);
    Ok(room.max(LEAST_BUDGET))
}

impl Times {
    /// A plain GET, and then a request to the same model.
    fn add(
        &mut self,
        stage: &Stage,
        s3: &mut Client,
        client: &mut Client,
        number: usize,
    ) -> Result<(), String> {
        let begin = Instant::now();
        let got = s3.get(&S3Server::path(number)).map_err(|e| e.to_string())?;
        let get = begin.elapsed();
        if got.status != 200 {
            return Err(format!("the plain GET answered {}", got.status));
        }
        let begin = Instant::now();
        stage.ask(client, number)?;
        let answer = begin.elapsed();
        self.gets.push(get);
        self.answers.push(answer);
        self.beyond.push(answer.saturating_sub(get));
        Ok(())
    }

    /// Prints the rows of this kind; returns what came beyond the GET.
    fn print(self, name: &str) -> Latencies {
        println!(
            "{}",
            Latencies::from(self.gets).row(&format!("{name}: GET"))
        );
        println!("{}", Latencies::from(self.answers).row("  answer"));
        let beyond = Latencies::from(self.beyond);
        println!("{}", beyond.row("  answer beyond GET"));
        beyond
    }
}
