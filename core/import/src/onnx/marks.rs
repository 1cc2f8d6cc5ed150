//! Elements that are marked by 1: where an index points to, where the greatest is, where no number is.
use edgemill_model::graph::{Clamp, Function, Op, Pair};
use edgemill_model::tensor::DType;

use super::moves::turned;
use super::{Importer, axis, size};
use crate::builder::{Out, Value, counted, element, small};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn one_hot(&mut self, at: usize) -> Result<Value, Refusal> {
        let depth = self.host(at, 1)?.and_then(|h| h.i64s().first().copied());
        let depth = size(depth.ok_or_else(|| wrong("no depth"))?)?;
        let (indices, values) = (self.value(at, 0)?, self.value(at, 2)?);
        let rank = self.build.value_shape(&indices).len();
        let along = axis(self.int(at, "axis", -1), rank + 1)?;
        // Indices may be counted from the end; what lies outside has no place.
        let real = Value::Live(self.real_live(&indices)?);
        let rows = self.rows_of(&real, depth)?;
        #[expect(clippy::cast_precision_loss, reason = "below 2²⁴")]
        let whole = Value::Host(Host::scalar(depth as f32));
        let inner = Out::default();
        let moved = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&real, &whole])?;
        let further = self.rows_of(&moved, depth)?;
        let rows = self.build.pair(&inner, Pair::Max, Clamp::NONE, [&rows, &further])?;
        let [off, on] = [0, 1].map(|n| self.picked(&values, n));
        let (off, on) = (off?, on?);
        let out = self.out(at);
        let (Value::Live(made), whole) = (
            self.build.repeated(&out, Op::Select, &[&rows, &on, &off])?,
            matches!(&values, Value::Host(h) if h.is_whole()),
        ) else {
            return Err(wrong("a constant"));
        };
        let mut order: Vec<usize> = (0..rank).collect();
        order.insert(along, rank);
        let made = turned(made, &order)?;
        if whole { self.as_whole(&out, made) } else { Ok(made) }
    }

    /// One element of a list, in real numbers.
    fn picked(&mut self, values: &Value, n: usize) -> Result<Value, Refusal> {
        if let Value::Host(host) = values {
            let element = host.f32s().get(n).copied();
            return element
                .map(|e| Value::Host(Host::scalar(e)))
                .ok_or_else(|| wrong("two values are needed"));
        }
        let live = self.real_live(values)?;
        let indices = vec![u32::try_from(n).unwrap_or(0)];
        let id = self.build.keep("", Op::Gather { axis: 0, indices }, &[live.id])?;
        Ok(Value::Live(self.build.plain(id)))
    }

    /// 1 at the first of the greatest along an axis.
    pub(super) fn hard_max(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let live = self.real_live(&x)?;
        let shape = self.build.logical(&live);
        let default = if self.opset < 13 { 1 } else { -1 };
        let along = axis(self.int(at, "axis", default), shape.len())?;
        // Before opset 13 everything from the axis on was one.
        let seen = if self.opset < 13 {
            vec![shape[..along].iter().product(), shape[along..].iter().product()]
        } else {
            shape.clone()
        };
        let along = if self.opset < 13 { 1 } else { along };
        let x = self.build.reshaped("", &Value::Live(live), seen.clone())?;
        let op = Op::ArgMax { axis: small(along), least: false, last: false };
        let place = self.build.node("", op, &[x.id], element(DType::I32, None))?;
        let real = self.build.real(place)?;
        let place = Value::Live(self.build.plain(real));
        let mut wide = vec![1; seen.len()];
        wide[along] = seen[along] as usize;
        let numbers = Value::Host(counted(seen[along])?.reshaped(wide));
        let out = self.out(at);
        let made = self.build.pair(&out, Pair::Equal, Clamp::NONE, [&place, &numbers])?;
        Ok(Value::Live(self.build.reshaped(&out.name, &made, shape)?))
    }

    pub(super) fn is_nan(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let inner = Out::default();
        let same = self.build.pair(&inner, Pair::Equal, Clamp::NONE, [&x, &x])?;
        self.build.each(&self.out(at), Op::Unary(Function::Not), &same)
    }

    pub(super) fn is_infinite(&mut self, at: usize) -> Result<Value, Refusal> {
        let (above, below) =
            (self.int(at, "detect_positive", 1) != 0, self.int(at, "detect_negative", 1) != 0);
        let function = match (above, below) {
            (true, true) => Some(Function::Abs),
            (false, true) => Some(Function::Neg),
            (true, false) => None,
            (false, false) => return Err(unsupported("nothing to find")),
        };
        let mut x = Value::Live({
            let x = self.value(at, 0)?;
            self.real_live(&x)?
        });
        if let Some(function) = function {
            x = self.build.each(&Out::default(), Op::Unary(function), &x)?;
        }
        let greatest = Value::Host(Host::scalar(f32::MAX));
        self.build.pair(&self.out(at), Pair::Less, Clamp::NONE, [&greatest, &x])
    }

    /// × or ÷ a power of two, exact below 2²⁴.
    pub(super) fn shifted(&mut self, at: usize) -> Result<Value, Refusal> {
        let left = self.text(at, "direction", "") == "LEFT";
        let (x, by) = (self.value(at, 0)?, self.value(at, 1)?);
        let [x, by] = [x, by].map(|v| self.real_live(&v).map(Value::Live));
        let (x, by) = (x?, by?);
        let inner = Out::default();
        let two = Value::Host(Host::scalar(2.0));
        let factor = self.build.pair(&inner, Pair::Power, Clamp::NONE, [&two, &by])?;
        let made = if left {
            self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&x, &factor])?
        } else {
            let made = self.build.pair(&inner, Pair::Div, Clamp::NONE, [&x, &factor])?;
            self.build.each(&inner, Op::Unary(Function::Floor), &made)?
        };
        self.as_whole(&self.out(at), made)
    }

    /// What a known list of truths keeps of an axis, or of all elements.
    pub(super) fn compress(&mut self, at: usize) -> Result<Value, Refusal> {
        let kept = self.host(at, 1)?.ok_or_else(|| wrong("no condition"))?.f64s();
        let mut live = self.live(at, 0)?;
        let along = match self.attribute(at, "axis") {
            Some(_) => axis(self.int(at, "axis", 0), live.order.len())?,
            None => {
                let count = self.build.logical(&live).iter().product();
                live = self.build.reshaped("", &Value::Live(live), vec![count])?;
                0
            }
        };
        let length = self.build.logical(&live)[along];
        let indices: Vec<u32> =
            (0..length).zip(&kept).filter(|(_, kept)| **kept != 0.0).map(|(n, _)| n).collect();
        if indices.is_empty() {
            return Err(unsupported("nothing left of an axis"));
        }
        let id = self.build.in_order(&live)?;
        let op = Op::Gather { axis: small(along), indices };
        let id = self.build.keep(&self.out(at).name, op, &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }
}
