//! Trees as a file describes them, and how they are laid out for the walk.

use tract_onnx::tract_hir::internal::*;

use super::forest::{Forest, Mode, Node, Threshold, Trees, Weight};

/// Trees as a file describes them. Nothing in here has been checked.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) roots: Vec<Place>,
    pub(super) branches: Vec<Branch>,
    pub(super) leaves: Vec<Vec<Weight>>,
    /// The number of targets or classes that leaves have weights for.
    pub(super) targets: usize,
}

/// A node, by its number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Branch(usize),
    Leaf(usize),
}

/// A node with two children.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) mode: Mode,
    pub(super) feature: i64,
    pub(super) threshold: f64,
    /// Whether a missing value counts as a yes.
    pub(super) missing_is_true: bool,
    pub(super) on_true: Place,
    pub(super) on_false: Place,
}

impl Described {
    /// Lays the trees out, each node after its parent.
    pub(super) fn trees(&self, is_double: bool) -> TractResult<Trees> {
        Ok(if is_double {
            Trees::Wide(self.lay_out()?)
        } else {
            Trees::Narrow(self.lay_out()?)
        })
    }

    fn lay_out<T: Threshold>(&self) -> TractResult<Forest<T>> {
        let mut forest = Forest::default();
        let mut reached = vec![false; self.branches.len()];
        for (tree, root) in self.roots.iter().enumerate() {
            let start = u32::try_from(forest.nodes.len())?;
            forest.roots.push(start);
            self.lay_out_tree(*root, &mut reached, &mut forest)
                .with_context(|| format!("tree {tree}"))?;
        }
        forest.nodes.shrink_to_fit();
        forest.weights.shrink_to_fit();
        Ok(forest)
    }

    fn lay_out_tree<T: Threshold>(
        &self,
        root: Place,
        reached: &mut [bool],
        forest: &mut Forest<T>,
    ) -> TractResult<()> {
        // Nodes to come, and the branch whose way for "no" leads there. The way for "yes" leads to
        // the node that comes next.
        let mut waiting: Vec<(Place, Option<usize>)> = vec![(root, None)];
        while let Some((place, parent)) = waiting.pop() {
            let at = u32::try_from(forest.nodes.len())?;
            if let Some(parent) = parent.and_then(|parent| forest.nodes.get_mut(parent)) {
                parent.lead_to(at);
            }
            match place {
                Place::Leaf(leaf) => {
                    let weights = self.leaves.get(leaf).context("there is no such leaf")?;
                    self.lay_out_leaf(weights, forest)?;
                }
                Place::Branch(number) => {
                    let branch = self.branches.get(number).context("there is no such node")?;
                    // In a tree one way leads to each node. So this loop ends, and walks end.
                    let seen = reached.get_mut(number).context("there is no such node")?;
                    if std::mem::replace(seen, true) {
                        bail!("two ways lead to node {number}");
                    }
                    let features = u32::try_from(branch.feature).ok();
                    let feature = features
                        .filter(|feature| *feature < Node::<T>::LIMIT)
                        .with_context(|| format!("feature {} is out of range", branch.feature))?;
                    forest.features = forest.features.max(feature as usize + 1);
                    forest.nodes.push(Node::branch(
                        branch.mode,
                        feature,
                        T::from_f64(branch.threshold),
                        branch.missing_is_true,
                    ));
                    waiting.push((branch.on_false, Some(at as usize)));
                    waiting.push((branch.on_true, None));
                }
            }
        }
        Ok(())
    }

    fn lay_out_leaf<T: Threshold>(
        &self,
        weights: &[Weight],
        forest: &mut Forest<T>,
    ) -> TractResult<()> {
        if let Some(beyond) = weights.iter().find(|w| w.target as usize >= self.targets) {
            bail!(
                "target {} is out of range: there are {}",
                beyond.target,
                self.targets
            );
        }
        let start = u32::try_from(forest.weights.len())?;
        forest.weights.extend_from_slice(weights);
        let count = u32::try_from(weights.len()).ok();
        let count = count.filter(|count| *count < Node::<T>::LIMIT);
        forest.nodes.push(Node::leaf(
            start,
            count.context("a leaf has too many weights")?,
        ));
        Ok(())
    }
}
