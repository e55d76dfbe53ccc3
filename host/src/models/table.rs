//! The table of models: which are here, in the order of their last use, and which may go.
//!
//! Pure: no clock, no locks, no I/O. A name has at most one entry. What is being loaded, pinned or in
//! use never goes; what was loaded a moment ago goes only if nothing else can.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

/// A model, as far as the table needs to know it.
pub trait Resident {
    /// Whether a request has it.
    fn in_use(&self) -> bool;
}

/// What is known of a name.
pub enum Entry<L, R> {
    /// It is being loaded.
    Loading(L),
    /// It is here, since the given time.
    Ready(R, Instant),
}

/// All names, the most recently used first.
pub struct Table<L, R> {
    entries: LruCache<Arc<str>, Entry<L, R>>,
    pins: HashSet<Arc<str>>,
    min_residency: Duration,
}

impl<L, R: Resident> Table<L, R> {
    /// An empty table. Models whose names are in `pins` never go, others not within `min_residency`
    /// of their loading unless nothing else can.
    pub fn new(pins: HashSet<Arc<str>>, min_residency: Duration) -> Self {
        Self {
            entries: LruCache::unbounded(),
            pins,
            min_residency,
        }
    }

    /// The entry of `name`, which becomes the most recently used.
    pub fn touch(&mut self, name: &str) -> Option<&Entry<L, R>> {
        self.entries.get(name)
    }

    /// The entry of `name`, whose place does not change.
    pub fn peek(&self, name: &str) -> Option<&Entry<L, R>> {
        self.entries.peek(name)
    }

    /// Puts a name in, or changes what is known of it. Returns what was known before.
    pub fn put(&mut self, name: Arc<str>, entry: Entry<L, R>) -> Option<Entry<L, R>> {
        match self.entries.peek_mut(&name) {
            // A model's new version, or one that is loaded now, is no use of it.
            Some(place) => Some(std::mem::replace(place, entry)),
            None => self.entries.put(name, entry),
        }
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) -> Option<Entry<L, R>> {
        self.entries.pop(name)
    }

    /// All models that are ready, the most recently used first.
    pub fn ready(&self) -> impl DoubleEndedIterator<Item = (&Arc<str>, &R, Instant)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Ready(model, since) => Some((name, model, *since)),
            Entry::Loading(_) => None,
        })
    }

    /// How many models are being loaded.
    pub fn loading(&self) -> usize {
        let entries = self.entries.iter();
        entries
            .filter(|(_, entry)| matches!(entry, Entry::Loading(_)))
            .count()
    }

    /// At most `limit` names of ready models in alphabetical order, beginning after the name
    /// `after`; and whether there are more.
    pub fn page(&self, after: Option<&str>, limit: usize) -> (Vec<Arc<str>>, bool) {
        let mut names: Vec<Arc<str>> = self
            .ready()
            .map(|(name, _, _)| name)
            .filter(|name| after.is_none_or(|after| &***name > after))
            .cloned()
            .collect();
        let more = names.len() > limit;
        if more {
            names.select_nth_unstable(limit);
            names.truncate(limit);
        }
        names.sort_unstable();
        (names, more)
    }

    /// The model to let go next: the least recently used one that may.
    pub fn victim(&self, now: Instant) -> Option<Arc<str>> {
        let may_go = self
            .ready()
            .rev()
            .filter(|(name, model, _)| self.may_go(name, *model));
        let mut fallback = None;
        for (name, _, since) in may_go {
            if now.saturating_duration_since(since) >= self.min_residency {
                return Some(name.clone());
            }
            fallback.get_or_insert(name);
        }
        fallback.cloned()
    }

    /// The models that may go, the least recently used first.
    pub fn evictable(&self) -> impl Iterator<Item = &R> {
        let models = self.ready().rev();
        models
            .filter(|(name, model, _)| self.may_go(name, *model))
            .map(|(_, model, _)| model)
    }

    /// The models that may not go, the least recently used first.
    pub fn staying(&self) -> impl Iterator<Item = &R> {
        let models = self.ready().rev();
        models
            .filter(|(name, model, _)| !self.may_go(name, *model))
            .map(|(_, model, _)| model)
    }

    fn may_go(&self, name: &Arc<str>, model: &R) -> bool {
        !model.in_use() && !self.pins.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        in_use: bool,
    }

    impl Resident for Fake {
        fn in_use(&self) -> bool {
            self.in_use
        }
    }

    const RESIDENCY: Duration = Duration::from_secs(10);

    /// A table with models loaded at the given seconds; a name in capitals is in use.
    fn table(models: &[(&str, u64)], pins: &[&str], begin: Instant) -> Table<(), Fake> {
        let pins = pins.iter().map(|name| Arc::from(*name)).collect();
        let mut table = Table::new(pins, RESIDENCY);
        for (name, second) in models {
            let in_use = name.chars().all(char::is_uppercase);
            let since = begin + Duration::from_secs(*second);
            table.put((*name).into(), Entry::Ready(Fake { in_use }, since));
        }
        table
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let begin = Instant::now();
        let late = begin + Duration::from_secs(100);
        let mut table = table(&[("a", 0), ("b", 0), ("c", 0)], &[], begin);
        table.touch("a");
        table.peek("b");
        let mut order = Vec::new();
        while let Some(name) = table.victim(late) {
            table.remove(&name);
            order.push(name.to_string());
        }
        assert_eq!(order, ["b", "c", "a"]);
    }

    #[test]
    fn what_is_in_use_pinned_or_loading_stays() {
        let begin = Instant::now();
        let mut table = table(&[("A", 0), ("b", 0), ("c", 0)], &["b"], begin);
        table.put("d".into(), Entry::Loading(()));
        assert_eq!(table.evictable().count(), 1);
        assert_eq!(table.victim(begin).as_deref(), Some("c"));
        table.remove("c");
        assert_eq!(table.victim(begin), None);
        assert_eq!(table.evictable().count(), 0);
        assert_eq!(table.loading(), 1);
    }

    #[test]
    fn what_was_just_loaded_goes_only_if_nothing_else_can() {
        let begin = Instant::now();
        let now = begin + Duration::from_secs(15);
        let mut table = table(&[("new", 14), ("newer", 15), ("old", 1)], &[], begin);
        assert_eq!(table.victim(now).as_deref(), Some("old"));
        table.remove("old");
        assert_eq!(table.victim(now).as_deref(), Some("new"));
    }

    #[test]
    fn a_new_version_is_no_use() {
        let begin = Instant::now();
        let mut table = table(&[("a", 0), ("b", 0)], &[], begin);
        table.put("a".into(), Entry::Ready(Fake { in_use: false }, begin));
        let late = begin + Duration::from_secs(100);
        assert_eq!(table.victim(late).as_deref(), Some("a"));
    }

    #[test]
    fn pages_are_in_order() {
        let mut table = table(&[("c", 0), ("a", 0), ("b", 0)], &[], Instant::now());
        table.put("aa".into(), Entry::Loading(()));
        let page = |after, limit| {
            let (names, more) = table.page(after, limit);
            let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
            (names.join(" "), more)
        };
        assert_eq!(page(None, 2), ("a b".into(), true));
        assert_eq!(page(Some("b"), 2), ("c".into(), false));
        assert_eq!(page(None, 3), ("a b c".into(), false));
    }
}
