//! Losses, as files that were meant for training have them.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction};

use super::Importer;
use super::moves::turned;
use crate::builder::{Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn likelihood(&mut self, at: usize) -> Result<Vec<Value>, Refusal> {
        let x = self.value(at, 0)?;
        Ok(vec![self.loss(at, &x)?])
    }

    pub(super) fn cross_entropy(&mut self, at: usize) -> Result<Vec<Value>, Refusal> {
        let x = self.live(at, 0)?;
        let mut order: Vec<usize> = x.order.iter().copied().filter(|&axis| axis != 1).collect();
        order.push(1);
        let id = self.build.arranged(&x, &order)?;
        let id = self.build.compute(&Out::default(), Op::LogSoftmax, &[id])?;
        let log = Value::Live(crate::builder::Live { id, order });
        Ok(vec![self.loss(at, &log)?, log])
    }

    /// −(weight of the target) × (what x has at the target), along the second axis.
    fn loss(&mut self, at: usize, x: &Value) -> Result<Value, Refusal> {
        let (target, inner) = (self.value(at, 1)?, Out::default());
        let shape = self.build.value_shape(x);
        let &[_, classes, ..] = &shape[..] else { return Err(wrong("its input has no classes")) };
        if self.build.value_shape(&target).len() + 1 != shape.len() {
            return Err(wrong("its targets have another number of axes"));
        }
        let Value::Live(rows) = self.rows_of(&target, classes)? else {
            return Err(wrong("a constant"));
        };
        let mut order = vec![0, shape.len() - 1];
        order.extend(1..shape.len() - 1);
        let rows = turned(rows, &order)?;
        let weights = self.class_weights(at, classes)?;
        let weights = self.per_channel(&weights, shape.len())?;
        let weights = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&rows, &weights])?;
        let taken = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&weights, x])?;
        let loss = self.build.each(&inner, Op::Unary(Function::Neg), &taken)?;
        let out = self.out(at);
        let all: Vec<usize> = (0..shape.len()).collect();
        let reduction = self.text(at, "reduction", "mean");
        let (made, to) = match reduction.as_str() {
            "none" => {
                let mut to = shape.clone();
                to.remove(1);
                (self.reduced(&inner, &loss, Reduction::Sum, vec![1])?, to)
            }
            "sum" => (self.reduced(&inner, &loss, Reduction::Sum, all)?, Vec::new()),
            "mean" => {
                let sum = self.reduced(&inner, &loss, Reduction::Sum, all.clone())?;
                let weight = self.reduced(&inner, &weights, Reduction::Sum, all)?;
                let mean = self.build.pair(&inner, Pair::Div, Clamp::NONE, [&sum, &weight])?;
                (mean, Vec::new())
            }
            other => return Err(unsupported(format!("reduction {other}"))),
        };
        Ok(Value::Live(self.build.reshaped(&out.name, &made, to)?))
    }

    /// The weight of each class; none of the one that is ignored.
    fn class_weights(&mut self, at: usize, classes: u32) -> Result<Value, Refusal> {
        let ones = Host::floats(vec![classes as usize], vec![1.0; classes as usize]);
        let given = self.optional(at, 2)?.unwrap_or(Value::Host(ones.clone()));
        let ignored = usize::try_from(self.int(at, "ignore_index", -1)).ok();
        let Some(ignored) = ignored.filter(|&class| class < classes as usize) else {
            return Ok(given);
        };
        let mut kept = ones.f32s();
        kept[ignored] = 0.0;
        let kept = Value::Host(Host::floats(ones.shape, kept));
        self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&given, &kept])
    }
}
