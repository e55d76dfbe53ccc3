//! Walks from the roots to the leaves.

use crate::categories::Sets;
use crate::node::{Nodes, Packed, Word};
use crate::slots::Slots;
use crate::value::Value;

/// Walks that go on side by side. Enough to fill the time that a step waits for memory, and few enough
/// for their places to stay in registers.
const LANES: usize = 8;

/// After so many steps it is worth a look whether all lanes have arrived.
const STRIDE: u32 = 8;

/// The bytes of a block's slots: they and a tree should fit a processor's first cache.
const BLOCK_BYTES: usize = 16 << 10;

/// The most rows of a block.
const BLOCK_ROWS: usize = 64;

/// Decision trees, ready to be walked.
///
/// Built by [`Builder`](crate::Builder), which sees to it that each node's slot and children exist, and
/// that children stand after their parent. A walk down a tree then ends, whatever the row.
#[derive(Debug, Clone)]
pub struct Forest<T: Value> {
    pub(crate) features: u32,
    pub(crate) nodes: Nodes<T>,
    pub(crate) roots: Vec<Root>,
    pub(crate) slots: Slots,
    pub(crate) sets: Sets,
}

/// A tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Root {
    /// Where its root stands.
    pub(crate) first: u32,
    /// The steps to its deepest leaf.
    pub(crate) depth: u32,
}

impl<T: Value> Forest<T> {
    /// The number of features of a row.
    pub fn features(&self) -> usize {
        self.features as usize
    }

    /// The number of trees.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// The bytes that the nodes of all trees take, leaves included.
    pub fn node_bytes(&self) -> usize {
        self.nodes.bytes()
    }

    /// Keeps the first trees, and gives back the memory of the others.
    pub fn truncate(&mut self, trees: usize) {
        if let Some(root) = self.roots.get(trees) {
            self.nodes.truncate(root.first as usize);
            self.roots.truncate(trees);
            self.roots.shrink_to_fit();
        }
    }

    /// Writes to `payloads`, for each tree, what the leaf holds at which a row arrives. Both lists
    /// may be shorter: features that the row has no entry for are missing, and trees that
    /// `payloads` has no entry for are left out.
    pub fn leaves(&self, row: &[T], payloads: &mut [u32]) {
        let mut values = vec![T::NAN; self.slots.width()];
        self.slots.fill(row, &mut values);
        match &self.nodes {
            Nodes::Narrow(nodes) => self.leaves_in(nodes, &values, payloads),
            Nodes::Wide(nodes) => self.leaves_in(nodes, &values, payloads),
        }
    }

    /// Finds the leaves of many rows. `rows` has `width` numbers for each row, one row after the
    /// other; features from `width` on are missing. Calls `found` with the first row of a block, the
    /// tree, and what the leaves hold at which the rows of the block arrive, in this order: all trees
    /// for a block of rows, then the next block.
    pub fn leaves_of_rows(
        &self,
        rows: &[T],
        width: usize,
        mut found: impl FnMut(usize, usize, &[u32]),
    ) {
        let slots = self.slots.width();
        let count = (BLOCK_BYTES / (slots * size_of::<T>())).clamp(LANES, BLOCK_ROWS);
        let count = count / LANES * LANES;
        // A block always has the same size. What an incomplete one leaves over is walked and ignored.
        let mut block = vec![T::NAN; slots * count];
        let mut payloads = [0; BLOCK_ROWS];
        let mut first = 0;
        for rows in rows.chunks(width.max(1) * count) {
            let mut used = 0_usize;
            for (row, to) in rows.chunks(width.max(1)).zip(block.chunks_exact_mut(slots)) {
                self.slots.fill(row, to);
                used += 1;
            }
            for (tree, &root) in self.roots.iter().enumerate() {
                let lanes = used.next_multiple_of(LANES);
                for (block, payloads) in block
                    .chunks_exact(slots * LANES)
                    .zip(payloads.chunks_exact_mut(LANES))
                    .take(lanes / LANES)
                {
                    match &self.nodes {
                        Nodes::Narrow(nodes) => self.rows_in(nodes, root, block, payloads),
                        Nodes::Wide(nodes) => self.rows_in(nodes, root, block, payloads),
                    }
                }
                if let Some(payloads) = payloads.get(..used) {
                    found(first, tree, payloads);
                }
            }
            first += used;
        }
    }

