//! All connections, what each is doing, and which must go for a new one.
//!
//! A connection waits for its client (idle, between its requests, or while a body comes), works (a
//! model or the host has its turn), or sends an answer. When there are as many as allowed and another
//! client comes, those that have been idle for longest are closed, or else those whose bodies have
//! been coming for longest, or else those that take their answers more slowly than any network does;
//! whoever has a request at work is never cut off. A client that finds no such connection is refused.
//! So neither clients that keep connections open nor those that are slow on purpose can lock others
//! out.

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

/// How long a search that found no connection for a new client holds. A crowd at a door that stays
/// shut must not mean a search for each either.
const SEARCH_PAUSE: Duration = Duration::from_millis(20);

/// How long a client may take for an answer, and how many bytes a second it must take of a large one.
const SEND_TIME: Duration = Duration::from_secs(60);
/// The same while another client has no place.
const CROWDED_SEND_TIME: Duration = Duration::from_secs(10);
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
    /// Milliseconds from `begin` until which the answers must be sent that are on their way. One for
    /// each: an HTTP/2 client that takes some answers must not keep others for ever.
    sending: Mutex<Vec<u64>>,
    /// Whether requests that come now are too late.
    closed: AtomicBool,
    evicted: AtomicBool,
    eviction: Notify,
}

impl Activity {
    fn new(begin: Instant) -> Self {
        Self {
            begun: AtomicU64::new(0),
            phases: Default::default(),
            begin,
            since: AtomicU64::new(0),
            sending: Mutex::default(),
            closed: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            eviction: Notify::new(),
        }
    }

    /// The head of a request has come.
    ///
    /// It is `Receiving`: the host may not turn to it before the client has taken earlier answers.
    pub(super) fn request(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.count(Phase::Receiving).fetch_add(1, Ordering::Relaxed);
        self.changed();
        InFlight {
            activity: self.clone(),
            phase: Phase::Receiving,
            send_until: None,
        }
    }

    /// Requests that come from now on are too late.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether requests that come now are too late.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
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

    /// What it waits for, if it does nothing but wait for its client, and for more than a moment.
    fn waits(&self) -> Option<Wait> {
        if self.requests(Phase::Working) > 0 {
            return None;
        }
        if self.requests(Phase::Sending) > 0 {
            let spared = SEND_TIME.saturating_sub(CROWDED_SEND_TIME);
            return self.sends_longer_than(spared).then_some(Wait::Answer);
        }
        let wait = match self.is_idle() {
            true => Wait::Request,
            false => Wait::Body,
        };
        (self.unchanged() >= LEAST_WAIT).then_some(wait)
    }

    /// How long nothing has changed.
    pub(super) fn unchanged(&self) -> Duration {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(since)
    }

    /// Whether the client has not taken an answer in time.
    pub(super) fn sends_too_long(&self) -> bool {
        self.sends_longer_than(Duration::ZERO)
    }

    /// Whether an answer must have been sent so long from now.
    fn sends_longer_than(&self, spared: Duration) -> bool {
        let end = self.now().saturating_add(millis(spared));
        self.sending().iter().any(|until| *until < end)
    }

    fn sending(&self) -> MutexGuard<'_, Vec<u64>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
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
        millis(self.begin.elapsed())
    }

    fn changed(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a connection waits for, in the order in which those that wait have to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Request,
    Body,
    /// For the client to take an answer.
    Answer,
}

/// A request from its head until its answer is sent.
pub(super) struct InFlight {
    activity: Arc<Activity>,
    phase: Phase,
    /// Its own among those of the connection.
    send_until: Option<u64>,
}

impl InFlight {
    /// Whether it came after its connection was to end.
    pub(super) fn is_late(&self) -> bool {
        self.activity.is_closed()
    }

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
        let until = activity.now().saturating_add(millis(time));
        activity.sending().push(until);
        self.send_until = Some(until);
        self.enter(Phase::Sending);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &*self.activity;
        if let Some(until) = self.send_until {
            let mut sending = activity.sending();
            if let Some(place) = sending.iter().position(|other| *other == until) {
                sending.swap_remove(place);
            }
        }
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
    /// Those that may stay.
    open: HashMap<u64, Arc<Activity>>,
    /// Those, and those that have been told to go and are still there.
    places: usize,
    /// When none could be told to go.
    in_vain: Option<Instant>,
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
        table.places += 1;
        let (number, activity) = (table.next, Arc::new(Activity::new(Instant::now())));
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
            if self.lock().places == 0 {
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
    if table.in_vain.is_some_and(|at| at.elapsed() < SEARCH_PAUSE) {
        return false;
    }
    // Idle ones first, then the longest waiting. A copy, because they go on meanwhile.
    let connections = table.open.iter();
    let mut waiting: Vec<_> = connections
        .filter_map(|(number, activity)| {
            Some((activity.waits()?, Reverse(activity.unchanged()), *number))
        })
        .collect();
    let count = (limit / BATCH + 1).min(waiting.len());
    if count == 0 {
        table.in_vain = Some(Instant::now());
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
        let mut table = self.connections.lock();
        table.open.remove(&self.number);
        table.places = table.places.saturating_sub(1);
        drop(table);
        self.connections.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
