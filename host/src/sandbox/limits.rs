//! What one cell may hold: the sum of all its linear memories, its tables, instances and handles.
//!
//! wasmtime asks before each memory or table is made or grown. A cap for each memory alone would
//! let a component with several memories hold several times the limit, so the sum is counted.
//! What is granted is charged to the model's account of the memory budget first.

use std::fmt;

use bytesize::ByteSize;
use wasmtime::{ResourceLimiter, Trap};
use wasmtime_wasi::ResourceTableError;

use super::GUEST_STACK;
use super::counts::Kind;
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

/// Handles of the host that a guest may hold at a time (open files, streams, timers, listings of
/// directories). An open file is one of the host's too, of which it has a few thousand for all cells
/// and connections; a listing holds the names of all files.
pub(super) const HANDLES: usize = 64;

/// Handles of the guest's own resources that a cell may hold at a time. Each request needs two.
pub(super) const RESOURCES: usize = 4096;

/// A limit of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Bytes of all linear memories together.
    Memory,
    /// Entries of all tables together.
    TableEntries,
    /// Core instances, memories or tables.
    Instances,
    /// Bytes of stack.
    Stack,
    /// Time for a hook or a request.
    Time,
    /// Bytes of strings and lists that leave a cell in one call.
    Transfer,
    /// Files, streams and timers.
    Handles,
    /// Handles of the guest's own resources.
    Resources,
    /// Bytes printed for one request. What goes beyond is dropped; the request goes on.
    Log,
}

impl Kind for LimitKind {
    const ALL: &'static [Self] = &[
        Self::Memory,
        Self::TableEntries,
        Self::Instances,
        Self::Stack,
        Self::Time,
        Self::Transfer,
        Self::Handles,
        Self::Resources,
        Self::Log,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::TableEntries => "table_entries",
            Self::Instances => "instances",
            Self::Stack => "stack",
            Self::Time => "time",
            Self::Transfer => "transfer",
            Self::Handles => "handles",
            Self::Resources => "resources",
            Self::Log => "log",
        }
    }
}

/// A guest went beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach {
    /// Which limit.
    pub kind: LimitKind,
    /// What is allowed: bytes, or a number.
    pub limit: usize,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        let size = ByteSize(limit as u64);
        match self.kind {
            LimitKind::Memory => write!(
                f,
                "needed more than the {size} of memory that a cell may hold (--cell-memory, or \
                 cell-memory in the artifact's modelcell.toml)"
            ),
            LimitKind::TableEntries => write!(
                f,
                "needed more than the {limit} table entries that a cell may hold"
            ),
            LimitKind::Instances => write!(
                f,
                "needs more than {INSTANCES} core instances, {TABLES} tables or {MEMORIES} linear \
                 memories, which is all that a cell may have"
            ),
            LimitKind::Stack => write!(
                f,
                "was ended: call stack exhausted (it may use {size}; a recursion without end?)"
            ),
            LimitKind::Time => write!(f, "did not finish in time"),
            LimitKind::Transfer => write!(
                f,
                "passed more than the {size} of strings and lists that may leave a cell in one \
                 call (--max-response)"
            ),
            LimitKind::Handles => write!(
                f,
                "opened more than the {limit} files, streams and timers that a cell may hold"
            ),
            LimitKind::Resources => write!(
                f,
                "made more than the {limit} handles of its resources that a cell may hold"
            ),
            LimitKind::Log => write!(f, "printed more than {size} for one request (--guest-log)"),
        }
    }
}

/// Counts what a cell holds and refuses what goes beyond.
pub struct CellLimits {
    memory_limit: usize,
    transfer_limit: usize,
    memory: usize,
    table_entries: usize,
    /// The first memory is the snapshot's, which was counted before it was asked for.
    counted_ahead: bool,
    refused: Option<Refusal>,
    charge: Charge,
    /// What was granted last, which wasmtime may still fail to give.
    granted: u64,
}

/// Why memory was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The cell would hold more than it may.
    Limit(Breach),
    /// The host's memory budget is used up.
    NoRoom(NoRoom),
}

impl CellLimits {
    /// Limits with at most `memory_limit` bytes in all linear memories together, all of it charged
    /// to `charge`, and at most `transfer_limit` bytes that leave the cell in one call.
    pub fn new(memory_limit: usize, transfer_limit: usize, charge: Charge) -> Self {
        Self {
            memory_limit,
            transfer_limit,
            memory: 0,
            table_entries: 0,
            counted_ahead: false,
            refused: None,
            charge,
            granted: 0,
        }
    }

    /// Counts the `bytes` of a snapshot's memory, which have been charged already. The instance will
    /// ask for the memory as its code declares it, which says nothing of its real size.
    #[must_use]
    pub fn with_snapshot(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self.counted_ahead = true;
        self
    }

    /// Allows `bytes` more memory than the limit.
    pub fn allow_more(&mut self, bytes: usize) {
        self.memory_limit = self.memory_limit.saturating_add(bytes);
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

    /// The limit that made a call end with `error`, if it was one.
    pub fn breach_of(&self, error: &wasmtime::Error) -> Option<Breach> {
        let breach = |kind, limit| Some(Breach { kind, limit });
        if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
            return breach(LimitKind::Stack, GUEST_STACK);
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
            return breach(LimitKind::Handles, HANDLES);
        }
        // wasmtime has no types for these.
        let text = error.root_cause().to_string();
        if text.contains("fuel allocated for hostcalls") {
            breach(LimitKind::Transfer, self.transfer_limit)
        } else if text.contains("store handle limit exceeded") {
            breach(LimitKind::Resources, RESOURCES)
        } else if text.starts_with("resource limit exceeded: ") {
            breach(LimitKind::Instances, INSTANCES)
        } else {
            None
        }
    }

    fn refuse(&mut self, kind: LimitKind, limit: usize) {
        self.refused = Some(Refusal::Limit(Breach { kind, limit }));
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
        // What was granted before, was given.
        self.granted = 0;
        // wasmtime asks before it looks at the memory's own maximum.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if current == 0 && std::mem::take(&mut self.counted_ahead) {
            return Ok(true);
        }
        let more = desired.saturating_sub(current);
        let total = self.memory.saturating_add(more);
        if total > self.memory_limit {
            self.refuse(LimitKind::Memory, self.memory_limit);
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
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let total = self.table_entries.saturating_add(more);
        if total > TABLE_ENTRIES {
            self.refuse(LimitKind::TableEntries, TABLE_ENTRIES);
            return Ok(false);
        }
        if !self.charge(more as u64 * TABLE_ENTRY_BYTES) {
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
        CellLimits::new(memory_limit, 0, charge)
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = limits(100, 1000);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert!(!limits.memory_growing(40, 41, None).unwrap());
        assert_eq!(limits.memory, 100);
        assert_eq!(limits.charge.bytes(), 100);
        let breach = Breach {
            kind: LimitKind::Memory,
            limit: 100,
        };
        assert_eq!(limits.take_refused(), Some(Refusal::Limit(breach)));
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
