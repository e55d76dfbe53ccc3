//! Operators of our own, fitted into tract: a [`Kernel`] says what comes out of an operator and
//! computes it, and [`build`] makes the node that tract plans and runs.
//!
//! One node stays one node. Most operators of ai.onnx.ml work on small rows, where each node of a plan
//! costs more than its arithmetic.

use std::fmt;
use std::sync::Arc;

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::attributes::Attributes;

/// The type and the shape of a tensor, as far as they are known when the plan is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    pub(crate) kind: DatumType,
    pub(crate) shape: TVec<TDim>,
    /// The value, where it is a constant.
    pub(crate) value: Option<Arc<Tensor>>,
}

impl Fact {
    /// Whole numbers that may depend on symbolic lengths count as such: they are numbers when it comes
    /// to computing.
    pub(crate) fn new(kind: DatumType, shape: impl IntoIterator<Item = TDim>) -> Self {
        Self {
            kind: if kind == TDim::datum_type() {
                i64::datum_type()
            } else {
                kind
            },
            shape: shape.into_iter().collect(),
            value: None,
        }
    }

    /// The number of rows: the first dimension of a matrix, while a vector is a row by itself.
    pub(crate) fn rows(&self) -> TDim {
        match self.shape.as_slice() {
            [rows, _, ..] => rows.clone(),
            _ => 1.to_dim(),
        }
    }

    /// The number of columns, if it is known.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.shape.last()?.to_usize().ok()
    }

    /// Fails unless rows have this many columns, or nobody knows how many they have.
    pub(crate) fn expect_columns(&self, expected: usize) -> TractResult<()> {
        match self.columns() {
            Some(found) if found != expected => {
                bail!("it takes {expected} features, and its input has {found}")
            }
            _ => Ok(()),
        }
    }
}

/// What an operator computes.
pub(crate) trait Kernel: fmt::Debug + Send + Sync + Sized + 'static {
    /// Reads a node's attributes. Whatever they say, the kernel must not panic afterwards.
    fn read(attributes: &Attributes) -> TractResult<Self>;

    /// What comes out if this goes in. Also checks that this may go in.
    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>>;

    /// Computes. The inputs are as `outputs` has seen them, except for symbolic dimensions.
    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>>;
}

/// The object-safe part of a [`Kernel`].
trait Evaluate: fmt::Debug + Send + Sync {
    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>>;
    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>>;
}

impl<K: Kernel> Evaluate for K {
    fn outputs(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        Kernel::outputs(self, inputs)
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<Tensor>> {
        Kernel::eval(self, inputs)
    }
}

/// Makes a node with a [`Kernel`]: a builder for tract's registry.
pub(crate) fn build<K: Kernel>(
    _context: &ParsingContext,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let op = Row {
        name: node.op_type.clone().into(),
        outputs: node.output.iter().filter(|name| !name.is_empty()).count(),
        kernel: Arc::new(K::read(&Attributes(node))?),
    };
    Ok((Box::new(op), vec![]))
}

/// The node that tract sees.
#[derive(Debug, Clone)]
struct Row {
    name: StaticName,
    /// How many of the operator's outputs the graph uses: the first ones.
    outputs: usize,
    kernel: Arc<dyn Evaluate>,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kernel, &other.kernel)
    }
}

impl Eq for Row {}

impl Row {
    fn facts(&self, inputs: &[Fact]) -> TractResult<TVec<Fact>> {
        let mut facts = self
            .kernel
            .outputs(inputs)
            .with_context(|| format!("operator {}", self.name))?;
        if facts.len() < self.outputs {
            bail!("operator {} has only {} outputs", self.name, facts.len());
        }
        facts.truncate(self.outputs);
        Ok(facts)
    }
}

impl Op for Row {
    fn name(&self) -> StaticName {
        self.name.clone()
    }

    op_as_typed_op!();
}

impl EvalOp for Row {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let inputs: TVec<TValue> = inputs.into_iter().map(plain).collect::<TractResult<_>>()?;
        let mut outputs = self
            .kernel
            .eval(&inputs)
            .with_context(|| format!("operator {}", self.name))?;
        outputs.truncate(self.outputs);
        Ok(outputs.into_iter().map(IntoTValue::into_tvalue).collect())
    }
}

/// A value with plain numbers for lengths.
fn plain(value: TValue) -> TractResult<TValue> {
    if value.datum_type() != TDim::datum_type() {
        return Ok(value);
    }
    Ok(value.cast_to::<i64>()?.into_owned().into_tvalue())
}

impl TypedOp for Row {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let inputs: Vec<Fact> = inputs
            .iter()
            .map(|fact| Fact {
                value: fact.konst.clone(),
                ..Fact::new(fact.datum_type, fact.shape.iter().cloned())
            })
            .collect();
        let facts = self.facts(&inputs)?;
        Ok(facts
            .into_iter()
            .map(|fact| fact.kind.fact(fact.shape))
            .collect())
    }

    as_op!();
}

impl InferenceOp for Row {
    /// Says nothing before all inputs are known.
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(
        TVec<InferenceFact>,
        TVec<InferenceFact>,
        TVec<InferenceFact>,
    )> {
        let known: Option<Vec<Fact>> = inputs
            .iter()
            .map(|fact| {
                let shape = fact.shape.concretize()?;
                Some(Fact {
                    value: fact.value.concretize(),
                    ..Fact::new(fact.datum_type.concretize()?, shape)
                })
            })
            .collect();
        let outputs = match known {
            Some(known) => self
                .facts(&known)?
                .into_iter()
                .zip(outputs)
                .map(|(fact, before)| InferenceFact::dt_shape(fact.kind, fact.shape).unify(before))
                .collect::<TractResult<_>>()?,
            None => outputs.into_iter().cloned().collect(),
        };
        let inputs = inputs.into_iter().cloned().collect();
        let observed = observed.into_iter().cloned().collect();
        Ok((inputs, outputs, observed))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs)
    }

    fn to_typed(
        &self,
        _source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs = node
            .inputs
            .iter()
            .map(|outlet| mapping.get(outlet).copied().context("an input is missing"))
            .collect::<TractResult<TVec<_>>>()?;
        target.wire_node(&node.name, self.clone(), &inputs)
    }

    as_op!();
}
