//! The plan of a model: its graph, made ready to run by tract.

use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::internal::*;

use crate::rewrite;
use crate::signature::{Dim, Input};

/// A model that is ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    runnable: Arc<TypedSimplePlan>,
    /// The types that tract takes.
    inputs: Vec<DatumType>,
    /// How many rows a run takes, if not any number.
    pub(crate) step: Option<usize>,
    /// The types and shapes of the outputs.
    pub(crate) outputs: Vec<(DatumType, Vec<TDim>)>,
}

/// The most values that a row may have. Running the plan for the first time makes one.
const MAX_ROW: usize = 1 << 24;

impl Plan {
    /// Plans a graph, for any number of rows or, if that cannot be done, for one.
    pub(crate) fn new(model: &mut ModelProto, inputs: &[Input]) -> TractResult<Self> {
        let framework = framework();
        let step = fixed_rows(inputs);
        let any = Self::make(&framework, model, inputs, step);
        if step.is_some() || any.is_ok() {
            return any;
        }
        let graph = model.graph.as_mut().context("it has no graph")?;
        rewrite::fix_rows(graph, 1);
        // If that fails too, the first failure says more.
        Self::make(&framework, model, inputs, Some(1)).or(any)
    }

    fn make(
        framework: &Onnx,
        model: &ModelProto,
        inputs: &[Input],
        step: Option<usize>,
    ) -> TractResult<Self> {
        let parsed = framework.parse(model, None)?;
        if let [name, ..] = parsed.unresolved_inputs.as_slice() {
            bail!("`{name}` is not defined");
        }
        let typed = parsed.model.into_typed()?;
        let is_dividing = divides_whole_numbers(&typed)?;
        let typed = typed.into_optimized()?;
        let outputs = typed
            .output_outlets()?
            .iter()
            .map(|outlet| {
                let fact = typed.outlet_fact(*outlet)?;
                let kind = match fact.datum_type {
                    // Lengths are what tract calls whole numbers that may depend on shapes.
                    kind if kind == TDim::datum_type() => i64::datum_type(),
                    DatumType::F16 => DatumType::F32,
                    kind => kind,
                };
                Ok((kind, fact.shape.iter().cloned().collect()))
            })
            .collect::<TractResult<_>>()?;
        let kinds = typed
            .input_outlets()?
            .iter()
            .map(|outlet| Ok(typed.outlet_fact(*outlet)?.datum_type))
            .collect::<TractResult<_>>()?;
        let plan = Self {
            inputs: kinds,
            runnable: TypedSimplePlan::new(typed)?,
            step,
            outputs,
        };
        if !is_dividing {
            plan.warm_up(inputs)?;
        }
        Ok(plan)
    }

    /// Runs the plan on zeros, so that whatever is made at the first use is made now.
    fn warm_up(&self, inputs: &[Input]) -> TractResult<()> {
        let zeros = inputs
            .iter()
            .map(|input| {
                let shape = input.shape_for(self.step.unwrap_or(1));
                let volume = shape
                    .iter()
                    .try_fold(1_usize, |all, dim| all.checked_mul(*dim));
                match volume {
                    Some(volume) if volume <= MAX_ROW => zeros(input.kind, &shape),
                    _ => bail!("input `{}` is too large: {shape:?}", input.name),
                }
            })
            .collect::<TractResult<Vec<_>>>()?;
        self.run(zeros).map(|_| ()).context("running it on zeros")
    }

    /// Runs the model. The inputs have the types and shapes that the model takes.
    pub(crate) fn run(&self, inputs: Vec<Tensor>) -> TractResult<Vec<Tensor>> {
        let inputs = inputs
            .into_iter()
            .zip(&self.inputs)
            .map(|(input, kind)| {
                if input.datum_type() == *kind {
                    return Ok(input.into_tvalue());
                }
                Ok(input.cast_to_dt(*kind)?.into_owned().into_tvalue())
            })
            .collect::<TractResult<_>>()?;
        let outputs = self.runnable.run(inputs)?;
        outputs
            .into_iter()
            .zip(&self.outputs)
            .map(|(output, (kind, _))| {
                let output = output.into_tensor();
                if output.datum_type() == *kind {
                    return Ok(output);
                }
                Ok(output.cast_to_dt(*kind)?.into_owned())
            })
            .collect()
    }
}

/// Whether a graph divides whole numbers by something that is not a constant. Such a graph is not run at
/// load: a division by 0 stops the cell. To run it on ones would be no better, as ones may be out of range
/// of its tables.
fn divides_whole_numbers(graph: &TypedModel) -> TractResult<bool> {
    for node in &graph.nodes {
        let inner = if let Some(choice) = node.op_as::<IfThenElse>() {
            divides_whole_numbers(&choice.then_body)? || divides_whole_numbers(&choice.else_body)?
        } else if let Some(scan) = node.op_as::<Scan>() {
            divides_whole_numbers(&scan.body)?
        } else {
            false
        };
        if inner || is_whole_division(graph, node)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_whole_division(graph: &TypedModel, node: &TypedNode) -> TractResult<bool> {
    let (name, [_, divisor]) = (node.op.name(), node.inputs.as_slice()) else {
        return Ok(false);
    };
    let divisor = graph.outlet_fact(*divisor)?;
    let may_be_zero = divisor.datum_type.is_integer() && divisor.konst.is_none();
    Ok(may_be_zero && matches!(&*name, "Div" | "Rem"))
}

/// A tensor of zeros, or of empty text.
fn zeros(kind: DatumType, shape: &[usize]) -> TractResult<Tensor> {
    if kind == String::datum_type() {
        return crate::ops::tensor(shape, vec![String::new(); shape.iter().product()]);
    }
    Tensor::zero_dt(kind, shape)
}

/// How many rows a run takes, if the model fixes it.
fn fixed_rows(inputs: &[Input]) -> Option<usize> {
    match inputs.first()?.shape.first()? {
        Dim::Fixed(rows) => {
            let fixed = |input: &Input| input.shape.first() == Some(&Dim::Fixed(*rows));
            inputs.iter().all(fixed).then_some(*rows)
        }
        _ => None,
    }
}

fn framework() -> Onnx {
    Onnx {
        op_register: crate::ops::registry(),
        ..Onnx::default()
    }
    .with_ignore_output_shapes(true)
    .with_ignore_output_types(true)
    .with_ignore_value_info(true)
}

/// Checks a graph: see [`crate::check`].
pub(crate) fn check(graph: &GraphProto) -> TractResult<()> {
    crate::check::model(graph, &crate::ops::registry())
}
