//! Trees from a file, checked and laid out.

use std::fmt;

use crate::categories::{Codes, MOST_SET_WORDS, Sets};
use crate::node::{Fields, Nodes};
use crate::slots::{Missing, Reading, Side, SlotsBuilder};
use crate::value::Value;
use crate::walk::{Forest, Root};

/// A node as a file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node<'a, T> {
    /// The end of a walk, with 32 bits for the caller.
    Leaf(u32),
    /// A question with two answers.
    Branch(Branch<'a, T>),
}

/// A question about one feature, and where each answer leads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Branch<'a, T> {
    /// The feature's column, from 0.
    pub feature: u32,
    /// The left child's number in its tree.
    pub left: u32,
    /// The right child's.
    pub right: u32,
    /// The question.
    pub test: Test<'a, T>,
}

/// A branch's question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test<'a, T> {
    /// Values below the threshold go left, others right, save those that are missing. (For `<=`, give
    /// the next larger number.)
    Below {
        /// Any number but NaN.
        threshold: T,
        /// What is missing, and where that goes.
        missing: Missing,
    },
    /// Categories of a set go to one side, all else that is not missing to the other.
    Among {
        /// The set as bits: category 0 is the lowest of the first word.
        members: &'a [u32],
        /// Where its categories go.
        side: Side,
        /// Where NaN goes.
        missing: Side,
        /// What makes a number a category.
        codes: Codes,
    },
}

/// Why trees make no forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The tree, from 0, in the order in which they were added.
    pub tree: usize,
    /// The node's number in its tree.
    pub node: u32,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tree,
            node,
            message,
        } = self;
        write!(f, "tree {tree}, node {node}: {message}")
    }
}

impl std::error::Error for BuildError {}

/// Takes trees one after the other and makes a [`Forest`] of them.
#[derive(Debug)]
pub struct Builder<T: Value> {
    features: u32,
    nodes: Nodes<T>,
    roots: Vec<Root>,
    slots: SlotsBuilder,
    sets: Sets,
    /// Which nodes of the tree at hand have been reached. Kept for the next tree's sake.
    reached: Vec<bool>,
    /// Nodes of the tree at hand, level by level, and where they go.
    queue: Vec<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// The number in the file.
    from: u32,
    /// The place in the forest.
    to: u32,
    /// Steps from the root.
    depth: u32,
}

impl<T: Value> Builder<T> {
    /// A forest without trees, for rows of this many features.
    pub fn new(features: u32) -> Self {
        Self {
            features,
            nodes: Nodes::Narrow(Vec::new()),
            roots: Vec::new(),
            slots: SlotsBuilder::default(),
            sets: Sets::default(),
            reached: Vec::new(),
            queue: Vec::new(),
        }
    }

    /// Makes room for this many nodes more. Do not take the number from a file's word for it.
    pub fn reserve(&mut self, nodes: usize) {
        self.nodes.reserve(nodes);
    }

    /// Appends a tree of `count` nodes whose root is node 0. `node` says what the file has at a
    /// number below `count`; it is asked once for each node that a path from the root leads to.
    /// Nodes without such a path are left out: `XGBoost` keeps pruned ones in its files.
    ///
    /// # Errors
    /// If a child's number is not below `count`, two paths lead to a node (so a circle, too), a feature
    /// is not below the number of features, a threshold is NaN, there are more nodes than a forest
    /// can have, the sets of all nodes have more than [`MOST_SET_WORDS`], or `node` fails. The builder is of no use then.
    pub fn add_tree<'a>(
        &mut self,
        count: usize,
        mut node: impl FnMut(u32) -> Result<Node<'a, T>, String>,
    ) -> Result<(), BuildError> {
        let tree = self.roots.len();
        let failed = |node, message| BuildError {
            tree,
            node,
            message,
        };
        let first = self.make_room(1).ok_or_else(|| failed(0, too_many()))?;
        self.reached.clear();
        self.reached.resize(count, false);
        self.queue.clear();
        self.queue.push(Waiting {
            from: 0,
            to: first,
            depth: 0,
        });
        let (mut next, mut depth) = (0, 0);
        while let Some(&waiting) = self.queue.get(next) {
            next += 1;
            // The queue holds a level after the other, so the last is the deepest.
            depth = waiting.depth;
            self.reach(waiting.from, count)
                .and_then(|()| node(waiting.from))
                .and_then(|node| self.place(waiting, node))
                .map_err(|message| failed(waiting.from, message))?;
        }
        self.roots.push(Root { first, depth });
        Ok(())
    }

    /// The finished forest.
    pub fn finish(mut self) -> Forest<T> {
        self.nodes.shrink_to_fit();
        self.roots.shrink_to_fit();
        self.sets.shrink_to_fit();
        Forest {
            features: self.features,
            nodes: self.nodes,
            roots: self.roots,
            slots: self.slots.finish(),
            sets: self.sets,
        }
    }

    /// In a tree one path leads to each node. Seeing to that makes the building and all walks end.
    fn reach(&mut self, node: u32, count: usize) -> Result<(), String> {
        match self.reached.get_mut(node as usize) {
            None => Err(format!("there is no such node: the tree has {count}")),
            Some(true) => Err("two paths lead to it".to_owned()),
            Some(seen) => {
                *seen = true;
                Ok(())
            }
        }
    }

    fn place(&mut self, waiting: Waiting, node: Node<'_, T>) -> Result<(), String> {
        let branch = match node {
            Node::Leaf(payload) => {
                self.nodes.set_leaf(waiting.to as usize, payload);
                return Ok(());
            }
            Node::Branch(branch) => branch,
        };
        if branch.feature >= self.features {
            return Err(format!(
                "it splits on feature {}, but there are {} (the first is 0)",
                branch.feature, self.features
            ));
        }
        let left = self.make_room(2).ok_or_else(too_many)?;
        let depth = waiting.depth + 1;
        for (from, to) in [(branch.left, left), (branch.right, left + 1)] {
            self.queue.push(Waiting { from, to, depth });
        }
        let (value, reading) = self.test(branch.test)?;
        let fields = Fields {
            slot: self.slots.slot(branch.feature, reading),
            offset: left - waiting.to,
            categorical: matches!(reading, Reading::Category(_)),
        };
        self.nodes
            .set_branch(waiting.to as usize, value, fields)
            .then_some(())
            .ok_or_else(too_many)
    }

    /// What to keep in place of the threshold, and how to read the feature.
    fn test(&mut self, test: Test<'_, T>) -> Result<(T, Reading), String> {
        match test {
            Test::Below { threshold, .. } if threshold.is_nan() => {
                Err("its threshold is not a number".to_owned())
            }
            Test::Below { threshold, missing } => Ok((threshold, Reading::Number(missing))),
            Test::Among {
                members,
                side,
                missing,
                codes,
            } => {
                let place = self
                    .sets
                    .add(members, side, missing)
                    .ok_or_else(large_sets)?;
                Ok((T::from_bits(place), Reading::Category(codes)))
            }
        }
    }

    /// Appends nodes, and says where the first stands.
    fn make_room(&mut self, count: usize) -> Option<u32> {
        let place = u32::try_from(self.nodes.len()).ok()?;
        // The last one's place must be a number, too.
        place.checked_add(u32::try_from(count).ok()?)?;
        self.nodes.extend(count);
        Some(place)
    }
}

fn too_many() -> String {
    "the forest has more nodes than fit".to_owned()
}

fn large_sets() -> String {
    format!("up to it, sets of categories take more than {MOST_SET_WORDS} words of 32 categories")
}
