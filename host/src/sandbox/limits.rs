//! What one cell may hold: the sum of all its linear memories, and its tables.
//!
//! wasmtime asks before each memory or table is made or grown. A cap for each memory alone would
//! let a component with several memories hold several times the limit, so the sum is counted.
//! What is granted is charged to the model's account of the memory budget first.

use wasmtime::ResourceLimiter;

use crate::budget::{Charge, NoRoom};

/// Entries of all tables of a cell together. Large interpreters use a few thousand entries.
const TABLE_ENTRIES: usize = 1 << 20;

/// What a table's entry takes: a pointer.
const TABLE_ENTRY_BYTES: u64 = 8;

/// Core instances in one cell. A component made from Python has about twenty.
const INSTANCES: usize = 256;

/// Tables in one cell.
const TABLES: usize = 64;

/// Linear memories in one cell: real components have one or two. Each reserves 4 GiB of the host's
/// addresses, whatever it holds.
const MEMORIES: usize = 8;

/// Counts what a cell holds and refuses what goes beyond.
pub struct CellLimits {
    memory_limit: usize,
    memory: usize,
    table_entries: usize,
    refused: Option<Refusal>,
    charge: Charge,
    /// What was granted last, which wasmtime may still fail to give.
    granted: u64,
}

/// Why memory was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The cell would hold more than it may.
    Limit,
    /// The host's memory budget is used up.
    NoRoom(NoRoom),
}

impl CellLimits {
    /// Limits with at most `memory_limit` bytes in all linear memories together, all of it charged
    /// to `charge`.
    pub fn new(memory_limit: usize, charge: Charge) -> Self {
        Self {
            memory_limit,
            memory: 0,
            table_entries: 0,
            refused: None,
            charge,
            granted: 0,
        }
    }

    /// The limit of all linear memories together, in bytes.
    pub fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// Bytes that the cell holds of the memory budget.
    pub fn charged(&self) -> u64 {
        self.charge.bytes()
    }

    /// Why memory was refused since the last call, if it was. A guest that is refused memory mostly
    /// aborts; this tells the reason.
    pub fn take_refused(&mut self) -> Option<Refusal> {
        self.refused.take()
    }

    /// Whether the account grants `bytes` more.
    fn charge(&mut self, bytes: u64) -> bool {
        match self.charge.grow(bytes) {
            Ok(()) => {
                self.granted = bytes;
                // A guest that gets memory again has coped.
                self.refused = None;
                true
            }
            Err(no_room) => {
                self.refused = Some(Refusal::NoRoom(no_room));
                false
            }
        }
    }
}

impl ResourceLimiter for CellLimits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // wasmtime asks before it looks at the memory's own maximum.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let total = self.memory.saturating_add(more);
        if total > self.memory_limit {
            self.refused = Some(Refusal::Limit);
            return Ok(false);
        }
        if !self.charge(more as u64) {
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let total = self.table_entries.saturating_add(more);
        if total > TABLE_ENTRIES || !self.charge(more as u64 * TABLE_ENTRY_BYTES) {
            return Ok(false);
        }
        self.table_entries = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let granted = std::mem::take(&mut self.granted);
        self.charge.shrink(granted);
        self.memory = self.memory.saturating_sub(granted as usize);
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Account, Budget};

    fn limits(memory_limit: usize, budget: u64) -> CellLimits {
        let charge = Account::new(&Budget::new(budget)).charge(0).unwrap();
        CellLimits::new(memory_limit, charge)
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = limits(100, 1000);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert!(!limits.memory_growing(40, 41, None).unwrap());
        assert_eq!(limits.memory, 100);
        assert_eq!(limits.charge.bytes(), 100);
        assert_eq!(limits.take_refused(), Some(Refusal::Limit));
        assert!(!limits.memory_growing(0, 1, Some(0)).unwrap());
        assert_eq!(limits.charge.bytes(), 100, "beyond its own maximum");
        assert_eq!(limits.take_refused(), None, "refused once, reported once");
    }

    #[test]
    fn memory_is_refused_when_the_budget_is_used_up() {
        let mut limits = limits(100, 50);
        assert!(limits.memory_growing(0, 50, None).unwrap());
        assert!(!limits.memory_growing(50, 51, None).unwrap());
        assert_eq!(limits.memory, 50);
        assert!(matches!(limits.take_refused(), Some(Refusal::NoRoom(_))));
    }

    #[test]
    fn tables_are_counted_over_all_tables() {
        let mut limits = limits(0, u64::MAX);
        assert!(limits.table_growing(0, TABLE_ENTRIES, None).unwrap());
        assert!(!limits.table_growing(0, 1, None).unwrap());
        assert_eq!(limits.charge.bytes(), 8 << 20);
    }
}
