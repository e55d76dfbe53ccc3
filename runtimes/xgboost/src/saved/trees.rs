//! The trees of a file, taken one after the other.

use modelcell_forest::{Builder, Forest, MOST_SET_WORDS, Node};
use modelcell_guest::{Error, Result};

use super::tree::{Leaf, TreeColumns};

/// Builds a forest while its file is read.
pub(crate) struct TreesBuilder {
    forest: Builder<f32>,
    /// Numbers of all vector leaves, one leaf after the other.
    vectors: Vec<f32>,
    /// The length of the leaves of all trees. 1 if they are numbers.
    leaf_size: Option<u32>,
    /// The output of each tree.
    outputs: Vec<u32>,
    trees: usize,
    set_words: usize,
    /// The highest feature, and the tree and node that split on it. How many features there are is
    /// said only behind the trees.
    highest: Option<(u32, usize, u32)>,
}

impl Default for TreesBuilder {
    fn default() -> Self {
        Self::new(0)
    }
}

/// What [`TreesBuilder`] has built.
pub(crate) struct Trees {
    pub(crate) forest: Forest<f32>,
    /// Numbers of all vector leaves. Empty if leaves are numbers.
    pub(crate) vectors: Vec<f32>,
    /// The output of each tree. Empty if there is one output, or leaves are vectors.
    pub(crate) outputs: Vec<u32>,
}

impl TreesBuilder {
    /// No trees yet, but room for so many nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        let mut forest = Builder::new(u32::MAX);
        forest.reserve(nodes);
        Self {
            forest,
            vectors: Vec::new(),
            leaf_size: None,
            outputs: Vec::new(),
            trees: 0,
            set_words: 0,
            highest: None,
        }
    }

    /// Whether a tree's `base_weights` may be its leaves.
    pub(crate) fn wants_base_weights(&self) -> bool {
        self.leaf_size != Some(1)
    }

    /// The number of trees so far.
    pub(crate) fn count(&self) -> usize {
        self.trees
    }

    /// Takes a tree.
    pub(crate) fn add(&mut self, tree: &mut TreeColumns) -> Result<()> {
        let index = self.trees;
        let failed = |message| Error::failed(format_args!("tree {index}: {message}"));
        let size = tree.leaf_size.max(1);
        if *self.leaf_size.get_or_insert(size) != size {
            return Err(failed(format!(
                "its leaves have {size} numbers, those of others {}",
                self.leaf_size.unwrap_or_default()
            )));
        }
        let words = tree
            .prepare_sets(MOST_SET_WORDS - self.set_words)
            .map_err(failed)?;
        self.set_words += words;
        let (vectors, highest) = (&mut self.vectors, &mut self.highest);
        let tree = &*tree;
        let most = vectors.len() + tree.weights();
        self.forest.add_tree(tree.count(), |number| {
            if let Some(leaf) = tree.leaf(number)? {
                return Ok(Node::Leaf(payload(&leaf, vectors, most)?));
            }
            let node = tree.branch(number)?;
            if let Node::Branch(branch) = &node
                && highest.is_none_or(|(feature, ..)| branch.feature > feature)
            {
                *highest = Some((branch.feature, index, number));
            }
            Ok(node)
        })?;
        self.trees += 1;
        Ok(())
    }

    /// Takes the outputs of all trees.
    pub(crate) fn set_outputs(&mut self, outputs: Vec<u32>) {
        self.outputs = outputs;
    }

    /// All trees, for so many features and outputs.
    ///
    /// # Errors
    /// If the trees do not go with these.
    pub(crate) fn finish(mut self, features: u32, outputs: usize) -> Result<Trees> {
        if let Some((feature, tree, node)) = self.highest
            && feature >= features
        {
            return Err(Error::failed(format_args!(
                "tree {tree}, node {node}: it splits on feature {feature}, but there are {features} \
                 (the first is 0)"
            )));
        }
        let is_vector = self.leaf_size.unwrap_or(1) > 1;
        if is_vector && self.leaf_size.map(|size| size as usize) != Some(outputs) {
            return Err(Error::failed(format_args!(
                "leaves have {} numbers, but the model has {outputs} outputs",
                self.leaf_size.unwrap_or_default()
            )));
        }
        if is_vector {
            self.outputs.clear();
        } else {
            self.check_outputs(outputs)?;
        }
        if outputs == 1 {
            self.outputs.clear();
        }
        self.outputs.shrink_to_fit();
        self.vectors.shrink_to_fit();
        Ok(Trees {
            forest: self.forest.finish(),
            vectors: self.vectors,
            outputs: self.outputs,
        })
    }

    fn check_outputs(&self, outputs: usize) -> Result<()> {
        if self.outputs.len() != self.trees {
            return Err(Error::failed(format_args!(
                "tree_info has {} entries for {} trees",
                self.outputs.len(),
                self.trees
            )));
        }
        let wrong = |&(_, &output): &(usize, &u32)| output as usize >= outputs;
        match self.outputs.iter().enumerate().find(wrong) {
            None => Ok(()),
            Some((tree, output)) => Err(Error::failed(format_args!(
                "tree {tree}: it belongs to output {output} of {outputs} (the first is 0)"
            ))),
        }
    }
}

/// What the forest keeps for a leaf: the number itself, or where the vector begins. Vectors may have
/// `most` numbers after this tree, as many as stand in the file: leaves could name the same place there,
/// and few bytes would become many.
fn payload(leaf: &Leaf<'_>, vectors: &mut Vec<f32>, most: usize) -> Result<u32, String> {
    match leaf {
        Leaf::Number(value) => Ok(value.to_bits()),
        Leaf::Vector(vector) => {
            let start = u32::try_from(vectors.len()).map_err(|_| "too many leaves".to_owned())?;
            if vectors.len() + vector.len() > most {
                return Err("its leaf vector belongs to other leaves, too".to_owned());
            }
            vectors.extend_from_slice(vector);
            Ok(start)
        }
    }
}
