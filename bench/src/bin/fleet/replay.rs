//! Plays a trace against a server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use modelcell_bench::client::Client;
use modelcell_bench::fleet::name;

use crate::Stage;

/// How a trace went.
pub struct Replay {
    /// Of each request that was answered right, its place in the trace and its latency.
    pub answered: Vec<(usize, Duration)>,
    /// What went wrong, a line for each request.
    pub errors: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Replay {
    /// For runs in which no request may fail.
    pub fn all_right(&self) -> Result<(), String> {
        match self.errors.first() {
            None => Ok(()),
            Some(first) => Err(format!("{} errors, first {first}", self.errors.len())),
        }
    }
}

/// Asks for the models of `trace` in its order, over `connections` connections: each takes the next
/// request as soon as it has its answer.
pub fn replay(
    stage: &Stage,
    address: SocketAddr,
    trace: &[usize],
    connections: usize,
) -> Result<Replay, String> {
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let parts: Vec<Result<Replay, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| connection(stage, address, trace, &next)))
            .collect();
        let panicked = |_| Err("a thread panicked".into());
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(panicked))
            .collect()
    });
    let mut whole = Replay {
        answered: Vec::with_capacity(trace.len()),
        errors: Vec::new(),
        elapsed: begin.elapsed(),
    };
    for part in parts {
        let part = part?;
        whole.answered.extend(part.answered);
        whole.errors.extend(part.errors);
    }
    Ok(whole)
}

/// One connection's share.
fn connection(
    stage: &Stage,
    address: SocketAddr,
    trace: &[usize],
    next: &AtomicUsize,
) -> Result<Replay, String> {
    let connect = || Client::connect(address).map_err(|e| e.to_string());
    let mut client = connect()?;
    let mut done = Replay {
        answered: Vec::new(),
        errors: Vec::new(),
        elapsed: Duration::ZERO,
    };
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(&number) = trace.get(place) else {
            return Ok(done);
        };
        let request = stage.fleet.request(number);
        let begin = Instant::now();
        let answer = client.exchange(&request);
        let latency = begin.elapsed();
        match answer {
            Ok(answer) => match stage.fleet.check(number, &answer) {
                Ok(()) => done.answered.push((place, latency)),
                Err(wrong) => done.errors.push(wrong),
            },
            Err(error) => {
                done.errors.push(format!("{}: {error}", name(number)));
                client = connect()?;
            }
        }
    }
}
