//! TreeEnsembleRegressor and TreeEnsemble.

use tract_onnx::tract_hir::internal::*;

use super::attributes::{by_branch, by_node, is_double};
use super::forest::{Forest, Threshold, Trees, Weight, add};
use crate::ops::attributes::Attributes;
use crate::ops::kernel::{Fact, Kernel};
use crate::ops::post::PostTransform;
use crate::ops::values::tensor;

/// What becomes of what the trees say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// Numbers for the targets of a regression.
#[derive(Debug)]
pub(crate) struct TreeEnsembleRegressor {
    trees: Trees,
    aggregate: Aggregate,
    base: Vec<f64>,
    post: PostTransform,
    targets: usize,
    /// The type of the output.
    kind: DatumType,
}

/// More targets than any model has: their number is a promise that no bytes stand for.
const MAX_TARGETS: i64 = 1 << 16;

fn targets(attributes: &Attributes) -> TractResult<usize> {
    let targets = attributes.int("n_targets")?.unwrap_or(1);
    if !(1..=MAX_TARGETS).contains(&targets) {
        bail!("n_targets is {targets}, which is out of range");
    }
    Ok(targets as usize)
}

impl TreeEnsembleRegressor {
    fn read_by_node(attributes: &Attributes) -> TractResult<Self> {
        let targets = targets(attributes)?;
        let names = ["nodes_values_as_tensor", "target_weights_as_tensor"];
        let base = super::attributes::numbers(attributes, "base_values")?;
        if !base.is_empty() && base.len() != targets {
            bail!("{} base_values do not fit {targets} targets", base.len());
        }
        let aggregate = match attributes.string("aggregate_function")?.unwrap_or("SUM") {
            "SUM" => Aggregate::Sum,
            "AVERAGE" => Aggregate::Average,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            other => bail!("aggregate_function is {other:?}, which is unknown"),
        };
        Ok(Self {
            trees: by_node(attributes, "target", targets)?.trees(is_double(attributes, &names)?)?,
            aggregate,
            base,
            post: PostTransform::read(attributes)?,
            targets,
            kind: f32::datum_type(),
        })
    }

    fn read_by_branch(attributes: &Attributes) -> TractResult<Self> {
        let targets = targets(attributes)?;
        let is_double = is_double(attributes, &["nodes_splits", "leaf_weights"])?;
        Ok(Self {
            trees: by_branch(attributes, targets)?.trees(is_double)?,
            aggregate: match attributes.int("aggregate_function")?.unwrap_or(1) {
                0 => Aggregate::Average,
                1 => Aggregate::Sum,
                2 => Aggregate::Min,
                3 => Aggregate::Max,
                other => bail!("aggregate_function is {other}, which is unknown"),
            },
            base: Vec::new(),
            post: PostTransform::from_number(attributes.int("post_transform")?.unwrap_or(0))?,
            targets,
            kind: if is_double {
                f64::datum_type()
            } else {
                f32::datum_type()
            },
        })
    }

    /// The output, in the type of the trees.
    fn answer<T: Threshold>(&self, forest: &Forest<T>, input: &Tensor) -> TractResult<Tensor> {
        let mut all = Vec::new();
        let each = |sums: &mut [T]| {
            self.finish(sums);
            all.extend_from_slice(sums);
        };
        let start = |value| vec![T::from_f64(value); self.targets];
        let rows = match self.aggregate {
            Aggregate::Sum | Aggregate::Average => forest.sum(input, add, &start(0.0), each),
            Aggregate::Min => forest.sum(
                input,
                choose(|new, old| new < old),
                &start(f64::INFINITY),
                each,
            ),
            Aggregate::Max => forest.sum(
                input,
                choose(|new, old| new > old),
                &start(f64::NEG_INFINITY),
                each,
            ),
        }?;
        tensor(&[rows, self.targets], all)
    }

    fn finish<T: Threshold>(&self, sums: &mut [T]) {
        if self.aggregate == Aggregate::Average {
            let count = T::from_f64(self.trees.count().max(1) as f64);
            sums.iter_mut().for_each(|sum| *sum /= count);
        }
        // Of a target that no tree has a weight for, only the base value counts.
        let is_infinite = |sum: T| Into::<f64>::into(sum).is_infinite();
        for sum in sums.iter_mut().filter(|sum| is_infinite(**sum)) {
            *sum = T::from_f64(0.0);
        }
        sums.iter_mut()
            .zip(&self.base)
            .for_each(|(sum, base)| *sum += T::from_f64(*base));
        // A single number is not transformed: so does onnxruntime.
        if self.post != PostTransform::None
            && (self.targets > 1 || self.post == PostTransform::Probit)
        {
            self.transform(sums);
        }
    }

    /// Applies the transformation, which is one of 32-bit floats.
    fn transform<T: Threshold>(&self, sums: &mut [T]) {
        let narrow = |sum: &T| Into::<f64>::into(*sum) as f32;
        let mut scores: Vec<f32> = sums.iter().map(narrow).collect();
        self.post.apply(&mut scores);
        for (sum, score) in sums.iter_mut().zip(scores) {
            *sum = T::from_f64(score.into());
        }
    }
}

