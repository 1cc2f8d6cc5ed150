//! The end of a graph in the making: its outputs, and what they need.
use edgemill_model::graph::{Graph, Op, Source, ValueId};
use edgemill_model::tensor::{DType, Quantization};

use super::{Builder, Value, clean, element, signed};
use crate::{Refusal, wrong};

impl Builder {
    /// Names an output of the file: of type `dtype`, with `rule` where it is quantized.
    pub fn output(
        &mut self,
        name: &str,
        value: &Value,
        dtype: Option<DType>,
        rule: Option<Quantization>,
    ) -> Result<(), Refusal> {
        let mut id = self.id(value)?;
        let given = self.element(id);
        id = match (dtype, given.dtype, given.quantization.or(rule)) {
            (Some(DType::U8), _, Some(_)) => {
                let i8 = given.quantization.or(rule.map(|r| signed(r, DType::U8)));
                let i8 = i8.ok_or_else(|| wrong("an output without a rule"))?;
                let to = Quantization { zero_point: i8.zero_point + 128, ..i8 };
                self.node(name, Op::Quantize, &[id], element(DType::U8, Some(to)))?
            }
            (Some(DType::F32) | None, DType::I8, Some(_)) => self.real(id)?,
            (Some(DType::F32), ..) => self.real(id)?,
            (Some(DType::I32), DType::F32, _) => {
                self.node(name, Op::Cast, &[id], element(DType::I32, None))?
            }
            _ => id,
        };
        let taken = self.graph.outputs().contains(&id);
        let is_node = matches!(self.graph.value(id).source(), Source::Node(_));
        // An output has a name of its own, so that its file is found.
        if taken || !is_node || self.graph.value(id).name() != clean(name) {
            let shape = self.shape(id);
            id = self.keep(name, Op::Reshape(shape), &[id])?;
        }
        Ok(self.graph.output(id)?)
    }

    /// What the outputs need, and all inputs.
    pub fn finish(self) -> Result<Graph<'static>, crate::ImportError> {
        let Self { graph, .. } = self;
        graph.check()?;
        let mut needed = vec![false; graph.values().len()];
        graph.outputs().iter().for_each(|id| needed[id.index()] = true);
        let nodes: Vec<_> = graph.nodes().collect();
        for (id, node) in nodes.into_iter().rev() {
            if needed[id.index()] {
                node.inputs.iter().for_each(|input| needed[input.index()] = true);
            }
        }
        graph.inputs().for_each(|id| needed[id.index()] = true);
        Ok(copy(&graph, &needed)?)
    }
}

fn copy(
    graph: &Graph<'static>,
    needed: &[bool],
) -> Result<Graph<'static>, edgemill_model::graph::GraphError> {
    let mut made = Graph::new();
    let mut ids: Vec<Option<ValueId>> = Vec::new();
    for (value, needed) in graph.values().iter().zip(needed) {
        let spec = value.spec();
        let id = match value.source() {
            _ if !needed => None,
            Source::Input => Some(made.input(value.name(), spec.clone())?),
            Source::Constant(c) => Some(made.constant(value.name(), spec.clone(), c.clone())?),
            Source::Node(node) => {
                let inputs: Vec<ValueId> =
                    node.inputs.iter().filter_map(|input| ids[input.index()]).collect();
                let element = element(spec.dtype, spec.quantization);
                Some(made.node(value.name(), node.op.clone(), &inputs, element)?)
            }
        };
        ids.push(id);
    }
    for output in graph.outputs() {
        made.output(ids[output.index()].expect("outputs are needed"))?;
    }
    made.check()?;
    Ok(made)
}
