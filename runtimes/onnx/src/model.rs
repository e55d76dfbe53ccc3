//! A model: read from a file, planned, and run.

use std::collections::BTreeSet;

use modelcell_guest::{Accept, Error, Payload, Request, Result};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Framework;
use tract_onnx::tract_hir::internal::*;

use crate::answer::{self, Answer};
use crate::ops::{Refused, refused};
use crate::plan::Plan;
use crate::request::{self, Call};
use crate::signature::{Input, Output};
use crate::{rewrite, signature};

/// A model that is ready to run.
#[derive(Debug)]
pub struct OnnxModel {
    plan: Plan,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    /// The content type of answers to callers who name none.
    pub(crate) default_type: &'static str,
    /// Where the model comes from, and what it is made of.
    origin: String,
}

impl OnnxModel {
    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    /// Failed, if this is no model, or one that is not supported. The text says where in the file and
    /// why, but not the file's name.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Self::load(bytes).map_err(crate::failed)
    }

    fn load(bytes: &[u8]) -> TractResult<Self> {
        let mut proto = tract_onnx::onnx()
            .proto_model_for_read(&mut &*bytes)
            .context("not an ONNX model")?;
        let graph = proto
            .graph
            .as_mut()
            .context("not an ONNX model: it has no graph")?;
        let operators = operators(graph);
        let mut labels = rewrite::graph(graph)?;
        crate::plan::check(graph)?;
        let inputs = signature::inputs(graph)?;
        if inputs.is_empty() || graph.output.is_empty() {
            bail!("it has no inputs or no outputs");
        }
        let plan = Plan::new(&mut proto, &inputs)?;
        let names = proto.graph.iter().flat_map(|graph| &graph.output);
        let outputs = names
            .zip(&plan.outputs)
            .map(|(info, (kind, shape))| Output {
                name: info.name.clone(),
                kind: *kind,
                shape: shape.clone(),
                labels: labels.remove(&info.name),
            })
            .collect();
        let origin = describe(&proto, &operators);
        Ok(Self {
            plan,
            inputs,
            outputs,
            default_type: answer::default_type(None),
            origin,
        })
    }

    /// Where the model comes from, what it is made of, and what it takes and answers.
    pub fn description(&self) -> String {
        let inputs: Vec<String> = self.inputs.iter().map(Input::to_string).collect();
        let outputs: Vec<String> = self.outputs.iter().map(Output::to_string).collect();
        let rows = match self.plan.step {
            Some(step) => format!("; {step} rows at a time"),
            None => String::new(),
        };
        format!(
            "onnx: {}; inputs {}; outputs {}{rows}; takes {}; answers {}",
            self.origin,
            inputs.join(", "),
            outputs.join(", "),
            request::types(self).join(", "),
            answer::TYPES.join(", ")
        )
    }

    /// The position of an output.
    ///
    /// # Errors
    /// Invalid input, if there is no such output.
    pub(crate) fn output(&self, name: &str) -> Result<usize> {
        let found = self.outputs.iter().position(|output| output.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.outputs.iter().map(|o| o.name.as_str()).collect();
            Error::invalid_input(format_args!(
                "there is no output {name:?}: there are {}",
                names.join(", ")
            ))
        })
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// Unsupported content type, and invalid input, which say what to send.
    pub fn decode(&self, request: &Request) -> Result<Call> {
        request::decode(self, request)
    }

    /// Predicts.
    ///
    /// # Errors
    /// Invalid input, if the model does not know values of the request; failed, if it fails otherwise.
    pub fn predict(&self, call: Call) -> Result<Answer> {
        let rows = call.inputs.first().and_then(|input| input.shape().first());
        Ok(Answer {
            rows: rows.copied().unwrap_or(1),
            outputs: self.run(call.inputs)?,
            reply: call.reply,
            model_name: call.model_name,
        })
    }

    /// Encodes an answer.
    ///
    /// # Errors
    /// Unsupported accept, and invalid input if the caller asks for an output that there is not.
    pub fn encode(&self, answer: &Answer, accept: &Accept) -> Result<Payload> {
        answer::encode(self, answer, accept)
    }

    /// Runs the model on rows. `inputs` are in the model's order and have the types and shapes that it
    /// takes, with any number of rows.
    ///
    /// # Errors
    /// Invalid input, if an operator refuses values of the request; failed, if the model fails otherwise.
    pub(crate) fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        self.run_steps(inputs).map_err(|error| {
            let text = format!("the model failed: {error:#}");
            match error.downcast_ref::<Refused>() {
                Some(_) => Error::invalid_input(text),
                None => Error::failed(text),
            }
        })
    }

    /// How many rows a run takes, if not any number.
    pub(crate) fn step(&self) -> Option<usize> {
        self.plan.step
    }

    /// The number of rows of the inputs that have rows.
    fn rows(&self, inputs: &[Tensor]) -> Option<usize> {
        let mut pairs = self.inputs.iter().zip(inputs);
        let (_, tensor) = pairs.find(|(input, _)| input.by_rows(self.plan.step))?;
        tensor.shape().first().copied()
    }

    fn run_steps(&self, inputs: Vec<Tensor>) -> TractResult<Vec<Tensor>> {
        let (Some(rows), Some(step)) = (self.rows(&inputs), self.plan.step) else {
            return self.plan.run(inputs);
        };
        if rows == step {
            return self.plan.run(inputs);
        }
        if step == 0 || !rows.is_multiple_of(step) {
            return Err(refused(format_args!(
                "it takes {step} rows at a time, and {rows} are not a multiple of that"
            )));
        }
        let mut parts: Vec<Vec<Tensor>> = self.outputs.iter().map(|_| Vec::new()).collect();
        for start in (0..rows).step_by(step) {
            let part = self
                .inputs
                .iter()
                .zip(&inputs)
                .map(|(input, tensor)| match input.by_rows(Some(step)) {
                    true => tensor.slice(0, start, start + step),
                    false => Ok(tensor.clone()),
                })
                .collect::<TractResult<_>>()?;
            for (parts, output) in parts.iter_mut().zip(self.plan.run(part)?) {
                parts.push(output);
            }
        }
        parts
            .iter()
            .map(|parts| match parts.first() {
                Some(first) if first.rank() > 0 => Tensor::stack_tensors(0, parts),
                _ => bail!("its outputs for several rows cannot be put together"),
            })
            .collect()
    }
}

/// The names of the operators that a graph uses.
fn operators(graph: &tract_onnx::pb::GraphProto) -> BTreeSet<String> {
    graph.node.iter().map(|node| node.op_type.clone()).collect()
}

fn describe(proto: &ModelProto, operators: &BTreeSet<String>) -> String {
    let opsets: BTreeSet<String> = proto
        .opset_import
        .iter()
        .map(|opset| match opset.domain.as_str() {
            "" | "ai.onnx" => format!("opset {}", opset.version),
            domain => format!("{domain} {}", opset.version),
        })
        .collect();
    let opsets: Vec<String> = opsets.into_iter().collect();
    let names: Vec<&str> = operators.iter().map(String::as_str).collect();
    let nodes = proto.graph.as_ref().map_or(0, |graph| graph.node.len());
    format!(
        "producer {} {}, {}, {nodes} operators ({})",
        proto.producer_name,
        proto.producer_version,
        opsets.join(" / "),
        names.join(", ")
    )
}
