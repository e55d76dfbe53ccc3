//! A proxy between the server and its bucket, which does what networks and S3 do on bad days.
//!
//! It passes on what it is not told to change, the `Host` header too, so signatures hold. Each
//! request has a connection of its own, both ways.

mod fault;
mod message;

use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::wait::eventually;
pub use fault::{Fault, Gate};
use message::Head;

/// Matches any method, or any path.
pub const ANY: &str = "";

/// A running proxy; it ends when the value is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: SocketAddr,
    away: AtomicBool,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
}

/// What happens to requests of this method whose path ends so.
struct Rule {
    method: String,
    path: String,
    times: usize,
    fault: Fault,
}

/// A request that came, and how far its answer is.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The header `Range`.
    pub range: Option<String>,
    /// The header `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The answer's status; 0 if none was given yet.
    pub status: u16,
    /// Bytes of the answer's body that were passed on.
    pub body: usize,
}

impl Proxy {
    /// Starts a proxy before the server at `upstream`.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shared = Arc::new(Shared {
            upstream,
            away: AtomicBool::new(false),
            rules: Mutex::default(),
            seen: Mutex::default(),
        });
        Self {
            address: listener.local_addr().unwrap(),
            accepting: Some(accept(listener, shared.clone())),
            shared,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this to every request of the method whose path ends with `path`. Of several rules the
    /// first holds.
    pub fn always(&self, method: &str, path: &str, fault: Fault) {
        self.times(usize::MAX, method, path, fault);
    }

    /// Does this to the next so many requests of the method whose path ends with `path`.
    pub fn times(&self, times: usize, method: &str, path: &str, fault: Fault) {
        self.shared.rules.lock().unwrap().push(Rule {
            method: method.to_owned(),
            path: path.to_owned(),
            times,
            fault,
        });
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Refuses connections.
    pub fn go_away(&mut self) {
        self.shared.away.store(true, Ordering::SeqCst);
        // So that the thread looks up.
        drop(TcpStream::connect(self.address));
        self.accepting.take().unwrap().join().unwrap();
    }

    /// Takes connections again.
    pub fn come_back(&mut self) {
        self.shared.away.store(false, Ordering::SeqCst);
        eventually("the proxy's port is free again", || {
            // The port may serve some connection as its own end for a moment.
            let listener = TcpListener::bind(self.address);
            self.accepting = listener.ok().map(|l| accept(l, self.shared.clone()));
            self.accepting.is_some()
        });
    }

    /// The requests so far of the method whose path ends with `path`.
    pub fn seen(&self, method: &str, path: &str) -> Vec<Seen> {
        let mut seen = self.shared.seen.lock().unwrap().clone();
        seen.retain(|one| matches((&one.method, &one.path), method, path));
        seen
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("the proxy saw:");
            for seen in self.shared.seen.lock().unwrap().iter() {
                println!("{seen:?}");
            }
        }
        if self.accepting.is_some() {
            self.go_away();
        }
    }
}

fn accept(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if shared.away.load(Ordering::SeqCst) {
                return;
            }
            let shared = shared.clone();
            // Either end may hang up at any time.
            thread::spawn(move || drop(shared.serve(stream)));
        }
    })
}

fn matches(request: (&str, &str), method: &str, path: &str) -> bool {
    (method == ANY || request.0 == method) && request.1.ends_with(path)
}

impl Shared {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut request = Head::read(&mut reader)?;
        let body = request.body(&mut reader)?;
        let seen = self.note(&request);
        match self.fault(&request) {
            Some(Fault::HangUp) => Ok(()),
            Some(Fault::Answer {
                status,
                code,
                message,
            }) => {
                seen.update(|seen| seen.status = status);
                let answer = message::error(status, code, message, request.method() == "HEAD");
                { client }.write_all(&answer)
            }
            fault => {
                let mut upstream = TcpStream::connect(self.upstream)?;
                request.set("Connection", "close");
                if let Some(Fault::NoRanges) = fault {
                    request.remove("Range");
                }
                upstream.write_all(&request.bytes())?;
                upstream.write_all(&body)?;
                fault::pass_on(BufReader::new(upstream), client, fault.as_ref(), &seen)
            }
        }
    }

    fn note(&self, request: &Head) -> Entry<'_> {
        let header = |name| request.get(name).map(str::to_owned);
        let mut all = self.seen.lock().unwrap();
        all.push(Seen {
            method: request.method().to_owned(),
            path: request.path().to_owned(),
            range: header("Range"),
            if_none_match: header("If-None-Match"),
            status: 0,
            body: 0,
        });
        Entry {
            seen: &self.seen,
            index: all.len() - 1,
        }
    }

    /// What is to be done to a request.
    fn fault(&self, request: &Head) -> Option<Fault> {
        let request = (request.method(), request.path());
        let mut rules = self.rules.lock().unwrap();
        let rule = rules
            .iter_mut()
            .find(|rule| rule.times > 0 && matches(request, &rule.method, &rule.path))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

/// The place where a request is noted.
struct Entry<'a> {
    seen: &'a Mutex<Vec<Seen>>,
    index: usize,
}

impl Entry<'_> {
    fn update(&self, update: impl FnOnce(&mut Seen)) {
        // It may have been forgotten.
        if let Some(seen) = self.seen.lock().unwrap().get_mut(self.index) {
            update(seen);
        }
    }
}
