//! What is made of the elements along axes.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction};
use edgemill_model::tensor::DType;

use super::ops::Values;
use super::options::{axes, axis, sizes};
use super::{Importer, Node};
use crate::Refusal;
use crate::builder::{Out, Value, element, small};
use crate::host::Host;

impl<'a> Importer<'a> {
    pub(super) fn reduce(&mut self, node: &Node<'a>, by: Reduction) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let shape = self.build.shape(x);
        let axes = axes(&self.known(node, 1)?.i64s(), shape.len())?;
        let op = Op::Reduce { by, axes: axes.iter().map(|&a| small(a)).collect() };
        let keeps = matches!(by, Reduction::Max | Reduction::Min) && self.build.is_int8(x);
        let mut id = if keeps {
            self.build.keep(&out.name, op, &[x])?
        } else {
            self.build.compute(&out, op, &[x])?
        };
        if node.u8(0, 0)? == 0 {
            let kept = (0..shape.len()).filter(|a| !axes.contains(a)).map(|a| shape[a]).collect();
            id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        }
        Ok(self.live(id))
    }

    pub(super) fn arg_max(&mut self, node: &Node<'a>, least: bool) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let shape = self.build.shape(x);
        let along = self.known(node, 1)?.i64s().first().copied().unwrap_or(-1);
        let along = axis(along, shape.len())?;
        let op = Op::ArgMax { axis: small(along), least, last: false };
        let id = self.build.node(&out.name, op, &[x], element(DType::I32, None))?;
        let kept = (0..shape.len()).filter(|&a| a != along).map(|a| shape[a]).collect();
        let id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        Ok(self.live(id))
    }

    /// The greatest along the innermost axis, and its place.
    pub(super) fn greatest(&mut self, node: &Node<'a>) -> Values {
        let x = self.id(node, 0)?;
        let count = self.known(node, 1)?.i64s();
        if count != [1] {
            return self.greatest_of(node, sizes(&count).first().copied().unwrap_or(0));
        }
        let rank = self.build.shape(x).len();
        let last = small(axis(-1, rank)?);
        let most = Op::Reduce { by: Reduction::Max, axes: vec![last] };
        let most = self.build.keep("", most, &[x])?;
        let place = Op::ArgMax { axis: last, least: false, last: false };
        let place = self.build.node("", place, &[x], element(DType::I32, None))?;
        Ok(vec![self.live(most), self.live(place)])
    }

    pub(super) fn l2(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out, real) = (self.id(node, 0)?, self.out(node)?, Out::default());
        let x = self.build.real(x)?;
        let last = small(self.build.shape(x).len().saturating_sub(1));
        let square = self.build.compute(&real, Op::Unary(Function::Power(2.0)), &[x])?;
        let sum = self.build.compute(
            &real,
            Op::Reduce { by: Reduction::Sum, axes: vec![last] },
            &[square],
        )?;
        let (sum, x) = (self.live(sum), self.live(x));
        let least = Value::Host(Host::scalar(1e-6));
        let held = self.build.pair(&real, Pair::Max, Clamp::NONE, [&sum, &least])?;
        let factor = self.build.each(&real, Op::Unary(Function::Rsqrt), &held)?;
        self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &factor])
    }
}
