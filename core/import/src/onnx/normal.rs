//! Normalization by what the values themselves are.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction, Window};

use super::{Importer, axes, axis, size};
use crate::builder::{Live, Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn normalized(&mut self, at: usize, op: &str) -> Result<Option<Value>, Refusal> {
        Ok(Some(match op {
            "InstanceNormalization" => self.instance_norm(at)?,
            "LayerNormalization" => self.layer_norm(at)?,
            "GroupNormalization" => self.group_norm(at)?,
            "LpNormalization" => self.lp_norm(at)?,
            "MeanVarianceNormalization" => {
                let list = self.ints(at, "axes").unwrap_or_else(|| vec![0, 2, 3]);
                let x = self.value(at, 0)?;
                let rank = self.build.value_shape(&x).len();
                let out = self.out(at);
                let [normal, ..] = self.normal(&out, &x, &axes(&list, rank)?, 1e-9)?;
                normal
            }
            "LRN" => self.lrn(at)?,
            _ => return Ok(None),
        }))
    }

    /// (x − mean) ÷ √(variance + ε) over some axes; the mean; and 1 ÷ √(variance + ε).
    pub(super) fn normal(
        &mut self,
        out: &Out,
        x: &Value,
        on: &[usize],
        epsilon: f32,
    ) -> Result<[Value; 3], Refusal> {
        let inner = Out::default();
        let mean = self.reduced(&inner, x, Reduction::Mean, on.to_vec())?;
        let centred = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [x, &mean])?;
        let square = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&centred, &centred])?;
        let variance = self.reduced(&inner, &square, Reduction::Mean, on.to_vec())?;
        let epsilon = Value::Host(Host::scalar(epsilon));
        let wide = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&variance, &epsilon])?;
        let factor = self.build.each(&inner, Op::Unary(Function::Rsqrt), &wide)?;
        let normal = self.build.pair(out, Pair::Mul, Clamp::NONE, [&centred, &factor])?;
        Ok([normal, mean, factor])
    }

    fn instance_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, scale, shift) = (self.value(at, 0)?, self.value(at, 1)?, self.value(at, 2)?);
        let rank = self.build.value_shape(&x).len();
        let on: Vec<usize> = (2..rank).collect();
        let epsilon = self.float(at, "epsilon", 1e-5);
        let [normal, ..] = self.normal(&Out::default(), &x, &on, epsilon)?;
        let (scale, shift) = (self.per_channel(&scale, rank)?, self.per_channel(&shift, rank)?);
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&normal, &scale])?;
        let out = self.out(at);
        self.build.pair(&out, Pair::Add, Clamp::NONE, [&scaled, &shift])
    }

    fn layer_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, scale) = (self.value(at, 0)?, self.value(at, 1)?);
        let rank = self.build.value_shape(&x).len();
        let first = axis(self.int(at, "axis", -1), rank)?;
        let on: Vec<usize> = (first..rank).collect();
        let epsilon = self.float(at, "epsilon", 1e-5);
        let [normal, mean, factor] = self.normal(&Out::default(), &x, &on, epsilon)?;
        let further = self.node(at).outputs.iter().skip(1).filter(|name| !name.is_empty());
        for (name, value) in further.zip([mean, factor]) {
            self.values.insert(name.clone(), value);
        }
        let out = self.out(at);
        let Some(shift) = self.optional(at, 2)? else {
            return self.build.pair(&out, Pair::Mul, Clamp::NONE, [&normal, &scale]);
        };
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&normal, &scale])?;
        self.build.pair(&out, Pair::Add, Clamp::NONE, [&scaled, &shift])
    }

    fn group_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let shape = self.build.value_shape(&x);
        let groups = size(self.int(at, "num_groups", 1))?;
        let &[n, c, ..] = &shape[..] else { return Err(wrong("its input has no channels")) };
        if groups == 0 || c % groups != 0 {
            return Err(wrong("its groups do not divide its channels"));
        }
        let lines = vec![n, groups, shape.iter().product::<u32>() / (n * groups)];
        let lines = Value::Live(self.build.reshaped("", &x, lines)?);
        let epsilon = self.float(at, "epsilon", 1e-5);
        let [normal, ..] = self.normal(&Out::default(), &lines, &[2], epsilon)?;
        let normal = Value::Live(self.build.reshaped("", &normal, shape.clone())?);
        let [scale, shift] = [1, 2].map(|index| self.group_operand(at, index, [groups, c]));
        let (scale, shift) = (scale?, shift?);
        let scale = self.per_channel(&scale, shape.len())?;
        let shift = self.per_channel(&shift, shape.len())?;
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&normal, &scale])?;
        let out = self.out(at);
        self.build.pair(&out, Pair::Add, Clamp::NONE, [&scaled, &shift])
    }

    /// One number for each channel; before opset 21 there is one for each group.
    fn group_operand(
        &mut self,
        at: usize,
        index: usize,
        [groups, channels]: [u32; 2],
    ) -> Result<Value, Refusal> {
        let value = self.value(at, index)?;
        if self.opset >= 21 || groups == channels {
            return Ok(value);
        }
        let each = self.build.reshaped("", &value, vec![groups, 1])?;
        let id = self.build.keep("", Op::Tile(vec![1, channels / groups]), &[each.id])?;
        let id = self.build.keep("", Op::Reshape(vec![channels]), &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }

    /// x ÷ (Σ |x|^p)^(1 ÷ p) along an axis.
    fn lp_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let on = vec![axis(self.int(at, "axis", -1), self.build.value_shape(&x).len())?];
        let (inner, out) = (Out::default(), self.out(at));
        let (before, after) = match self.int(at, "p", 2) {
            1 => (Function::Abs, None),
            2 => (Function::Power(2.0), Some(Function::Sqrt)),
            _ => return Err(unsupported("another p than 1 and 2")),
        };
        let raised = self.build.each(&inner, Op::Unary(before), &x)?;
        let mut length = self.reduced(&inner, &raised, Reduction::Sum, on)?;
        if let Some(after) = after {
            length = self.build.each(&inner, Op::Unary(after), &length)?;
        }
        self.build.pair(&out, Pair::Div, Clamp::NONE, [&x, &length])
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
