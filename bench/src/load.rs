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

use crate::client::Head;
use crate::report::Latencies;

/// What a run of load gave.
pub struct Run {
    /// Answers.
    pub requests: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Of each request.
    pub latencies: Latencies,
}

impl Run {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// A request to the artifact NAME.tar.gz.
pub fn invocation(name: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: {content_type}\r\n\
         X-Amzn-SageMaker-Target-Model: {name}.tar.gz\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
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
        Ok(Run {
            requests: latencies.len(),
            elapsed,
            latencies: latencies.into(),
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
    match Head::read(answer)? {
        None => Ok(false),
        Some(head) if head.status == 200 => Ok(answer.len() >= head.length + head.body_length),
        Some(head) => Err(io::Error::other(format!("not 200 but {}", head.status))),
    }
}
