//! Products of matrices.
use edgemill_model::graph::{Clamp, Function, Op, Pair, ValueId};

use super::options::axis;
use super::{Importer, Node};
use crate::builder::{Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The longest axis along which a running sum, or one over neighbours, is a product with a square matrix.
const MAX_SIDE: u32 = 1 << 11;

impl<'a> Importer<'a> {
    pub(super) fn dense(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, weights) = (self.id(node, 0)?, self.operand(node, 1)?);
        let bias = node.optional(2).map(|at| self.value(at)).transpose()?;
        let sizes = self.build.value_shape(&weights);
        let &[k, depth] = &sizes[..] else { return Err(wrong("weights have two axes")) };
        let shape = self.build.shape(x);
        let total: u32 = shape.iter().product();
        if depth == 0 || !total.is_multiple_of(depth) {
            return Err(wrong(format!("{shape:?} by weights of {depth}")));
        }
        let flat = vec![total / depth, depth];
        let x = if shape == flat { x } else { self.build.keep("", Op::Reshape(flat), &[x])? };
        let (clamp, out) = (node.activation(0)?, self.out(node)?);
        let id = self.build.weighted(&out, Op::Dense { clamp }, x, &weights, bias.as_ref())?;
        if node.u8(2, 0)? == 0 || shape.len() == 2 {
            return Ok(self.live(id));
        }
        let mut to = shape;
        to.pop();
        to.push(k);
        let id = self.build.keep(&out.name, Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }

    pub(super) fn mat_mul(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (a, b, out) = (self.side(node, 0)?, self.side(node, 1)?, self.out(node)?);
        let rank = self.build.shape(a).len().max(self.build.shape(b).len());
        let sides = [self.ranked(a, rank)?, self.ranked(b, rank)?];
        let id = self.build.compute(&out, Op::MatMul, &sides)?;
        Ok(self.live(id))
    }

    /// A side of a product, turned if the file says so.
    fn side(&mut self, node: &Node<'a>, index: usize) -> Result<ValueId, Refusal> {
        let id = self.id(node, index)?;
        let rank = self.build.shape(id).len();
        if node.u8(index, 0)? == 0 || rank < 2 {
            return Ok(id);
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 1, rank - 2);
        let plain = self.build.plain(id);
        self.build.arranged(&plain, &order)
    }

    /// With axes of 1 in front.
    fn ranked(&mut self, id: ValueId, rank: usize) -> Result<ValueId, Refusal> {
        let shape = self.build.shape(id);
        if shape.len() >= rank {
            return Ok(id);
        }
        let mut wide = vec![1; rank - shape.len()];
        wide.extend(shape);
        self.build.keep("", Op::Reshape(wide), &[id])
    }

    /// A running sum: a product with a matrix of ones on one side of its diagonal.
    pub(super) fn cumulate(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let x = self.build.real(x)?;
        let shape = self.build.shape(x);
        let along = self.known(node, 1)?.i64s().first().copied().unwrap_or(0);
        let along = axis(along, shape.len())?;
        let (without, backwards) = (node.u8(0, 0)? != 0, node.u8(1, 0)? != 0);
        let counts = move |row: u32, column: u32| {
            let (row, column) = if backwards { (column, row) } else { (row, column) };
            column < row || column == row && !without
        };
        let (outer, inner) = (shape[..along].iter().product(), shape[along + 1..].iter().product());
        let ones = self.square(shape[along], counts)?;
        let x = self.build.keep("", Op::Reshape(vec![outer, shape[along], inner]), &[x])?;
        let sums = self.build.compute(&Out::default(), Op::MatMul, &[ones, x])?;
        let id = self.build.keep(&out.name, Op::Reshape(shape), &[sums])?;
        Ok(self.live(id))
    }

    /// A matrix of ones where `counts` says so, elsewhere of zeros.
    pub(super) fn square(
        &mut self,
        side: u32,
        counts: impl Fn(u32, u32) -> bool,
    ) -> Result<ValueId, Refusal> {
        if side > MAX_SIDE {
            return Err(unsupported(format!("an axis longer than {MAX_SIDE}")));
        }
        self.spend(side as usize * side as usize)?;
        let one = |row, column| if counts(row, column) { 1.0 } else { 0.0 };
        let ones = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
        let ones = ones.map(|(row, column)| one(row, column)).collect();
        self.build.constant(&Host::floats(vec![1, side as usize, side as usize], ones))
    }

    /// x ÷ (bias + α × the sum of squares of the channels around)^β.
    pub(super) fn local_response(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out, real) = (self.id(node, 0)?, self.out(node)?, Out::default());
        let x = self.build.real(x)?;
        let radius = node.size(0, 1)?;
        let number = |field| node.f32(field, 1.0).map(|n| Value::Host(Host::scalar(n)));
        let (bias, alpha, beta) = (number(1)?, number(2)?, node.f32(3, 1.0)?);
        let shape = self.build.shape(x);
        let c = shape.last().copied().ok_or_else(|| wrong("a picture has four axes"))?;
        let band = self.square(c, |row, column| row.abs_diff(column) <= radius)?;
        let squares = self.build.compute(&real, Op::Unary(Function::Power(2.0)), &[x])?;
        let rows = shape.iter().product::<u32>() / c;
        let squares = self.build.keep("", Op::Reshape(vec![1, rows, c]), &[squares])?;
        let sums = self.build.compute(&real, Op::MatMul, &[squares, band])?;
        let sums = self.build.keep("", Op::Reshape(shape), &[sums])?;
        let sums = self.live(sums);
        let scaled = self.build.pair(&real, Pair::Mul, Clamp::NONE, [&sums, &alpha])?;
        let base = self.build.pair(&real, Pair::Add, Clamp::NONE, [&scaled, &bias])?;
        let factor = self.build.each(&real, Op::Unary(Function::Power(-beta)), &base)?;
        let x = self.live(x);
        self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &factor])
    }
}
