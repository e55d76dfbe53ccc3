//! What the platform asks all the time, whatever else goes on: `GET /ping` and `GET /models`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use ureq::Agent;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is asked until a question counts as not answered: the machine has others to serve.
const ATTEMPTS: usize = 2;

/// Two threads that ask a container. [`Watch::end`], or dropping it, checks what they heard.
pub struct Watch {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Duration, String>>>,
}

impl Watch {
    /// Begins to ask the container at this port of this machine.
    pub fn begin(port: u16) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let threads = ["/ping", "/models"].map(|path| {
            let url = format!("http://127.0.0.1:{port}{path}");
            let over = over.clone();
            thread::spawn(move || ask_until(&over, &url))
        });
        let threads = threads.into();
        Self { over, threads }
    }

    /// Asks no more. Returns the longest time that an answer took.
    ///
    /// # Panics
    ///
    /// If an answer was another one than 200, or did not come in time.
    pub fn end(&mut self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        let mut slowest = Duration::ZERO;
        for asking in self.threads.drain(..) {
            asking.thread().unpark();
            match asking.join().unwrap() {
                Ok(took) => slowest = slowest.max(took),
                // A test that fails for another reason says that one.
                Err(what) if thread::panicking() => println!("{what}"),
                Err(what) => panic!("{what}"),
            }
        }
        slowest
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let asked = !self.threads.is_empty();
        let slowest = self.end();
        if asked {
            println!("the slowest answer to GET /ping and GET /models took {slowest:?}");
        }
    }
}

/// Asks once a second until it is over, at least once; stops at the first bad answer.
fn ask_until(over: &AtomicBool, url: &str) -> Result<Duration, String> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build();
    let agent = Agent::from(config);
    let mut slowest = Duration::ZERO;
    loop {
        slowest = slowest.max(ask(&agent, url)?);
        if over.load(Ordering::Relaxed) {
            return Ok(slowest);
        }
        park_timeout(EVERY);
    }
}

/// One question: how long the answer took.
fn ask(agent: &Agent, url: &str) -> Result<Duration, String> {
    let mut failures = Vec::new();
    for _ in 0..ATTEMPTS {
        let begin = Instant::now();
        let answer = agent.get(url).call();
        let answer = answer.and_then(|mut reply| {
            let text = reply.body_mut().read_to_string()?;
            Ok((reply.status().as_u16(), text))
        });
        match answer {
            Ok((200, text)) if url.ends_with("/ping") && !text.is_empty() => {
                return Err(format!("{url}: 200 with a body: {text}"));
            }
            Ok((200, _)) => return Ok(begin.elapsed()),
            Ok((status, text)) => return Err(format!("{url}: {status} {text}")),
            Err(error) => failures.push(format!("{error} after {:?}", begin.elapsed())),
        }
    }
    Err(format!("{url}: {}", failures.join(", ")))
}
