//! What one cell may hold: the sum of all its linear memories, and its tables.
//!
//! wasmtime asks before each memory or table is made or grown. A cap for each memory alone would
//! let a component with several memories hold several times the limit, so the sum is counted.

use wasmtime::ResourceLimiter;

/// Entries of all tables of a cell together. A table entry takes 8 to 16 bytes of the host's
/// memory. Large interpreters use a few thousand entries.
const TABLE_ENTRIES: usize = 1 << 20;

/// Core instances in one cell. A component made from Python has about twenty.
const INSTANCES: usize = 256;

/// Tables in one cell.
const TABLES: usize = 64;

/// Linear memories in one cell: real components have one or two. Each reserves 4 GiB of the host's
/// addresses, whatever it holds.
const MEMORIES: usize = 8;

/// Counts what a cell holds and refuses what goes beyond.
#[derive(Debug)]
pub struct CellLimits {
    memory_limit: usize,
    memory: usize,
    table_entries: usize,
    refused: bool,
}

impl CellLimits {
    /// Limits with at most `memory_limit` bytes in all linear memories together.
    pub fn new(memory_limit: usize) -> Self {
        Self {
            memory_limit,
            memory: 0,
            table_entries: 0,
            refused: false,
        }
    }

    /// The limit of all linear memories together, in bytes.
    pub fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// Bytes in all linear memories together.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Whether memory was refused since the last call. A guest that is refused memory mostly aborts;
    /// this tells why.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }
}

impl ResourceLimiter for CellLimits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit {
            self.refused = true;
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
        let total = self
            .table_entries
            .saturating_add(desired.saturating_sub(current));
        if total > TABLE_ENTRIES {
            return Ok(false);
        }
        self.table_entries = total;
        Ok(true)
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

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = CellLimits::new(100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert!(!limits.memory_growing(40, 41, None).unwrap());
        assert_eq!(limits.memory(), 100);
        assert!(limits.take_refused());
        assert!(!limits.take_refused(), "refused once, reported once");
    }

    #[test]
    fn tables_are_counted_over_all_tables() {
        let mut limits = CellLimits::new(0);
        assert!(limits.table_growing(0, TABLE_ENTRIES, None).unwrap());
        assert!(!limits.table_growing(0, 1, None).unwrap());
    }
}
