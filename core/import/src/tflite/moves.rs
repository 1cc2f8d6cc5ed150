//! Operators that move elements.
use edgemill_model::graph::{Clamp, Op, Span, ValueId};
use edgemill_model::tensor::DType;

use super::ops::Values;
use super::options::{axes, axis, sizes};
use super::{Importer, Node};
use crate::builder::{Shape, Value, small};
use crate::{Refusal, wrong};

/// What STRIDED_SLICE takes.
pub struct Strided {
    /// Of each axis of what it reads.
    pub spans: Vec<Span>,
    /// The shape of the result: without the axes of which one place is taken, with those that are new.
    pub shape: Shape,
}

impl<'a> Importer<'a> {
    /// What an operator that only moves elements gives.
    pub(super) fn moved(&mut self, name: &str, node: &Node<'a>) -> Result<Option<Value>, Refusal> {
        let op = match name {
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => {
                let x = self.id(node, 0)?;
                Op::Reshape(self.new_shape(name, node, &self.build.shape(x))?)
            }
            "TRANSPOSE" => {
                let list = self.known(node, 1)?.i64s();
                Op::Transpose(list.iter().map(|&a| u8::try_from(a).unwrap_or(u8::MAX)).collect())
            }
            "PAD" | "PADV2" => self.borders(name, node)?,
            "TILE" => Op::Tile(sizes(&self.known(node, 1)?.i64s())),
            "SLICE" => Op::Slice(self.part(node)?),
            "REVERSE_V2" => Op::Slice(self.reversed(node)?),
            "BROADCAST_TO" => return self.repeated(node).map(Some),
            "STRIDED_SLICE" => return self.strided(node).map(Some),
            "CONCATENATION" => return self.join(node).map(Some),
            "PACK" => return self.stack(node).map(Some),
            "GATHER" => return self.gather(node).map(Some),
            "RESIZE_NEAREST_NEIGHBOR" => return self.nearest(node).map(Some),
            "DEPTH_TO_SPACE" | "SPACE_TO_DEPTH" => return self.blocks(name, node).map(Some),
            "MIRROR_PAD" => return self.mirror(node).map(Some),
            _ => return Ok(None),
        };
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let id = self.build.keep(&out.name, op, &[x])?;
        Ok(Some(self.live(id)))
    }

    /// The shape that x of shape `given` gets.
    pub(super) fn new_shape(
        &self,
        name: &str,
        node: &Node<'a>,
        given: &[u32],
    ) -> Result<Shape, Refusal> {
        match name {
            "EXPAND_DIMS" => {
                let at = self.known(node, 1)?.i64s().first().copied().unwrap_or(0);
                let mut shape = given.to_vec();
                shape.insert(axis(at, given.len() + 1)?, 1);
                Ok(shape)
            }
            "SQUEEZE" => {
                let list: Vec<i64> = node.i32s(0)?.into_iter().map(i64::from).collect();
                let named = axes(&list, given.len())?;
                let goes = |a: usize| given[a] == 1 && (named.is_empty() || named.contains(&a));
                Ok((0..given.len()).filter(|&a| !goes(a)).map(|a| given[a]).collect())
            }
            _ => self.asked_shape(node, given),
        }
    }

    /// RESHAPE has its shape as an input, as an option, or as that of its output.
    fn asked_shape(&self, node: &Node<'a>, given: &[u32]) -> Result<Shape, Refusal> {
        let count =
            |shape: &[u32]| shape.iter().fold(1_u64, |n, &d| n.saturating_mul(u64::from(d)));
        let total = count(given);
        let asked: Vec<i64> = match node.optional(1).map(|at| self.value(at)) {
            Some(Ok(Value::Host(host))) => host.i64s(),
            _ => node.i32s(0)?.into_iter().map(i64::from).collect(),
        };
        let known =
            asked.iter().filter_map(|&d| u64::try_from(d).ok()).fold(1, u64::saturating_mul);
        let open = u32::try_from(total / known.max(1)).unwrap_or(0);
        let shape: Shape = asked.iter().map(|&d| u32::try_from(d).unwrap_or(open)).collect();
        if !(asked.is_empty() && given.len() > 1) && count(&shape) == total {
            return Ok(shape);
        }
        let mut shape = self.tensor(node.output())?.sizes32()?;
        if count(&shape) != total && shape.len() > 1 {
            // A batch that the converter left open.
            shape[0] = u32::try_from(total / count(&shape[1..]).max(1)).unwrap_or(0);
        }
        Ok(shape)
    }

