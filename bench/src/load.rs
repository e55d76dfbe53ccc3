//! A closed-loop HTTP load generator: each connection sends a request, reads the answer, and sends
//! the next.
//!
//! It runs on one thread and parses no more of an answer than its length, to take as little as
//! possible of the processors that the server needs.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a run of load gave.
pub struct Run {
    /// Answers.
    pub requests: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Of each request, sorted.
    latencies: Vec<Duration>,
}

impl Run {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` (0 to 1) of the requests did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// Sends `request` over `connections` connections for `time`. Every answer must begin with a status
/// of 200.
///
/// # Errors
///
/// A connection that fails or an answer that is not 200.
pub fn run(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    time: Duration,
) -> io::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let begin = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let request = request.to_vec();
            tasks.push(tokio::spawn(connection(address, request, begin + time)));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.map_err(io::Error::other)??);
        }
        let elapsed = begin.elapsed();
        latencies.sort_unstable();
        Ok(Run {
            requests: latencies.len(),
            elapsed,
            latencies,
        })
    })
}

async fn connection(
    address: SocketAddr,
    request: Vec<u8>,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok(latencies);
        }
        stream.write_all(&request).await?;
        buffer.clear();
        while !is_whole(&buffer)? {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        latencies.push(begin.elapsed());
    }
}

/// Whether `answer` holds the head and as many bytes of body as that says.
fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default());
    if !text.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(format!("not 200: {text}")));
    }
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| io::Error::other("an answer without content-length"))?;
    Ok(answer.len() >= head + 4 + length)
}