    /// One row through all trees.
    fn leaves_in<W: Word>(&self, nodes: &[Packed<T, W>], row: &[T], payloads: &mut [u32]) {
        for (roots, payloads) in self.roots.chunks(LANES).zip(payloads.chunks_mut(LANES)) {
            let mut at = [0; LANES];
            let mut depth = 0;
            for (at, root) in at.iter_mut().zip(roots) {
                *at = root.first;
                depth = depth.max(root.depth);
            }
            self.walk(nodes, row, 0, depth, &mut at);
            read(nodes, at, payloads);
        }
    }

    /// As many rows as there are lanes through one tree.
    fn rows_in<W: Word>(
        &self,
        nodes: &[Packed<T, W>],
        root: Root,
        block: &[T],
        payloads: &mut [u32],
    ) {
        let mut at = [root.first; LANES];
        self.walk(nodes, block, self.slots.width(), root.depth, &mut at);
        read(nodes, at, payloads);
    }

    /// Moves all lanes to their leaves. Lane `i` reads its row at `i * distance`.
    #[inline]
    fn walk<W: Word>(
        &self,
        nodes: &[Packed<T, W>],
        rows: &[T],
        distance: usize,
        depth: u32,
        at: &mut [u32; LANES],
    ) {
        // Decided here and not at each step, which then has nothing to do with sets.
        if self.sets.is_empty() {
            let right = |node: Packed<T, W>, value: T| value >= node.value();
            walk(nodes, rows, distance, depth, at, right);
        } else {
            let right = |node: Packed<T, W>, value: T| {
                if node.is_categorical() {
                    self.sets.goes_right(node.value().into_bits(), value)
                } else {
                    value >= node.value()
                }
            };
            walk(nodes, rows, distance, depth, at, right);
        }
    }
}

#[inline]
fn walk<T: Value, W: Word>(
    nodes: &[Packed<T, W>],
    rows: &[T],
    distance: usize,
    depth: u32,
    at: &mut [u32; LANES],
    right: impl Fn(Packed<T, W>, T) -> bool,
) {
    let mut remaining = depth;
    while remaining > 0 {
        let steps = remaining.min(STRIDE);
        for _ in 0..steps {
            for (lane, at) in at.iter_mut().enumerate() {
                *at = step(nodes, rows, lane * distance, *at, &right);
            }
        }
        remaining -= steps;
        // Trees may be much deeper at one place than where the rows go.
        if remaining > 0 && at.iter().all(|&at| node(nodes, at).offset() == 0) {
            return;
        }
    }
}

/// From a node to its child; from a leaf to itself.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "the builder sees to it that each slot exists, and a step has no room for more"
)]
fn step<T: Value, W: Word>(
    nodes: &[Packed<T, W>],
    rows: &[T],
    row: usize,
    at: u32,
    right: impl Fn(Packed<T, W>, T) -> bool,
) -> u32 {
    let node = node(nodes, at);
    let value = rows[row + node.slot()];
    at + node.offset() + u32::from(right(node, value))
}

#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "the builder sees to it that each child exists, and a step has no room for more"
)]
fn node<N: Copy>(nodes: &[N], at: u32) -> N {
    nodes[at as usize]
}

/// What the leaves hold that the lanes are at.
#[inline]
fn read<T: Value, W: Word>(nodes: &[Packed<T, W>], at: [u32; LANES], payloads: &mut [u32]) {
    for (payload, at) in payloads.iter_mut().zip(at) {
        *payload = node(nodes, at).value().into_bits();
    }
}
