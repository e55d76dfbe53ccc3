//! All connections, what each is doing, and which must go for a new one.
//!
//! A connection waits for its client (idle, between its requests, or while a body comes), works (a
//! model or the host has its turn), or sends an answer. When there are as many as allowed and another
//! client comes, those that have been idle for longest are closed, or else those whose bodies have
//! been coming for longest; whoever has a request at work is never cut off. A client that finds no
//! such connection is refused. So neither clients that keep connections open nor those that are slow
//! on purpose can lock others out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a connection may wait for its client before another client may have its place. Whoever
/// has just connected is about to send a request.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// The part of all connections that goes at a time, so that a crowd at the door does not mean a
/// search for each who comes in.
const BATCH: usize = 64;

/// How long a client may take for an answer, and how many bytes a second it must take of a large one.
const SEND_TIME: Duration = Duration::from_secs(60);
const SEND_RATE: usize = 64 << 10;

/// What one request of a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The host or a model works on it.
    Working,
    /// Its body is coming.
    Receiving,
    /// Its answer is on its way to the client.
    Sending,
}

/// What a connection is doing.
pub(super) struct Activity {
    /// Requests so far.
    begun: AtomicU64,
    /// Requests in each phase.
    phases: [AtomicUsize; 3],
    begin: Instant,
    /// Milliseconds from `begin` to the last change.
    since: AtomicU64,
    /// Milliseconds from `begin` until which the answers must be sent.
    send_until: AtomicU64,
    evicted: AtomicBool,
    eviction: Notify,
}

impl Activity {
    fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            phases: Default::default(),
            begin: Instant::now(),
            since: AtomicU64::new(0),
            send_until: AtomicU64::new(0),
            evicted: AtomicBool::new(false),
            eviction: Notify::new(),
        }
    }

    /// A request has come.
    pub(super) fn request(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.count(Phase::Working).fetch_add(1, Ordering::Relaxed);
        self.changed();
        InFlight {
            activity: self.clone(),
            phase: Phase::Working,
        }
    }

    /// How many requests have come so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many requests are in this phase.
    pub(super) fn requests(&self, phase: Phase) -> usize {
        self.count(phase).load(Ordering::Relaxed)
    }

    /// Whether there is no request.
    pub(super) fn is_idle(&self) -> bool {
        let counts = self.phases.iter();
        counts.map(|n| n.load(Ordering::Relaxed)).sum::<usize>() == 0
    }

    /// Whether all that it does is to wait for its client, and for more than a moment.
    fn waits(&self) -> bool {
        self.requests(Phase::Working) == 0
            && self.requests(Phase::Sending) == 0
            && self.unchanged() >= LEAST_WAIT
    }

    /// How long nothing has changed.
    pub(super) fn unchanged(&self) -> Duration {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(since)
    }

    /// Whether the client has not taken its answers in time.
    pub(super) fn sends_too_long(&self) -> bool {
        let until = self.send_until.load(Ordering::Relaxed);
        self.requests(Phase::Sending) > 0 && self.now() > until
    }

    /// Returns when another client is to have this one's place.
    pub(super) async fn evicted(&self) {
        let eviction = self.eviction.notified();
        if !self.evicted.load(Ordering::Acquire) {
            eviction.await;
        }
    }

    fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.eviction.notify_one();
    }

    fn count(&self, phase: Phase) -> &AtomicUsize {
        let [working, receiving, sending] = &self.phases;
        match phase {
            Phase::Working => working,
            Phase::Receiving => receiving,
            Phase::Sending => sending,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn changed(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }
}

/// A request from its first line until its answer is sent.
pub(super) struct InFlight {
    activity: Arc<Activity>,
    phase: Phase,
}

impl InFlight {
    /// Its next phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        let activity = &*self.activity;
        activity.count(phase).fetch_add(1, Ordering::Relaxed);
        activity.count(self.phase).fetch_sub(1, Ordering::Relaxed);
        self.phase = phase;
        activity.changed();
    }

    /// An answer of so many bytes goes to the client.
    pub(super) fn send(&mut self, bytes: usize) {
        let activity = &*self.activity;
        let time = SEND_TIME + Duration::from_secs((bytes / SEND_RATE) as u64);
        let until = activity.now().saturating_add(time.as_millis() as u64);
        activity.send_until.fetch_max(until, Ordering::Relaxed);
        self.enter(Phase::Sending);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &*self.activity;
        activity.count(self.phase).fetch_sub(1, Ordering::Relaxed);
        activity.changed();
    }
}

/// All connections.
pub(super) struct Connections {
    limit: usize,
    table: Mutex<Table>,
    ended: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Activity>>,
}

impl Connections {
    /// None yet, and at most `limit`.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            table: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// A place for a connection, if there is one. Others that only wait may be told to go for it.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut table = self.lock();
        // Those who are told to go are still there for a moment, so the first who is let in for them
        // is one too many for that moment; twice the limit would be a batch each time.
        if table.open.len() >= self.limit && !make_room(&mut table, self.limit) {
            return None;
        }
        table.next += 1;
        let (number, activity) = (table.next, Arc::new(Activity::new()));
        table.open.insert(number, activity.clone());
        drop(table);
        Some(Place {
            number,
            activity,
            connections: self.clone(),
        })
    }

    /// Returns when there are no connections.
    pub(super) async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.lock().open.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells connections to go, and takes them out of the table; false if none may.
fn make_room(table: &mut Table, limit: usize) -> bool {
    // Idle ones first, then the longest waiting. A copy, because they go on meanwhile.
    let connections = table.open.iter();
    let mut waiting: Vec<_> = connections
        .filter(|(_, activity)| activity.waits())
        .map(|(number, activity)| (!activity.is_idle(), Reverse(activity.unchanged()), *number))
        .collect();
    let count = (limit / BATCH + 1).min(waiting.len());
    if count == 0 {
        return false;
    }
    waiting.select_nth_unstable(count - 1);
    for (_, _, number) in waiting.iter().take(count) {
        if let Some(activity) = table.open.remove(number) {
            activity.evict();
        }
    }
    true
}

/// The place of one connection; free when it is dropped.
pub(super) struct Place {
    number: u64,
    /// What the connection is doing.
    pub(super) activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.number);
        self.connections.ended.notify_waiters();
    }
}
