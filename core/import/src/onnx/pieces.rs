//! Operators that are made of several nodes.
use edgemill_model::graph::{Clamp, Element, Function, Op, Pair, Reduction, Window};
use edgemill_model::tensor::DType;

use super::{Importer, axes, axis, size};
use crate::builder::{Live, Out, Value, element, small};
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
            "InstanceNormalization" => self.instance_norm(at)?,
            "LayerNormalization" => self.layer_norm(at)?,
            "MeanVarianceNormalization" => {
                let list = self.ints(at, "axes").unwrap_or_else(|| vec![0, 2, 3]);
                let x = self.value(at, 0)?;
                let rank = self.build.value_shape(&x).len();
                let out = self.out(at);
                self.normal(&out, &x, &axes(&list, rank)?, 1e-9)?
            }
            "LRN" => self.lrn(at)?,
            _ => return Ok(None),
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

    /// In real numbers unless it is quantized; and whether it was whole.
    fn as_real(&mut self, x: Value) -> Result<(Value, bool), Refusal> {
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

    fn as_whole(&mut self, out: &Out, value: Value) -> Result<Value, Refusal> {
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
        let live = self.live(at, 0)?;
        let shape = self.build.logical(&live);
        let rank = shape.len();
        let out = self.out(at);
        let op = if op == "Softmax" { Op::Softmax } else { Op::LogSoftmax };
        if self.opset < 13 {
            // Everything from the axis on is one.
            let along = axis(self.int(at, "axis", 1), rank)?;
            let rows: u32 = shape[..along].iter().product();
            let flat = self.build.reshaped(
                "",
                &Value::Live(live),
                vec![rows, shape[along..].iter().product()],
            )?;
            let id = self.build.compute(&out, op, &[flat.id])?;
            let id = self.build.keep(&out.name, Op::Reshape(shape), &[id])?;
            return Ok(Value::Live(self.build.plain(id)));
        }
        let along = axis(self.int(at, "axis", -1), rank)?;
        let mut order: Vec<usize> = live.order.clone();
        if order.last() != Some(&along) {
            order.retain(|&axis| axis != along);
            order.push(along);
        }
        let id = self.build.arranged(&live, &order)?;
        Ok(Value::Live(Live { id: self.build.compute(&out, op, &[id])?, order }))
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

    /// (x − mean) ÷ √(variance + ε) over some axes.
    fn normal(
        &mut self,
        out: &Out,
        x: &Value,
        on: &[usize],
        epsilon: f32,
    ) -> Result<Value, Refusal> {
        let inner = Out::default();
        let mean = self.reduced(&inner, x, Reduction::Mean, on.to_vec())?;
        let centred = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [x, &mean])?;
        let square = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&centred, &centred])?;
        let variance = self.reduced(&inner, &square, Reduction::Mean, on.to_vec())?;
        let epsilon = Value::Host(Host::scalar(epsilon));
        let wide = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&variance, &epsilon])?;
        let factor = self.build.each(&inner, Op::Unary(Function::Rsqrt), &wide)?;
        self.build.pair(out, Pair::Mul, Clamp::NONE, [&centred, &factor])
    }

    fn instance_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, scale, shift) = (self.value(at, 0)?, self.value(at, 1)?, self.value(at, 2)?);
        let rank = self.build.value_shape(&x).len();
        let on: Vec<usize> = (2..rank).collect();
        let normal = self.normal(&Out::default(), &x, &on, self.float(at, "epsilon", 1e-5))?;
        let (scale, shift) = (self.per_channel(&scale, rank)?, self.per_channel(&shift, rank)?);
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&normal, &scale])?;
        let out = self.out(at);
        self.build.pair(&out, Pair::Add, Clamp::NONE, [&scaled, &shift])
    }

    fn layer_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, scale) = (self.value(at, 0)?, self.value(at, 1)?);
        if self.node(at).outputs.iter().skip(1).any(|name| self.is_read(name)) {
            return Err(unsupported("mean and variance as outputs"));
        }
        let rank = self.build.value_shape(&x).len();
        let first = axis(self.int(at, "axis", -1), rank)?;
        let on: Vec<usize> = (first..rank).collect();
        let normal = self.normal(&Out::default(), &x, &on, self.float(at, "epsilon", 1e-5))?;
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&normal, &scale])?;
        let Some(shift) = self.optional(at, 2)? else { return Ok(scaled) };
        let out = self.out(at);
        self.build.pair(&out, Pair::Add, Clamp::NONE, [&scaled, &shift])
    }

    /// x ÷ (bias + α ÷ size × Σ x²)^β over neighbouring channels: the mean over windows of channels, outside 0.
    fn lrn(&mut self, at: usize) -> Result<Value, Refusal> {
        let live = self.live(at, 0)?;
        let count = size(self.int(at, "size", 1))?;
        if live.order.len() != 4 || count == 0 {
            return Err(unsupported("another number of axes than four"));
        }
        let order = vec![0, 2, 3, 1];
        let id = self.build.arranged(&live, &order)?;
        let id = self.build.real(id)?;
        let shape = self.build.shape(id);
        let square = self.build.keep("", Op::Unary(Function::Power(2.0)), &[id])?;
        let lines = vec![shape[0], shape[1] * shape[2], shape[3], 1];
        let lines = self.build.keep("", Op::Reshape(lines), &[square])?;
        let before = (count - 1) / 2;
        let borders = vec![[0; 2], [0; 2], [before, count - 1 - before], [0; 2]];
        let wide = self.build.keep("", Op::Pad { borders, value: 0.0 }, &[lines])?;
        let window = Window { kernel: [1, count], ..Window::valid(1, 1) };
        let mean = self.build.keep("", Op::AveragePool(window), &[wide])?;
        let mean = self.build.keep("", Op::Reshape(shape), &[mean])?;
        let (alpha, bias) = (self.float(at, "alpha", 1e-4), self.float(at, "bias", 1.0));
        let [alpha, bias] = [alpha, bias].map(|v| Value::Host(Host::scalar(v)));
        let mean = Value::Live(Live { id: mean, order: order.clone() });
        let inner = Out::default();
        let scaled = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&mean, &alpha])?;
        let moved = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&scaled, &bias])?;
        let power = Op::Unary(Function::Power(-self.float(at, "beta", 0.75)));
        let factor = self.build.each(&inner, power, &moved)?;
        let (out, x) = (self.out(at), Value::Live(Live { id, order }));
        self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &factor])
    }
}