    fn borders(&self, name: &str, node: &Node<'a>) -> Result<Op, Refusal> {
        let list = sizes(&self.known(node, 1)?.i64s());
        let value = match name {
            "PADV2" => self.known(node, 2)?.f32s().first().copied().unwrap_or(0.0),
            _ => 0.0,
        };
        Ok(Op::Pad {
            borders: list.as_chunks::<2>().0.to_vec(),
            value: value.clamp(f32::MIN, f32::MAX),
        })
    }

    pub(super) fn part(&self, node: &Node<'a>) -> Result<Vec<Span>, Refusal> {
        let shape = self.build.value_shape(&self.operand(node, 0)?);
        let (begin, count) = (self.known(node, 1)?.i64s(), self.known(node, 2)?.i64s());
        let one = |((b, c), d): ((i64, i64), u32)| {
            let c = if c < 0 { i64::from(d).saturating_sub(b) } else { c };
            let start = u32::try_from(b).unwrap_or(u32::MAX);
            Span { start, step: 1, count: u32::try_from(c).unwrap_or(0) }
        };
        Ok(begin.into_iter().zip(count).zip(shape).map(one).collect())
    }

    fn reversed(&self, node: &Node<'a>) -> Result<Vec<Span>, Refusal> {
        let shape = self.build.value_shape(&self.operand(node, 0)?);
        let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
        for at in axes(&self.known(node, 1)?.i64s(), shape.len())? {
            spans[at] = Span { start: shape[at].saturating_sub(1), step: -1, count: shape[at] };
        }
        Ok(spans)
    }

