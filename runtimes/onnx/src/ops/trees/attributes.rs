//! Reads trees from a node's attributes.

use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::TensorProto;
use tract_onnx::tensor::load_tensor;
use tract_onnx::tract_hir::internal::*;

use super::forest::{Mode, Weight};
use super::layout::{Branch, Described, Leaf, Place, Root};
use crate::ops::attributes::Attributes;

/// Reads the trees of TreeEnsembleClassifier (`class`) and TreeEnsembleRegressor (`target`), which
/// have one list of nodes.
pub(super) fn by_node(
    attributes: &Attributes,
    prefix: &str,
    targets: usize,
) -> TractResult<Described> {
    let list = |name: &str| attributes.ints(&format!("nodes_{name}"));
    let trees = list("treeids")?;
    let ids = list("nodeids")?;
    let features = list("featureids")?;
    let modes = attributes.strings("nodes_modes")?;
    let thresholds = numbers(attributes, "nodes_values")?;
    let (on_true, on_false) = (list("truenodeids")?, list("falsenodeids")?);
    let missing = list("missing_value_tracks_true")?;
    let lengths = [ids.len(), features.len(), modes.len(), thresholds.len()];
    if lengths.iter().any(|length| *length != trees.len())
        || [on_true.len(), on_false.len()] != [trees.len(); 2]
    {
        bail!("its lists of nodes are not equally long");
    }

    let places = Places::new(trees, &modes, ids)?;
    let mut described = Described {
        targets,
        leaves: leaves(attributes, prefix, &places)?,
        ..Described::default()
    };
    let mut children = Vec::new();
    let rows = trees.iter().zip(ids).zip(&modes).zip(features);
    let rows = rows.zip(thresholds).zip(on_true.iter().zip(on_false));
    for (node, (((((tree, id), mode), feature), threshold), (yes, no))) in rows.enumerate() {
        let Some(mode) = Mode::by_name(mode) else {
            continue;
        };
        if yes == id || no == id {
            bail!("tree {tree}: node {id} leads to itself");
        }
        children.extend([(*tree, *yes), (*tree, *no)]);
        described.branches.push(Branch {
            id: *id,
            mode,
            feature: *feature,
            threshold,
            missing_is_true: missing.get(node).is_some_and(|bit| *bit != 0),
            on_true: places.find(*tree, *yes)?,
            on_false: places.find(*tree, *no)?,
        });
    }
    children.sort_unstable();
    described.roots = places.roots(trees, &children)?;
    Ok(described)
}

/// Where nodes are to be found, sorted by tree and id.
struct Places(Vec<((i64, i64), Place)>);

impl Places {
    fn new(trees: &[i64], modes: &[String], ids: &[i64]) -> TractResult<Self> {
        let (mut branches, mut leaves) = (0, 0);
        let mut places = Vec::with_capacity(trees.len());
        for ((tree, id), mode) in trees.iter().zip(ids).zip(modes) {
            let place = if mode == "LEAF" {
                leaves += 1;
                Place::Leaf(leaves - 1)
            } else if Mode::by_name(mode).is_some() {
                branches += 1;
                Place::Branch(branches - 1)
            } else {
                bail!("tree {tree}, node {id}: mode {mode:?} is not supported");
            };
            places.push(((*tree, *id), place));
        }
        places.sort_by_key(|(key, _)| *key);
        let twice = places.windows(2).find_map(|pair| match pair {
            [(first, _), (second, _)] if first == second => Some(*first),
            _ => None,
        });
        if let Some((tree, node)) = twice {
            bail!("tree {tree} has two nodes {node}");
        }
        Ok(Self(places))
    }

    fn find(&self, tree: i64, id: i64) -> TractResult<Place> {
        let found = self.0.binary_search_by_key(&(tree, id), |(key, _)| *key);
        let found = found.ok().and_then(|at| self.0.get(at));
        let (_, place) = found.with_context(|| format!("tree {tree} has no node {id}"))?;
        Ok(*place)
    }

    /// All leaves, without their weights.
    fn leaves(&self) -> Vec<Leaf> {
        let mut ids: Vec<(usize, i64)> = self
            .0
            .iter()
            .filter_map(|((_, id), place)| match place {
                Place::Leaf(leaf) => Some((*leaf, *id)),
                Place::Branch(_) => None,
            })
            .collect();
        ids.sort_unstable();
        let leaf = |(_, id)| Leaf {
            id,
            weights: Vec::new(),
        };
        ids.into_iter().map(leaf).collect()
    }

    /// Where each tree begins, in the order of the file. `children` are sorted.
    fn roots(&self, trees: &[i64], children: &[(i64, i64)]) -> TractResult<Vec<Root>> {
        let mut roots = Vec::new();
        let mut before = None;
        let mut seen = std::collections::BTreeSet::new();
        for tree in trees {
            if before != Some(tree) && !seen.insert(*tree) {
                bail!("the nodes of tree {tree} do not stand together");
            }
            if before != Some(tree) {
                let place = self.root(*tree, children)?;
                roots.push(Root { tree: *tree, place });
            }
            before = Some(tree);
        }
        Ok(roots)
    }

    /// The node that is no other's child. Of several the first: the others may only be leaves, which no
    /// way leads to.
    fn root(&self, tree: i64, children: &[(i64, i64)]) -> TractResult<Place> {
        let first = self.0.partition_point(|((other, _), _)| *other < tree);
        let nodes = self.0.iter().skip(first);
        let found = nodes
            .take_while(|((other, _), _)| *other == tree)
            .find(|(key, _)| children.binary_search(key).is_err());
        let (_, place) = found
            .with_context(|| format!("tree {tree} has no root: each node is another's child"))?;
        Ok(*place)
    }
}