impl Kernel for TreeEnsembleRegressor {
    fn read(attributes: &Attributes) -> TractResult<Self> {
        match attributes.operator() {
            "TreeEnsemble" => Self::read_by_branch(attributes),
            _ => Self::read_by_node(attributes),
        }
    }

    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let rows = self.trees.check(inputs)?;
        Ok(tvec![Fact::new(self.kind, [rows, self.targets.to_dim()])])
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        let input = inputs.first().context("it takes one input")?;
        let output = match &self.trees {
            Trees::Narrow(forest) => self.answer(forest, input),
            Trees::Wide(forest) => self.answer(forest, input),
        }?;
        Ok(tvec![output.cast_to_dt(self.kind)?.into_owned()])
    }
}

/// Keeps the numbers that are better than those before.
fn choose<T: Threshold>(better: fn(T, T) -> bool) -> impl Fn(&mut [T], &[Weight<T>]) {
    move |sums, weights| {
        for weight in weights {
            let sum = sums.get_mut(weight.target as usize);
            if let Some(sum) = sum.filter(|sum| better(weight.value, **sum)) {
                *sum = weight.value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::attribute_proto::AttributeType;
    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

    fn ints(name: &str, ints: &[i64]) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            r#type: AttributeType::Ints as i32,
            ints: ints.to_vec(),
            ..AttributeProto::default()
        }
    }

    fn doubles(name: &str, numbers: &[f64]) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            r#type: AttributeType::Tensor as i32,
            t: Some(TensorProto {
                dims: vec![numbers.len() as i64],
                data_type: DataType::Double as i32,
                raw_data: numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
                ..TensorProto::default()
            }),
            ..AttributeProto::default()
        }
    }

    #[test]
    fn weights_of_64_bits_are_summed_up_in_64_bits() {
        // Two trees of a leaf each.
        let node = NodeProto {
            op_type: "TreeEnsemble".to_owned(),
            attribute: vec![
                ints("tree_roots", &[0, 1]),
                ints("nodes_featureids", &[0, 0]),
                doubles("nodes_modes", &[0.0, 0.0]),
                doubles("nodes_splits", &[0.0, 0.0]),
                ints("nodes_truenodeids", &[0, 1]),
                ints("nodes_falsenodeids", &[0, 1]),
                ints("nodes_trueleafs", &[1, 1]),
                ints("nodes_falseleafs", &[1, 1]),
                ints("leaf_targetids", &[0, 0]),
                doubles("leaf_weights", &[1.0, 1e-12]),
            ],
            ..NodeProto::default()
        };
        let trees = TreeEnsembleRegressor::read(&Attributes(&node)).unwrap();
        let input = tensor(&[1, 1], vec![0.5_f64]).unwrap().into_tvalue();
        let outputs = trees.eval(&[input]).unwrap();
        let sums = crate::ops::values::<f64>(&outputs[0]).unwrap();
        assert_eq!(sums, [1.0 + 1e-12]);
    }

    #[test]
    fn a_tree_begins_with_the_node_that_is_no_child() {
        let strings = AttributeProto {
            name: "nodes_modes".to_owned(),
            r#type: AttributeType::Strings as i32,
            strings: ["LEAF", "LEAF", "BRANCH_LEQ"]
                .map(|mode| mode.as_bytes().to_vec())
                .to_vec(),
            ..AttributeProto::default()
        };
        let mut node = NodeProto {
            op_type: "TreeEnsembleRegressor".to_owned(),
            attribute: vec![
                strings,
                ints("nodes_treeids", &[0; 3]),
                ints("nodes_nodeids", &[0, 1, 2]),
                ints("nodes_featureids", &[0; 3]),
                doubles("nodes_values_as_tensor", &[0.0; 3]),
                ints("nodes_truenodeids", &[0, 0, 0]),
                ints("nodes_falsenodeids", &[0, 0, 1]),
                ints("target_treeids", &[0, 0]),
                ints("target_nodeids", &[0, 1]),
                ints("target_ids", &[0, 0]),
                doubles("target_weights_as_tensor", &[5.0, 6.0]),
            ],
            ..NodeProto::default()
        };
        let trees = TreeEnsembleRegressor::read(&Attributes(&node)).unwrap();
        let input = tensor(&[2, 1], vec![-1.0_f64, 1.0]).unwrap().into_tvalue();
        let outputs = trees.eval(&[input]).unwrap();
        assert_eq!(crate::ops::values::<f32>(&outputs[0]).unwrap(), [5.0, 6.0]);

        node.attribute[0].strings = vec![b"BRANCH_LEQ".to_vec(); 3];
        node.attribute[5] = ints("nodes_truenodeids", &[1, 2, 0]);
        node.attribute[6] = ints("nodes_falsenodeids", &[1, 2, 0]);
        let error = TreeEnsembleRegressor::read(&Attributes(&node)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tree 0 has no root: each node is another's child"
        );

        // A leaf out of reach is no root while branches lead to each other, or to themselves.
        node.attribute[0].strings = ["BRANCH_LEQ", "LEAF", "LEAF"]
            .map(|mode| mode.as_bytes().to_vec())
            .to_vec();
        node.attribute[5] = ints("nodes_truenodeids", &[0, 0, 0]);
        node.attribute[6] = ints("nodes_falsenodeids", &[2, 0, 0]);
        let error = TreeEnsembleRegressor::read(&Attributes(&node)).unwrap_err();
        assert_eq!(error.to_string(), "tree 0: node 0 leads to itself");
    }
}
