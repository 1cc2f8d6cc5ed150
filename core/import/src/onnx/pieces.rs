//! Operators that are made of several nodes.
use edgemill_model::graph::{Clamp, Element, Function, Op, Pair, Reduction, ValueId};
use edgemill_model::tensor::DType;

use super::{Importer, axes, axis};
use crate::builder::{Live, Out, Value, element, identity, small};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn piece(&mut self, at: usize, op: &str) -> Result<Option<Value>, Refusal> {
        if let Some(kind) = op.strip_prefix("Reduce") {
            return self.reduce(at, kind).map(Some);
        }
        Ok(Some(match op {
            "Softmax" | "LogSoftmax" => self.softmax(at, op)?,
            "ArgMax" | "ArgMin" => self.arg_max(at, op == "ArgMin")?,
            "CumSum" => self.cum_sum(at)?,
            "Trilu" => self.triangle(at)?,
            _ => return self.normalized(at, op),
        }))
    }

    fn reduce(&mut self, at: usize, kind: &str) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let rank = self.build.value_shape(&x).len();
        let list = self.list(at, "axes", 1)?.filter(|l| !l.is_empty());
        let on = match list {
            Some(list) => axes(&list, rank)?,
            None if self.int(at, "noop_with_empty_axes", 0) != 0 => return Ok(x),
            None => (0..rank).collect(),
        };
        let (before, by, after) = match kind {
            "Mean" => (None, Reduction::Mean, None),
            "Sum" => (None, Reduction::Sum, None),
            "Max" => (None, Reduction::Max, None),
            "Min" => (None, Reduction::Min, None),
            "Prod" => (None, Reduction::Product, None),
            "L1" => (Some(Function::Abs), Reduction::Sum, None),
            "L2" => (Some(Function::Power(2.0)), Reduction::Sum, Some(Function::Sqrt)),
            "SumSquare" => (Some(Function::Power(2.0)), Reduction::Sum, None),
            "LogSum" => (None, Reduction::Sum, Some(Function::Log)),
            "LogSumExp" => return self.log_sum_exp(at, &x, on),
            _ => return Err(unsupported("")),
        };
        let (x, whole) = self.as_real(x)?;
        let (inner, out) = (Out::default(), self.out(at));
        let x = match before {
            Some(function) => self.build.each(&inner, Op::Unary(function), &x)?,
            None => x,
        };
        let named = if after.is_none() { &out } else { &inner };
        let mut value = self.reduced(named, &x, by, on.clone())?;
        if let Some(function) = after {
            value = self.build.each(&out, Op::Unary(function), &value)?;
        }
        if whole {
            value = self.as_whole(&out, value)?;
        }
        self.dropped(at, value, &on)
    }

    pub(super) fn global_mean(&mut self, out: &Out, x: &Value) -> Result<Value, Refusal> {
        let rank = self.build.value_shape(x).len();
        self.reduced(out, x, Reduction::Mean, (2..rank).collect())
    }

    /// Reduced along axes of the file, which stay.
    pub(super) fn reduced(
        &mut self,
        out: &Out,
        x: &Value,
        by: Reduction,
        axes: Vec<usize>,
    ) -> Result<Value, Refusal> {
        let (id, order) = match x {
            Value::Live(live) => (live.id, live.order.clone()),
            Value::Host(host) => (self.build.constant(host)?, identity(host.shape.len())),
        };
        let mut axes: Vec<u8> = axes
            .iter()
            .filter_map(|axis| order.iter().position(|at| at == axis).map(small))
            .collect();
        axes.sort_unstable();
        axes.dedup();
        let op = Op::Reduce { by, axes };
        let keeps = matches!(by, Reduction::Max | Reduction::Min) && self.build.is_int8(id);
        let id = if keeps {
            self.build.keep(&out.name, op, &[id])?
        } else {
            self.build.compute(out, op, &[id])?
        };
        Ok(Value::Live(Live { id, order }))
    }

    /// In real numbers unless it is quantized; and whether it was whole.
    pub(super) fn as_real(&mut self, x: Value) -> Result<(Value, bool), Refusal> {
        match x {
            Value::Host(host) => {
                let whole = host.is_whole();
                Ok((Value::Host(host.real()), whole))
            }
            Value::Live(live) => {
                let of = self.build.element(live.id);
                if of.quantization.is_some() || of == Element::F32 {
                    return Ok((Value::Live(live), false));
                }
                Ok((Value::Live(Live { id: self.build.real(live.id)?, ..live }), true))
            }
        }
    }

    pub(super) fn as_whole(&mut self, out: &Out, value: Value) -> Result<Value, Refusal> {
        let Value::Live(live) = value else { return Ok(value) };
        let id = self.build.node(&out.name, Op::Cast, &[live.id], element(DType::I32, None))?;
        Ok(Value::Live(Live { id, ..live }))
    }

    /// Without axes of length 1 that were reduced, unless they are to be kept.
    fn dropped(&mut self, at: usize, value: Value, on: &[usize]) -> Result<Value, Refusal> {
        if self.int(at, "keepdims", 1) != 0 {
            return Ok(value);
        }
        let shape = self.build.value_shape(&value);
        let kept = shape
            .iter()
            .enumerate()
            .filter(|(axis, _)| !on.contains(axis))
            .map(|(_, &d)| d)
            .collect();
        let name = self.out(at).name;
        Ok(Value::Live(self.build.reshaped(&name, &value, kept)?))
    }

    fn log_sum_exp(&mut self, at: usize, x: &Value, on: Vec<usize>) -> Result<Value, Refusal> {
        let (inner, out) = (Out::default(), self.out(at));
        let (x, _) = self.as_real(x.clone())?;
        let most = self.reduced(&inner, &x, Reduction::Max, on.clone())?;
        let below = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [&x, &most])?;
        let powers = self.build.each(&inner, Op::Unary(Function::Exp), &below)?;
        let sum = self.reduced(&inner, &powers, Reduction::Sum, on.clone())?;
        let log = self.build.each(&inner, Op::Unary(Function::Log), &sum)?;
        let value = self.build.pair(&out, Pair::Add, Clamp::NONE, [&log, &most])?;
        self.dropped(at, value, &on)
    }

    fn softmax(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let (live, out) = (self.live(at, 0)?, self.out(at));
        let op = if op == "Softmax" { Op::Softmax } else { Op::LogSoftmax };
        self.soft(at, &out, &live, op, self.opset)
    }

    pub(super) fn soft(
        &mut self,
        at: usize,
        out: &Out,
        live: &Live,
        op: Op,
        opset: i64,
    ) -> Result<Value, Refusal> {
        let shape = self.build.logical(live);
        let rank = shape.len();
        if opset < 13 {
            // Everything from the axis on is one.
            let along = axis(self.int(at, "axis", 1), rank)?;
            let rows: u32 = shape[..along].iter().product();
            let flat = vec![rows, shape[along..].iter().product()];
            let flat = self.build.reshaped("", &Value::Live(live.clone()), flat)?;
            let id = self.build.compute(out, op, &[flat.id])?;
            let id = self.build.keep(&out.name, Op::Reshape(shape), &[id])?;
            return Ok(Value::Live(self.build.plain(id)));
        }
        let along = axis(self.int(at, "axis", -1), rank)?;
        let mut order: Vec<usize> = live.order.clone();
        if order.last() != Some(&along) {
            order.retain(|&axis| axis != along);
            order.push(along);
        }
        let id = self.build.arranged(live, &order)?;
        Ok(Value::Live(Live { id: self.build.compute(out, op, &[id])?, order }))
    }

    fn arg_max(&mut self, at: usize, least: bool) -> Result<Value, Refusal> {
        let live = self.live(at, 0)?;
        let along = axis(self.int(at, "axis", 0), live.order.len())?;
        let place = live.order.iter().position(|&a| a == along).ok_or_else(|| wrong("its axis"))?;
        let id = if self.build.is_int8(live.id) { live.id } else { self.build.real(live.id)? };
        let op = Op::ArgMax {
            axis: small(place),
            least,
            last: self.int(at, "select_last_index", 0) != 0,
        };
        let name = self.out(at).name;
        let id = self.build.node(&name, op, &[id], element(DType::I32, None))?;
        self.dropped(at, Value::Live(Live { id, ..live }), &[along])
    }

    /// Sums of what stands before: a product with a triangle of ones.
    fn cum_sum(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, whole) = self.as_real(self.value(at, 0)?)?;
        let list = self.host(at, 1)?.ok_or_else(|| wrong("no axis"))?.i64s();
        let shape = self.build.value_shape(&x);
        let along = axis(*list.first().ok_or_else(|| wrong("no axis"))?, shape.len())?;
        let exclusive = self.int(at, "exclusive", 0) != 0;
        let reverse = self.int(at, "reverse", 0) != 0;
        let length = shape[along] as usize;
        let adds = |i: usize| {
            let (from, to) = (i / length, i % length);
            let (before, after) = if reverse { (to, from) } else { (from, to) };
            before < after || before == after && !exclusive
        };
        let id = self.build.real_id(&x)?;
        if length > 1 << 11 {
            return Err(unsupported("an axis of that length"));
        }
        let ones: Vec<f32> = (0..length * length).map(|i| f32::from(u8::from(adds(i)))).collect();
        let out = self.out(at);
        let id = self.along(&out.name, id, along, [length, length], ones)?;
        let value = Value::Live(self.build.plain(id));
        if whole { self.as_whole(&out, value) } else { Ok(value) }
    }

    /// An axis by a matrix \[from, to\].
    pub(super) fn along(
        &mut self,
        name: &str,
        id: ValueId,
        axis: usize,
        [from, to]: [usize; 2],
        matrix: Vec<f32>,
    ) -> Result<ValueId, Refusal> {
        let rank = self.build.shape(id).len();
        let mut order: Vec<usize> = (0..rank).filter(|&other| other != axis).collect();
        order.push(axis);
        let last = self.build.plain(id);
        let last = self.build.arranged(&last, &order)?;
        let mut rows = self.build.shape(last);
        let flat = vec![rows.iter().product::<u32>() / rows[rank - 1], rows[rank - 1]];
        let last = self.build.keep("", Op::Reshape(flat), &[last])?;
        let matrix = self.build.constant(&Host::floats(vec![from, to], matrix))?;
        let made = self.build.node(name, Op::MatMul, &[last, matrix], Element::F32)?;
        rows[rank - 1] = u32::try_from(to).map_err(|_| wrong("an axis"))?;
        let id = self.build.keep(name, Op::Reshape(rows), &[made])?;
        self.build.in_order(&Live { id, order })
    }

    /// What lies on one side of a diagonal, elsewhere 0.
    fn triangle(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let mask = self.side(at, &self.build.value_shape(&x))?;
        let zero = Value::Host(Host::scalar(0.0));
        let (x, whole) = self.as_real(x)?;
        let out = self.out(at);
        let value = self.build.repeated(&out, Op::Select, &[&Value::Host(mask), &x, &zero])?;
        if whole { self.as_whole(&out, value) } else { Ok(value) }
    }

    /// A matrix of 1 where `Trilu` keeps what is there.
    pub(super) fn side(&self, at: usize, shape: &[u32]) -> Result<Host, Refusal> {
        let &[.., rows, columns] = shape else { return Err(wrong("a matrix has two axes")) };
        let k = self.host(at, 1)?.and_then(|h| h.i64s().first().copied()).unwrap_or(0);
        let upper = self.int(at, "upper", 1) != 0;
        let kept = |row: u32, column: u32| {
            let beyond = i64::from(column) - i64::from(row);
            if upper { beyond >= k } else { beyond <= k }
        };
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let mask = cells.map(|(row, column)| f32::from(u8::from(kept(row, column)))).collect();
        Ok(Host::floats(vec![rows as usize, columns as usize], mask))
    }
}