/// All leaves, with their weights.
fn leaves(attributes: &Attributes, prefix: &str, places: &Places) -> TractResult<Vec<Leaf>> {
    let list = |name: &str| attributes.ints(&format!("{prefix}_{name}"));
    let (trees, nodes, targets) = (list("treeids")?, list("nodeids")?, list("ids")?);
    let weights = numbers(attributes, &format!("{prefix}_weights"))?;
    if [nodes.len(), targets.len(), weights.len()] != [trees.len(); 3] {
        bail!("its lists of weights are not equally long");
    }
    let mut leaves = places.leaves();
    let rows = trees.iter().zip(nodes).zip(targets.iter().zip(weights));
    for ((tree, node), (target, value)) in rows {
        // Some converters give weights to branches, too, and mean nothing by it.
        if let Place::Leaf(leaf) = places.find(*tree, *node)? {
            let weight = Weight {
                target: u32::try_from(*target)?,
                value,
            };
            let leaf = leaves.get_mut(leaf).context("there is no such leaf")?;
            leaf.weights.push(weight);
        }
    }
    Ok(leaves)
}

/// Reads the trees of TreeEnsemble, which has a list of branches and one of leaves.
pub(super) fn by_branch(attributes: &Attributes, targets: usize) -> TractResult<Described> {
    let list = |name: &str| attributes.ints(name);
    let features = list("nodes_featureids")?;
    let modes = tensor_numbers(attributes, "nodes_modes")?;
    let thresholds = tensor_numbers(attributes, "nodes_splits")?;
    let (on_true, on_false) = (list("nodes_truenodeids")?, list("nodes_falsenodeids")?);
    let (true_leaf, false_leaf) = (list("nodes_trueleafs")?, list("nodes_falseleafs")?);
    let missing = list("nodes_missing_value_tracks_true")?;
    let lengths = [modes.len(), thresholds.len(), on_true.len(), on_false.len()];
    if lengths.iter().any(|length| *length != features.len())
        || [true_leaf.len(), false_leaf.len()] != [features.len(); 2]
    {
        bail!("its lists of nodes are not equally long");
    }
    let place = |number: i64, is_leaf: bool| -> TractResult<Place> {
        let number = usize::try_from(number)?;
        Ok(if is_leaf {
            Place::Leaf(number)
        } else {
            Place::Branch(number)
        })
    };

    let leaf_targets = list("leaf_targetids")?;
    let weights = tensor_numbers(attributes, "leaf_weights")?;
    if leaf_targets.len() != weights.len() {
        bail!("its lists of leaves are not equally long");
    }
    let mut described = Described {
        targets,
        ..Described::default()
    };
    for (target, value) in leaf_targets.iter().zip(weights) {
        let weight = Weight {
            target: u32::try_from(*target)?,
            value,
        };
        described.leaves.push(Leaf {
            id: described.leaves.len() as i64,
            weights: vec![weight],
        });
    }
    for (tree, root) in (0..).zip(list("tree_roots")?) {
        let place = place(*root, false)?;
        described.roots.push(Root { tree, place });
    }
    let rows = features.iter().zip(modes).zip(thresholds);
    let yes = on_true.iter().zip(true_leaf);
    let no = on_false.iter().zip(false_leaf);
    for (node, (((feature, mode), threshold), (yes, no))) in rows.zip(yes.zip(no)).enumerate() {
        described.branches.push(Branch {
            id: node as i64,
            mode: Mode::by_number(mode as i64)
                .with_context(|| format!("node {node}: mode {mode} is not supported"))?,
            feature: *feature,
            threshold,
            missing_is_true: missing.get(node).is_some_and(|bit| *bit != 0),
            on_true: place(*yes.0, *yes.1 != 0)?,
            on_false: place(*no.0, *no.1 != 0)?,
        });
    }
    Ok(described)
}

/// A list of 32-bit floats, or, with `_as_tensor` after its name, a tensor.
pub(super) fn numbers(attributes: &Attributes, name: &str) -> TractResult<Vec<f64>> {
    let floats = attributes.floats(name)?;
    if !floats.is_empty() {
        return Ok(floats.iter().map(|value| f64::from(*value)).collect());
    }
    tensor_numbers(attributes, &format!("{name}_as_tensor"))
}

fn tensor_numbers(attributes: &Attributes, name: &str) -> TractResult<Vec<f64>> {
    let Some(proto) = attributes.tensor(name)? else {
        return Ok(Vec::new());
    };
    load_numbers(proto)
}

fn load_numbers(proto: &TensorProto) -> TractResult<Vec<f64>> {
    let tensor = load_tensor(&MmapDataResolver, proto, None)?;
    let numbers = tensor.cast_to::<f64>()?;
    Ok(numbers.try_as_plain_ram()?.as_slice::<f64>()?.to_vec())
}

/// Whether any of the numbers stands in a tensor, as those of 64-bit models do.
pub(super) fn is_double(attributes: &Attributes, names: &[&str]) -> TractResult<bool> {
    const DOUBLE: i32 = tract_onnx::pb::tensor_proto::DataType::Double as i32;
    for name in names {
        if attributes
            .tensor(name)?
            .is_some_and(|proto| proto.data_type == DOUBLE)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
