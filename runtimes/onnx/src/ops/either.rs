//! Operators that are tract's where they compute lengths, which may be symbolic, and ours where they
//! compute with data.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{self, Kernel};

/// Replaces an operator of tract's by one of ours, where it takes data.
pub(crate) fn replace<K: Kernel>(registry: &mut OnnxOpRegister, name: &'static str) {
    if let Some(builder) = registry.0.insert(name.to_owned(), build::<K>) {
        registry.0.insert(kept(name), builder);
    }
}

/// The name under which the registry keeps the operator that was replaced.
fn kept(name: &str) -> String {
    format!("{name} of lengths")
}

fn build<K: Kernel>(
    context: &ParsingContext,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let (data, _) = kernel::build::<K>(context, node)?;
    let builder = context.framework.op_register.0.get(&kept(&node.op_type));
    let (lengths, closures) = builder.context("tract has no such operator")?(context, node)?;
    Ok((Box::new(Either { data, lengths }), closures))
}

/// One of two nodes, as the first input's type has it.
#[derive(Debug, Clone)]
struct Either {
    data: Box<dyn InferenceOp>,
    lengths: Box<dyn InferenceOp>,
}

impl PartialEq for Either {
    fn eq(&self, other: &Self) -> bool {
        self.data.as_op().dyn_eq(other.data.as_op())
    }
}

impl Eq for Either {}

impl Either {
    fn choose(&mut self, kind: DatumType) -> &mut Box<dyn InferenceOp> {
        if is_data(kind) {
            &mut self.data
        } else {
            &mut self.lengths
        }
    }
}

/// Whether values of this type cannot be lengths.
fn is_data(kind: DatumType) -> bool {
    kind.is_float() || kind == String::datum_type() || kind == bool::datum_type()
}

impl Op for Either {
    fn name(&self) -> StaticName {
        self.data.name()
    }

    not_a_typed_op!();
}

impl EvalOp for Either {
    not_out_of_plan!();
}

impl InferenceOp for Either {
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
        let kind = inputs
            .first()
            .and_then(|input| input.datum_type.concretize());
        match kind {
            Some(kind) => {
                // What tract takes for granted is checked by ours in any case.
                self.data.infer_facts(inputs.clone(), tvec![], tvec![])?;
                self.choose(kind).infer(inputs, outputs, observed)
            }
            None => Ok((
                inputs.into_iter().cloned().collect(),
                outputs.into_iter().cloned().collect(),
                observed.into_iter().cloned().collect(),
            )),
        }
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.data.nboutputs()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let input = node.inputs.first().and_then(|input| mapping.get(input));
        let kind = target
            .outlet_fact(*input.context("it has no input")?)?
            .datum_type;
        self.clone()
            .choose(kind)
            .to_typed(source, node, target, mapping)
    }

    as_op!();
}
