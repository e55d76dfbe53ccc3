//! Trees as a file describes them, and how they are laid out for the walk.

use tract_onnx::tract_hir::internal::*;

use super::forest::{Forest, Mode, Node, Threshold, Trees, Weight};

/// Trees as a file describes them. Nothing in here has been checked.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) roots: Vec<Root>,
    pub(super) branches: Vec<Branch>,
    pub(super) leaves: Vec<Leaf>,
    /// The number of targets or classes that leaves have weights for.
    pub(super) targets: usize,
}

/// Where a tree begins.
#[derive(Debug)]
pub(super) struct Root {
    /// The file's number for the tree.
    pub(super) tree: i64,
    pub(super) place: Place,
}

/// A node without children.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The file's number for it.
    pub(super) id: i64,
    pub(super) weights: Vec<Weight<f64>>,
}

/// A node, by its place among the branches or among the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Branch(usize),
    Leaf(usize),
}

/// A node with two children.
#[derive(Debug)]
pub(super) struct Branch {
    /// The file's number for it.
    pub(super) id: i64,
    pub(super) mode: Mode,
    pub(super) feature: i64,
    pub(super) threshold: f64,
    /// Whether a missing value counts as a yes.
    pub(super) missing_is_true: bool,
    pub(super) on_true: Place,
    pub(super) on_false: Place,
}

impl Branch {
    /// The leaf that both ways lead to, if they do: TreeEnsemble, whose roots are branches, spells a tree
    /// of a single leaf so.
    fn only_leaf(&self) -> Option<Place> {
        let is_leaf = matches!(self.on_true, Place::Leaf(_));
        (is_leaf && self.on_true == self.on_false).then_some(self.on_true)
    }
}

/// The nodes that have been laid out. In a tree one way leads to each node. So laying out ends, walks end,
/// and neither nodes nor weights become more than the file has.
struct Reached {
    branches: Vec<bool>,
    leaves: Vec<bool>,
}

/// Marks a node. Fails if it has been marked.
fn reach(marks: &mut [bool], at: usize, what: &str, id: i64) -> TractResult<()> {
    let mark = marks.get_mut(at).context("there is no such node")?;
    if std::mem::replace(mark, true) {
        bail!("two ways lead to {what} {id}");
    }
    Ok(())
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
        let mut reached = Reached {
            branches: vec![false; self.branches.len()],
            leaves: vec![false; self.leaves.len()],
        };
        for root in &self.roots {
            let start = u32::try_from(forest.nodes.len())?;
            forest.roots.push(start);
            self.lay_out_tree(root.place, &mut reached, &mut forest)
                .with_context(|| format!("tree {}", root.tree))?;
        }
        // Branches out of reach may lead to each other, or be the tree that the file means.
        let rest = reached.branches.iter().zip(&self.branches);
        if let Some((_, branch)) = rest.into_iter().find(|(is_reached, _)| !**is_reached) {
            bail!("no way leads from a root to node {}", branch.id);
        }
        forest.nodes.shrink_to_fit();
        forest.weights.shrink_to_fit();
        Ok(forest)
    }

    fn lay_out_tree<T: Threshold>(
        &self,
        root: Place,
        reached: &mut Reached,
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
                Place::Leaf(number) => {
                    let leaf = self.leaves.get(number).context("there is no such leaf")?;
                    reach(&mut reached.leaves, number, "leaf", leaf.id)?;
                    self.lay_out_leaf(&leaf.weights, forest)?;
                }
                Place::Branch(number) => {
                    let branch = self.branches.get(number).context("there is no such node")?;
                    reach(&mut reached.branches, number, "node", branch.id)?;
                    if let Some(leaf) = branch.only_leaf() {
                        waiting.push((leaf, None));
                        continue;
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
        weights: &[Weight<f64>],
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
        forest.weights.extend(weights.iter().map(|weight| Weight {
            target: weight.target,
            value: T::from_f64(weight.value),
        }));
        let count = u32::try_from(weights.len()).ok();
        let count = count.filter(|count| *count < Node::<T>::LIMIT);
        forest.nodes.push(Node::leaf(
            start,
            count.context("a leaf has too many weights")?,
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(id: i64, on_true: Place, on_false: Place) -> Branch {
        Branch {
            id,
            mode: Mode::AtMost,
            feature: 0,
            threshold: 0.0,
            missing_is_true: false,
            on_true,
            on_false,
        }
    }

    fn leaf(id: i64) -> Leaf {
        let weight = Weight {
            target: 0,
            value: 1.0,
        };
        Leaf {
            id,
            weights: vec![weight; 3],
        }
    }

    fn lay_out(branches: Vec<Branch>, leaves: Vec<Leaf>) -> TractResult<Forest<f32>> {
        let described = Described {
            roots: vec![Root {
                tree: 7,
                place: Place::Branch(0),
            }],
            branches,
            leaves,
            targets: 1,
        };
        described.lay_out()
    }

    #[test]
    fn a_node_is_reached_once() {
        let (first, second) = (Place::Leaf(0), Place::Leaf(1));
        let branches = vec![branch(0, Place::Branch(1), first), branch(1, second, first)];
        let error = lay_out(branches, vec![leaf(20), leaf(21)]).unwrap_err();
        assert_eq!(format!("{error:#}"), "tree 7: two ways lead to leaf 20");

        let error = lay_out(vec![branch(5, Place::Branch(0), first)], vec![leaf(20)]).unwrap_err();
        assert_eq!(format!("{error:#}"), "tree 7: two ways lead to node 5");
    }

    #[test]
    fn each_branch_is_in_reach() {
        let (first, second) = (Place::Leaf(0), Place::Leaf(1));
        let branches = vec![branch(0, first, second), branch(1, Place::Branch(1), first)];
        let error = lay_out(branches, vec![leaf(20), leaf(21)]).unwrap_err();
        assert_eq!(error.to_string(), "no way leads from a root to node 1");
    }

    #[test]
    fn a_branch_may_stand_for_its_only_leaf() {
        let leaf_place = Place::Leaf(0);
        let forest = lay_out(vec![branch(0, leaf_place, leaf_place)], vec![leaf(0)]).unwrap();
        assert_eq!((forest.nodes.len(), forest.weights.len()), (1, 3));
        let mut said = 0;
        forest.walk(&[0.0_f32], |weights| said += weights.len());
        assert_eq!(said, 3);
    }
}
