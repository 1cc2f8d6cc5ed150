//! Nodes of real numbers within a quantized network.
use edgemill_model::graph::{Clamp, Node, Op, Reduction, ValueId};
use edgemill_model::tensor::DType;

use super::{Lowering, Readers};
use crate::EngineError;
use crate::moves::offsets;
use crate::real::{Real, RealPair, bounded};
use crate::step::Work;

impl Lowering<'_> {
    /// Lowers a node whose inputs and result are real numbers; `false` if it is not one that can be.
    pub(super) fn real(&mut self, id: ValueId, node: &Node) -> Result<bool, EngineError> {
        let x = node.inputs[0];
        if [x, id].iter().any(|&value| self.dtype(value) != DType::F32) {
            return Ok(false);
        }
        let axis = self.shape(x).last().map_or(1, |&count| count as usize);
        let work = match &node.op {
            Op::Unary(function) => Real::Unary(*function),
            Op::Clamp(clamp) => Real::Clamp(*clamp),
            Op::Softmax => Real::Softmax { axis, log: false },
            Op::LogSoftmax => Real::Softmax { axis, log: true },
            Op::Reduce { by, axes } => self.real_reduce(x, *by, axes),
            Op::Binary { function, clamp } => {
                let (spread, shapes) = self.spread(id, [x, node.inputs[1]]);
                let inputs = [0, 1].map(|side| self.repeated(id, node.inputs[side], &shapes[side]));
                let pair = RealPair { function: *function, clamp: *clamp, spread };
                self.step_from(id, inputs.into(), Work::RealPair(pair));
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.step(id, &[x], Work::Real(work))?;
        Ok(true)
    }

    fn real_reduce(&self, x: ValueId, by: Reduction, axes: &[u8]) -> Real {
        let (shape, strides) = (self.shape(x), self.strides(x));
        let [kept, reduced] = [false, true].map(|wanted| {
            let axis = |axis: &usize| axes.iter().any(|&a| usize::from(a) == *axis) == wanted;
            offsets((0..shape.len()).filter(axis).map(|axis| (shape[axis], strides[axis])))
        });
        Real::Reduce { by, kept, reduced }
    }

    /// Where a dequantization is followed by functions of each number and a quantization, and nobody else reads what is
    /// between: a table for all of it.
    pub(super) fn island(&mut self, id: ValueId, x: ValueId) -> Result<bool, EngineError> {
        let Some((between, last)) = self.functions_after(id) else { return Ok(false) };
        let graph = self.graph;
        let all = |real: f32| {
            let ops = between.iter().filter_map(|&value| graph.value(value).node());
            ops.fold(real, |real, node| match &node.op {
                Op::Unary(function) => function.apply(real),
                Op::Clamp(clamp) => bounded(real, *clamp),
                _ => real,
            })
        };
        let table = self.table_of(last, x, Clamp::NONE, all);
        self.translate(last, x, table)?;
        // They have no bytes of their own.
        let slot = self.slot(x);
        for value in between.into_iter().chain([id]) {
            self.out.slots[value.index()] = Some(slot);
        }
        Ok(true)
    }

    /// The values between a dequantization and the quantization that ends its island.
    fn functions_after(&self, id: ValueId) -> Option<(Vec<ValueId>, ValueId)> {
        let (mut at, mut between) = (id, Vec::new());
        loop {
            let Readers::One(next) = self.readers[at.index()] else { return None };
            match self.graph.value(next).node()?.op {
                Op::Unary(_) | Op::Clamp(_) | Op::Reshape(_) => between.push(next),
                Op::Quantize => return Some((between, next)),
                _ => return None,
            }
            at = next;
        }
    }
}
