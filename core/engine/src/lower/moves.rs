//! Nodes that move elements.
use edgemill_model::graph::{Node, Op, Span, ValueId};
use edgemill_model::tensor::DType;

use super::{Lowering, unplaced};
use crate::EngineError;
use crate::moves::{Move, strides};
use crate::step::{Buffer, Work};

/// For each index along an axis, where it is read and where it is written.
type Places = Vec<[usize; 2]>;

impl Lowering<'_> {
    /// Lowers a node that only moves elements; `false` if it is not one.
    pub(super) fn moved(&mut self, id: ValueId, node: &Node) -> Result<bool, EngineError> {
        let x = node.inputs[0];
        let from = self.strides(x);
        let to = self.strides(id);
        let shape = self.shape(id);
        let counts = shape.iter().map(|&count| count as usize);
        let places: Vec<Places> = match &node.op {
            Op::Slice(spans) => {
                let places = |(axis, span): (usize, &Span)| {
                    (0..span.count as usize)
                        .map(|i| [place(span, i) * from[axis], i * to[axis]])
                        .collect()
                };
                spans.iter().enumerate().map(places).collect()
            }
            Op::Gather { axis: gathered, indices } => {
                let index = |axis: usize, i: usize| {
                    if axis == usize::from(*gathered) { indices[i] as usize } else { i }
                };
                let places = |(axis, count)| {
                    (0..count).map(|i| [index(axis, i) * from[axis], i * to[axis]]).collect()
                };
                counts.enumerate().map(places).collect()
            }
            Op::Transpose(order) => {
                let places = |(axis, count)| {
                    (0..count).map(|i| [i * from[usize::from(order[axis])], i * to[axis]]).collect()
                };
                counts.enumerate().map(places).collect()
            }
            Op::Tile(_) => {
                let given = self.shape(x);
                let places = |(axis, count)| {
                    let length = given[axis] as usize;
                    (0..count).map(|i| [i % length * from[axis], i * to[axis]]).collect()
                };
                counts.enumerate().map(places).collect()
            }
            Op::Pad { borders, value } => {
                let given = self.shape(x);
                let places = |(axis, &count): (usize, &u32)| {
                    let before = borders[axis][0] as usize;
                    (0..count as usize).map(|i| [i * from[axis], (i + before) * to[axis]]).collect()
                };
                let places: Vec<Places> = given.iter().enumerate().map(places).collect();
                let moved = Move::new(self.dtype(x).bytes(), places).over(self.element(id, *value));
                self.step(id, &[x], Work::Move(moved))?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.step(id, &[x], Work::Move(Move::new(self.dtype(x).bytes(), places)))?;
        Ok(true)
    }

    /// Each input by a step of its own, into its part of the result.
    pub(super) fn concat(
        &mut self,
        id: ValueId,
        node: &Node,
        joined: usize,
    ) -> Result<(), EngineError> {
        let to = self.strides(id);
        let bytes = self.dtype(id).bytes();
        let slot = self.give_buffer(id);
        let output = unplaced(slot, self.graph.value(id).spec().bytes());
        let mut before = 0;
        for &x in &node.inputs {
            let (from, shape) = (self.strides(x), self.shape(x));
            let places = |(axis, &count): (usize, &u32)| {
                let first = if axis == joined { before } else { 0 };
                (0..count as usize).map(|i| [i * from[axis], (i + first) * to[axis]]).collect()
            };
            let places: Vec<Places> = shape.iter().enumerate().map(places).collect();
            let input = self.by_rule_of(id, x)?;
            self.step_into(id, vec![input], Work::Move(Move::new(bytes, places)), output);
            before += shape[joined] as usize;
        }
        Ok(())
    }

    /// The buffer of `x`, or of its elements by the rule of `id`.
    fn by_rule_of(&mut self, id: ValueId, x: ValueId) -> Result<Buffer, EngineError> {
        let input = self.buffer(x);
        let rule = |id| self.graph.value(id).spec().quantization;
        if self.dtype(x) != DType::I8 || rule(x) == rule(id) {
            return Ok(input);
        }
        let table = self.table(id, x);
        let output = self.scratch(input.bytes);
        self.step_into(id, vec![input], Work::Translate(table), output);
        Ok(output)
    }

    /// The buffer of `x`, or of its elements repeated to `shape`.
    pub(super) fn repeated(&mut self, id: ValueId, x: ValueId, shape: &[u32]) -> Buffer {
        let input = self.buffer(x);
        let given = self.shape(x);
        let missing = shape.len() - given.len();
        if given == shape[missing..] && shape[..missing].iter().all(|&count| count == 1) {
            return input;
        }
        let bytes = self.dtype(x).bytes();
        let (from, to) = (strides(&given, bytes), strides(shape, bytes));
        let places = |(axis, &count): (usize, &u32)| {
            let own = axis.checked_sub(missing).filter(|&own| given[own] > 1);
            (0..count as usize)
                .map(|i| [own.map_or(0, |own| i * from[own]), i * to[axis]])
                .collect()
        };
        let places: Vec<Places> = shape.iter().enumerate().map(places).collect();
        let elements: usize = shape.iter().map(|&count| count as usize).product();
        let output = self.scratch(elements * bytes);
        self.step_into(id, vec![input], Work::Move(Move::new(bytes, places)), output);
        output
    }

    /// A real number as the bytes of an element of `id`.
    fn element(&self, id: ValueId, value: f32) -> Vec<u8> {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, which is meant")]
        let whole = |value: f64| value as i32;
        let spec = self.graph.value(id).spec();
        let number = spec.quantization.map_or(f64::from(value), |rule| {
            let steps = (f64::from(value) / f64::from(rule.scale)).round_ties_even();
            steps + f64::from(rule.zero_point)
        });
        match spec.dtype {
            DType::F32 => value.to_le_bytes().to_vec(),
            DType::I32 => whole(number).to_le_bytes().to_vec(),
            DType::I8 => vec![super::low8(whole(number.clamp(-128.0, 127.0))) ^ self.kernel.flip()],
            DType::U8 => vec![super::low8(whole(number.clamp(0.0, 255.0)) - 128) ^ 0x80],
        }
    }

    pub(super) fn strides(&self, id: ValueId) -> Vec<usize> {
        strides(&self.graph.value(id).spec().shape, self.dtype(id).bytes())
    }

    pub(super) fn shape(&self, id: ValueId) -> Vec<u32> {
        self.graph.value(id).spec().shape.clone()
    }
}

/// The element of a span.
fn place(span: &Span, i: usize) -> usize {
    let steps = span.step.unsigned_abs() as usize * i;
    if span.step < 0 { span.start as usize - steps } else { span.start as usize + steps }
}
