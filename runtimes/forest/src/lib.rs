//! Decision trees laid out for the machine, and the walk through them.
//!
//! - [`Builder`] takes trees as a model file has them, node by node, checks them and lays them out;
//! - [`Forest`] is the result: it says at which leaf of each tree a row arrives, for one row
//!   ([`Forest::leaves`]) or for many ([`Forest::leaves_of_rows`]).
//!
//! A leaf holds 32 bits whose meaning is the caller's: a value, or the place of something larger.
//!
//! # How a step is made cheap
//! A row goes left at a branch if its value is below the threshold. What else there is to decide (is
//! the value missing, which side is a missing one sent to, does zero count as missing) depends on the
//! row and the branch's feature only, not on the threshold. So it is done once for a row, before
//! the walk: the row becomes a list of *slots*, one for each pair of feature and [`Missing`] that
//! occurs in the forest, in which a missing value stands as NaN where it should go left (no threshold
//! is at most NaN) and as infinity where it should go right. Leaves have a slot of their own that
//! always holds NaN, and their left child is themselves. A step is then the same few instructions at
//! every node, without a branch that the processor could guess wrong, and several walks go
//! on side by side to hide the time that memory takes.

mod builder;
mod categories;
mod node;
mod slots;
mod value;
mod walk;

pub use builder::{Branch, BuildError, Builder, Node, Test};
pub use categories::{Codes, MOST_SET_WORDS};
pub use slots::{Missing, Side};
pub use value::Value;
pub use walk::Forest;

#[cfg(test)]
mod tests;
