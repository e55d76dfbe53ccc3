//! The disk budget's policy: what fits, and what goes to make room. No I/O.

use std::hash::Hash;

use lru::LruCache;

/// What the disk budget holds: bytes that somebody needs, and cached files in the order of their use.
#[derive(Debug)]
pub struct Ledger<K: Hash + Eq> {
    limit: u64,
    held: u64,
    cached: u64,
    files: LruCache<K, u64>,
}

/// The answer to who asks for room.
#[derive(Debug, PartialEq, Eq)]
pub enum Room<K> {
    /// The bytes are theirs.
    Held,
    /// Not before this file is deleted, which the ledger no longer counts.
    Evict(K),
    /// Not even if every cached file went.
    None,
}

impl<K: Hash + Eq> Ledger<K> {
    /// An empty ledger of a budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            held: 0,
            cached: 0,
            files: LruCache::unbounded(),
        }
    }

    /// Bytes of the budget.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that nothing can evict.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Bytes in all.
    pub fn used(&self) -> u64 {
        self.held.saturating_add(self.cached)
    }

    /// Holds `bytes` if they fit; else names the cached file that was used longest ago, if the bytes
    /// fit once enough of these are gone.
    pub fn hold(&mut self, bytes: u64) -> Room<K> {
        let needed = self.held.saturating_add(bytes);
        if needed > self.limit {
            return Room::None;
        }
        match self.excess(bytes) {
            Some(file) => Room::Evict(file),
            None => {
                self.held = needed;
                Room::Held
            }
        }
    }

    /// Nobody needs `bytes` any more.
    pub fn release(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// A cached file was written, found or used: it is the last to go.
    pub fn cache(&mut self, file: K, bytes: u64) {
        let before = self.files.put(file, bytes).unwrap_or(0);
        self.cached = self.cached.saturating_sub(before).saturating_add(bytes);
    }

    /// A cached file is gone.
    pub fn forget(&mut self, file: &K) {
        let bytes = self.files.pop(file).unwrap_or(0);
        self.cached = self.cached.saturating_sub(bytes);
    }

    /// A file to delete before `bytes` more are within the budget.
    pub fn excess(&mut self, bytes: u64) -> Option<K> {
        if self.used().saturating_add(bytes) <= self.limit {
            return None;
        }
        let (file, freed) = self.files.pop_lru()?;
        self.cached = self.cached.saturating_sub(freed);
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A budget of 100 bytes with 30 in each of three files.
    fn ledger() -> Ledger<&'static str> {
        let mut ledger = Ledger::new(100);
        for file in ["a", "b", "c"] {
            ledger.cache(file, 30);
        }
        ledger
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_no_more_than_needed() {
        let mut ledger = ledger();
        assert_eq!(ledger.hold(10), Room::Held);
        ledger.cache("a", 30);
        assert_eq!(ledger.hold(20), Room::Evict("b"));
        assert_eq!(ledger.hold(20), Room::Held);
        assert_eq!(ledger.used(), 90);
        assert_eq!(ledger.hold(40), Room::Evict("c"));
        assert_eq!(ledger.hold(40), Room::Held);
        assert_eq!((ledger.used(), ledger.held()), (100, 70));
    }

    #[test]
    fn nothing_goes_for_what_can_never_fit() {
        let mut ledger = ledger();
        assert_eq!(ledger.hold(101), Room::None);
        assert_eq!(ledger.hold(u64::MAX), Room::None);
        assert_eq!(ledger.hold(10), Room::Held);
        assert_eq!(ledger.hold(91), Room::None);
        assert_eq!(ledger.used(), 100);
    }

    #[test]
    fn bytes_are_counted_once() {
        let mut ledger = ledger();
        ledger.cache("a", 40);
        assert_eq!(ledger.used(), 100);
        ledger.forget(&"a");
        ledger.forget(&"a");
        assert_eq!(ledger.used(), 60);
        assert_eq!(ledger.hold(40), Room::Held);
        ledger.release(40);
        assert_eq!(ledger.used(), 60);
    }

    #[test]
    fn a_smaller_budget_than_before_is_met_by_evicting() {
        let mut ledger = Ledger::new(50);
        for file in ["a", "b", "c"] {
            ledger.cache(file, 30);
        }
        assert_eq!(ledger.excess(0), Some("a"));
        assert_eq!(ledger.excess(0), Some("b"));
        assert_eq!(ledger.excess(0), None);
    }
}