    fn repeated(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out, to) = (self.operand(node, 0)?, self.out(node)?, self.known(node, 1)?);
        let (shape, to) = (self.build.value_shape(&x), sizes(&to.i64s()));
        let missing = to.len().checked_sub(shape.len()).ok_or_else(|| wrong("its shape"))?;
        let mut wide = vec![1; missing];
        wide.extend(shape);
        let times = to.iter().zip(&wide).map(|(to, from)| to / from.max(&1)).collect();
        let x = self.build.reshaped("", &x, wide)?;
        let id = self.build.keep(&out.name, Op::Tile(times), &[x.id])?;
        Ok(self.live(id))
    }

    fn strided(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let Strided { spans, shape } = self.strides(node, &self.build.shape(x))?;
        let id = self.build.keep(&out.name, Op::Slice(spans), &[x])?;
        let id = self.build.keep(&out.name, Op::Reshape(shape), &[id])?;
        Ok(self.live(id))
    }

    pub(super) fn strides(&self, node: &Node<'a>, given: &[u32]) -> Result<Strided, Refusal> {
        let [begin, end, step] = [1, 2, 3].map(|n| self.known(node, n).map(|h| h.i64s()));
        let (begin, end, step) = (begin?, end?, step?);
        let mut masks = [0; 5];
        for (field, mask) in masks.iter_mut().enumerate() {
            *mask = node.i32(field, 0)?;
        }
        let count = begin.len().min(end.len()).min(step.len()).min(32);
        let bit = |mask: usize, n: usize| masks[mask] >> n & 1 != 0;
        let [open, to_end, ellipsis, new, dropped] = [0, 1, 2, 3, 4];
        let named = (0..count).filter(|&n| !bit(ellipsis, n) && !bit(new, n)).count();
        let mut made = Strided { spans: Vec::new(), shape: Vec::new() };
        for n in 0..count {
            if bit(ellipsis, n) {
                made.whole(given, given.len().saturating_sub(named));
            } else if bit(new, n) {
                made.shape.push(1);
            } else {
                let size = *given.get(made.spans.len()).ok_or_else(|| wrong("its axes"))?;
                let open = [bit(open, n), bit(to_end, n)];
                let span = taken(size.into(), [begin[n], end[n], step[n]], open, bit(dropped, n))?;
                made.spans.push(span);
                made.shape.extend((!bit(dropped, n)).then_some(span.count));
            }
        }
        made.whole(given, given.len().saturating_sub(made.spans.len()));
        Ok(made)
    }

    fn join(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let ids =
            (0..node.inputs.len()).map(|n| self.id(node, n)).collect::<Result<Vec<_>, _>>()?;
        let first = *ids.first().ok_or_else(|| wrong("it has no inputs"))?;
        let along = axis(node.i32(0, 0)?.into(), self.build.shape(first).len())?;
        let value = self.joined(node, &ids, along)?;
        let clamp = node.activation(1)?;
        if clamp == Clamp::NONE {
            return Ok(value);
        }
        let out = self.out(node)?;
        self.build.each(&out, Op::Clamp(clamp), &value)
    }

    fn stack(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let mut ids = Vec::new();
        let mut along = 0;
        for n in 0..node.inputs.len() {
            let x = self.id(node, n)?;
            let mut shape = self.build.shape(x);
            along = axis(node.i32(1, 0)?.into(), shape.len() + 1)?;
            shape.insert(along, 1);
            ids.push(self.build.keep("", Op::Reshape(shape), &[x])?);
        }
        self.joined(node, &ids, along)
    }

    fn joined(&mut self, node: &Node<'a>, ids: &[ValueId], along: usize) -> Result<Value, Refusal> {
        let (op, out) = (Op::Concat { axis: small(along) }, self.out(node)?);
        let whole = |id: &ValueId| self.build.element(*id).dtype == DType::I32;
        let id = if !ids.is_empty() && ids.iter().all(whole) {
            self.build.keep(&out.name, op, ids)?
        } else {
            self.build.compute(&out, op, ids)?
        };
        Ok(self.live(id))
    }

    pub(super) fn split(&mut self, name: &str, node: &Node<'a>) -> Values {
        let (data, list) = if name == "SPLIT" { (1, 0) } else { (0, 2) };
        let x = self.id(node, data)?;
        let shape = self.build.shape(x);
        let along = match name {
            "UNPACK" => node.i32(1, 0)?.into(),
            _ => self.known(node, list)?.i64s().first().copied().unwrap_or(0),
        };
        let along = axis(along, shape.len())?;
        let mut start = 0_u32;
        let mut values = Vec::new();
        for count in self.part_sizes(name, node, shape[along])? {
            let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
            spans[along] = Span { start, step: 1, count };
            start = start.saturating_add(count);
            let mut id = self.build.keep("", Op::Slice(spans), &[x])?;
            if name == "UNPACK" {
                let mut kept = shape.clone();
                kept.remove(along);
                id = self.build.keep("", Op::Reshape(kept), &[id])?;
            }
            values.push(self.live(id));
        }
        Ok(values)
    }

    /// Of an axis of `whole` places; one size may be open.
    fn part_sizes(&self, name: &str, node: &Node<'a>, whole: u32) -> Result<Vec<u32>, Refusal> {
        let parts = node.outputs.len();
        if name != "SPLIT_V" {
            return Ok(vec![whole / u32::try_from(parts).unwrap_or(1).max(1); parts]);
        }
        let list = self.known(node, 1)?.i64s();
        let named: i64 = list.iter().filter(|&&v| v > 0).fold(0, |sum, &v| sum.saturating_add(v));
        let open = u32::try_from(i64::from(whole) - named.min(whole.into())).unwrap_or(0);
        Ok(list.iter().map(|&v| u32::try_from(v).unwrap_or(open)).collect())
    }

    fn gather(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let Value::Host(indices) = self.operand(node, 1)? else { return self.pick(node) };
        if node.i32(1, 0)? != 0 {
            return self.pick(node);
        }
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let shape = self.build.shape(x);
        let along = axis(node.i32(0, 0)?.into(), shape.len())?;
        let places = sizes(&indices.i64s());
        let id = self.build.keep("", Op::Gather { axis: small(along), indices: places }, &[x])?;
        let mut to = shape[..along].to_vec();
        to.extend(indices.shape32());
        to.extend(&shape[along + 1..]);
        let id = self.build.keep(&out.name, Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }
}

impl Strided {
    fn whole(&mut self, given: &[u32], count: usize) {
        for _ in 0..count {
            let Some(&size) = given.get(self.spans.len()) else { return };
            self.spans.push(Span::whole(size));
            self.shape.push(size);
        }
    }
}

/// Of one axis, from begin to end by step, of which either bound may be left open; or one place of it.
fn taken(
    size: i64,
    [begin, end, step]: [i64; 3],
    [open, to_end]: [bool; 2],
    one: bool,
) -> Result<Span, Refusal> {
    let first = if open { if step < 0 { size - 1 } else { 0 } } else { begin };
    if one {
        let last = if first == -1 { size } else { first.saturating_add(1) };
        return crate::onnx::span(size, first, last, 1);
    }
    let last = if to_end { if step < 0 { i64::MIN / 2 } else { size } } else { end };
    crate::onnx::span(size, first, last, step)
}
