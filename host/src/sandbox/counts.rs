//! How often each of several things happened, since the host started.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// Kinds of things that are counted.
pub trait Kind: Copy + PartialEq + 'static {
    /// All kinds.
    const ALL: &'static [Self];

    /// The kind's name in metrics.
    fn name(self) -> &'static str;
}

/// A counter for each kind.
#[derive(Debug)]
pub struct Counts<K> {
    counters: Vec<AtomicU64>,
    kinds: PhantomData<K>,
}

impl<K: Kind> Default for Counts<K> {
    fn default() -> Self {
        Self {
            counters: K::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            kinds: PhantomData,
        }
    }
}

impl<K: Kind> Counts<K> {
    /// Counts one.
    pub fn count(&self, kind: K) {
        let index = K::ALL.iter().position(|&known| known == kind);
        if let Some(counter) = index.and_then(|index| self.counters.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The numbers now, by name.
    pub fn read(&self) -> Vec<(&'static str, u64)> {
        let numbers = self.counters.iter().map(|n| n.load(Ordering::Relaxed));
        K::ALL.iter().map(|kind| kind.name()).zip(numbers).collect()
    }
}
