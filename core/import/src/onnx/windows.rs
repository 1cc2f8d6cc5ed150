//! Convolutions, pools, normalization and matrix products.
use edgemill_model::graph::{Clamp, Op, Pair, Reduction, ValueId, Window};

use super::{Importer, size};
use crate::builder::{Live, Out, Shape, Value, identity, small};
use crate::host::{Host, single};
use crate::{Refusal, unsupported, wrong};

/// What follows a node and is done along with it.
struct Tail {
    clamp: Clamp,
    /// Name of the last value.
    name: String,
}

/// Factor and shift of each channel.
type Norm = (Vec<f32>, Vec<f32>);

/// A window in the file's words; one or two axes.
struct Frame {
    kernel: Vec<u32>,
    stride: Vec<u32>,
    dilation: Vec<u32>,
    /// Before and after, for each axis.
    pads: Vec<[u32; 2]>,
}

impl Importer<'_> {
    pub(super) fn window(&mut self, at: usize, op: &str) -> Result<Option<Value>, Refusal> {
        Ok(Some(match op {
            "Conv" => self.float_conv(at)?,
            "ConvTranspose" => self.conv_transpose(at)?,
            "MaxPool" | "AveragePool" => self.pool(at, op)?,
            "GlobalAveragePool" => {
                let (x, out) = (self.value(at, 0)?, self.out(at));
                self.global_mean(&out, &x)?
            }
            "GlobalMaxPool" => {
                let (x, out) = (self.value(at, 0)?, self.out(at));
                let rank = self.build.value_shape(&x).len();
                self.reduced(&out, &x, Reduction::Max, (2..rank).collect())?
            }
            "BatchNormalization" => self.batch_norm(at)?,
            "Gemm" => self.gemm(at)?,
            "MatMul" => {
                let (a, b, out) = (self.value(at, 0)?, self.value(at, 1)?, self.out(at));
                self.mat_mul(&out, &a, &b, None)?
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn global_mean(&mut self, out: &Out, x: &Value) -> Result<Value, Refusal> {
        let rank = self.build.value_shape(x).len();
        self.reduced(out, x, Reduction::Mean, (2..rank).collect())
    }

    /// Bounds that the only reader of `name` holds it to, along with the batch norm before that.
    fn tail(&mut self, at: usize) -> Result<Tail, Refusal> {
        let name = self.node(at).outputs.first().cloned().unwrap_or_default();
        let Some(reader) = self.only_reader(&name) else {
            return Ok(Tail { clamp: Clamp::NONE, name });
        };
        match self.bounds(reader)? {
            Some(clamp) => {
                self.done.insert(reader);
                let name = self.node(reader).outputs.first().cloned().unwrap_or_default();
                Ok(Tail { clamp, name })
            }
            None => Ok(Tail { clamp: Clamp::NONE, name }),
        }
    }

    /// The bounds of a node that only holds its input between two constants.
    pub(super) fn bounds(&self, at: usize) -> Result<Option<Clamp>, Refusal> {
        let node = self.node(at);
        let bound = |name: &str, index: usize, default: f32| -> Result<Option<f32>, Refusal> {
            if let Some(super::Attribute::Float(v)) = self.attribute(at, name) {
                return Ok(Some(*v));
            }
            match self.optional(at, index)? {
                None => Ok(Some(default)),
                Some(Value::Host(host)) => Ok(host.f32s().first().copied()),
                Some(Value::Live(_)) => Ok(None),
            }
        };
        match node.op.as_str() {
            "Relu" => Ok(Some(Clamp::RELU)),
            "Clip" => {
                let low = bound("min", 1, f32::NEG_INFINITY)?;
                let high = bound("max", 2, f32::INFINITY)?;
                Ok(low.zip(high).filter(|(l, h)| l <= h).map(|(low, high)| Clamp { low, high }))
            }
            _ => Ok(None),
        }
    }

    fn float_conv(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, mut weights, mut bias) =
            (self.value(at, 0)?, self.value(at, 1)?, self.optional(at, 2)?);
        let mut last = at;
        let name = self.node(at).outputs.first().cloned().unwrap_or_default();
        if let Some(next) = self.only_reader(&name)
            && let Some((w, b)) = self.folded_norm(next, &weights, bias.as_ref())?
        {
            (weights, bias, last) = (Value::Host(w), Some(Value::Host(b)), next);
            self.done.insert(next);
        }
        let tail = self.tail(last)?;
        let out = self.out_named(&tail.name);
        let value = self.conv(at, &out, tail.clamp, [&x, &weights], bias.as_ref())?;
        self.values.insert(tail.name, value.clone());
        Ok(value)
    }

    /// Weights and bias with the batch norm `next` in them.
    fn folded_norm(
        &self,
        next: usize,
        weights: &Value,
        bias: Option<&Value>,
    ) -> Result<Option<(Host, Host)>, Refusal> {
        let Value::Host(weights) = weights else { return Ok(None) };
        if self.node(next).op != "BatchNormalization" || matches!(bias, Some(Value::Live(_))) {
            return Ok(None);
        }
        let Some((factor, shift)) = self.norm_constants(next)? else { return Ok(None) };
        let filters = weights.shape.first().copied().unwrap_or(0);
        if filters == 0 || factor.len() != filters {
            return Ok(None);
        }
        let each = weights.len() / filters;
        let w = weights.f32s().iter().enumerate().map(|(i, w)| w * factor[i / each]).collect();
        let old = match bias {
            Some(Value::Host(b)) => b.f32s(),
            _ => vec![0.0; filters],
        };
        let b = old.iter().zip(&factor).zip(&shift).map(|((b, f), s)| b * f + s).collect();
        Ok(Some((Host::floats(weights.shape.clone(), w), Host::floats(vec![filters], b))))
    }

    /// Factor and shift of each channel, if they are known.
    fn norm_constants(&self, at: usize) -> Result<Option<Norm>, Refusal> {
        let mut operands = Vec::new();
        for index in 1..5 {
            match self.value(at, index)? {
                Value::Host(host) => operands.push(host.f64s()),
                Value::Live(_) => return Ok(None),
            }
        }
        let [scale, shift, mean, variance] = &operands[..] else { return Ok(None) };
        let epsilon = f64::from(self.float(at, "epsilon", 1e-5));
        let factor: Vec<f64> =
            scale.iter().zip(variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
        let shift =
            shift.iter().zip(mean).zip(&factor).map(|((b, m), f)| single(b - m * f)).collect();
        Ok(Some((factor.into_iter().map(single).collect(), shift)))
    }

    fn batch_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        if self.int(at, "training_mode", 0) != 0 {
            return Err(unsupported("training_mode"));
        }
        let x = self.value(at, 0)?;
        let rank = self.build.value_shape(&x).len();
        let (factor, shift) = match self.norm_constants(at)? {
            Some((factor, shift)) => {
                let value = |of: Vec<f32>| Value::Host(Host::floats(vec![of.len()], of));
                (value(factor), value(shift))
            }
            None => self.norm_values(at)?,
        };
        let factor = self.per_channel(&factor, rank)?;
        let shift = self.per_channel(&shift, rank)?;
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&x, &factor])?;
        let tail = self.tail(at)?;
        let out = self.out_named(&tail.name);
        let value = self.build.pair(&out, Pair::Add, tail.clamp, [&scaled, &shift])?;
        self.values.insert(tail.name, value.clone());
        Ok(value)
    }

    fn norm_values(&mut self, at: usize) -> Result<(Value, Value), Refusal> {
        let [scale, shift, mean, variance] = [1, 2, 3, 4].map(|index| self.value(at, index));
        let epsilon = Value::Host(Host::scalar(self.float(at, "epsilon", 1e-5)));
        let out = Out::default();
        let build = &mut self.build;
        let wide = build.pair(&out, Pair::Add, Clamp::NONE, [&variance?, &epsilon])?;
        let root = build.each(&out, Op::Unary(edgemill_model::graph::Function::Rsqrt), &wide)?;
        let factor = build.pair(&out, Pair::Mul, Clamp::NONE, [&scale?, &root])?;
        let moved = build.pair(&out, Pair::Mul, Clamp::NONE, [&mean?, &factor])?;
        Ok((factor, build.pair(&out, Pair::Sub, Clamp::NONE, [&shift?, &moved])?))
    }

    /// One number for each channel, with axes of 1 behind.
    pub(super) fn per_channel(&mut self, value: &Value, rank: usize) -> Result<Value, Refusal> {
        let mut shape = self.build.value_shape(value);
        shape.extend(vec![1; rank.saturating_sub(2)]);
        match value {
            Value::Host(host) => {
                Ok(Value::Host(host.reshaped(shape.iter().map(|&d| d as usize).collect())))
            }
            live => Ok(Value::Live(self.build.reshaped("", live, shape)?)),
        }
    }

    pub(super) fn conv(
        &mut self,
        at: usize,
        out: &Out,
        clamp: Clamp,
        [x, weights]: [&Value; 2],
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let (shape, kernel) = (self.build.value_shape(x), self.build.value_shape(weights));
        let frame = self.frame(at, &shape, kernel.get(2..).unwrap_or(&[]), false)?;
        let weights = self.filters_last(weights, &[0, 2, 3, 1])?;
        let (window, dilation) = frame.flat()?;
        let groups = size(self.int(at, "group", 1))?;
        let op = Op::Conv2d { window, dilation, groups, clamp };
        self.on_picture(x, |this, x| this.build.weighted(out, op, x, &weights, bias))
    }

    /// Weights with the filter outermost and the channel innermost. `order` is that of two spatial axes.
    fn filters_last(&mut self, weights: &Value, order: &[usize; 4]) -> Result<Value, Refusal> {
        let mut shape = self.build.value_shape(weights);
        if shape.len() == 3 {
            shape.insert(2, 1);
        }
        if shape.len() != 4 {
            return Err(unsupported("three spatial axes"));
        }
        match weights {
            Value::Host(host) => {
                let wide = host.shape.len() == 3;
                let shape: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
                let mut host = host.clone();
                if wide {
                    // Reshaping only puts an axis of 1 between, so scales keep their axis unless it is behind.
                    host.shape = shape;
                }
                Ok(Value::Host(host.transposed(order)))
            }
            live => {
                let wide = self.build.reshaped("", live, shape)?;
                let id = self.build.arranged(&wide, order)?;
                Ok(Value::Live(self.build.plain(id)))
            }
        }
    }

    /// Gives x as a picture, channels last, to `f`; and what that makes back in the file's order.
    pub(super) fn on_picture(
        &mut self,
        x: &Value,
        f: impl FnOnce(&mut Self, ValueId) -> Result<ValueId, Refusal>,
    ) -> Result<Value, Refusal> {
        let live = match x {
            Value::Live(live) => live.clone(),
            Value::Host(host) => {
                let id = self.build.constant(host)?;
                self.build.plain(id)
            }
        };
        match live.order.len() {
            4 => {
                let order = vec![0, 2, 3, 1];
                let id = self.build.arranged(&live, &order)?;
                Ok(Value::Live(Live { id: f(self, id)?, order }))
            }
            3 => {
                let order = vec![0, 2, 1];
                let id = self.build.arranged(&live, &order)?;
                let [n, l, c] = self.build.shape(id)[..] else { return Err(wrong("three axes")) };
                let id = self.build.keep("", Op::Reshape(vec![n, 1, l, c]), &[id])?;
                let made = f(self, id)?;
                let shape = self.build.shape(made);
                let flat = vec![shape[0], shape[1] * shape[2], shape[3]];
                let id = self.build.keep("", Op::Reshape(flat), &[made])?;
                Ok(Value::Live(Live { id, order }))
            }
            rank => {
                Err(unsupported(format!("an input of {rank} axes: one or two spatial ones are")))
            }
        }
    }

    /// The node's window over `x`; `ceil` lets the last one reach beyond.
    fn frame(&self, at: usize, x: &[u32], kernel: &[u32], pool: bool) -> Result<Frame, Refusal> {
        let kernel: Vec<u32> = match self.ints(at, "kernel_shape") {
            Some(list) => list.into_iter().map(size).collect::<Result<_, _>>()?,
            None => kernel.to_vec(),
        };
        let rank = kernel.len();
        if !(1..=2).contains(&rank) || x.len() != rank + 2 {
            return Err(unsupported(format!("{rank} spatial axes: one or two are")));
        }
        let list = |name: &str| -> Result<Vec<u32>, Refusal> {
            let list = self.ints(at, name).unwrap_or_else(|| vec![1; rank]);
            list.into_iter().map(size).collect()
        };
        let (stride, dilation) = (list("strides")?, list("dilations")?);
        if stride.len() != rank
            || dilation.len() != rank
            || stride.contains(&0)
            || kernel.contains(&0)
        {
            return Err(wrong("its strides or dilations do not fit its kernel"));
        }
        let mut frame = Frame { kernel, stride, dilation, pads: Vec::new() };
        frame.pads = self.pads(at, &x[2..], &frame)?;
        if pool && self.int(at, "ceil_mode", 0) != 0 {
            frame.reach(&x[2..]);
        }
        Ok(frame)
    }

    fn pads(&self, at: usize, sizes: &[u32], frame: &Frame) -> Result<Vec<[u32; 2]>, Refusal> {
        let rank = sizes.len();
        let auto = self.text(at, "auto_pad", "NOTSET");
        if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
            let one = |axis: usize| {
                let covered =
                    u64::from(frame.kernel[axis] - 1) * u64::from(frame.dilation[axis]) + 1;
                let places = u64::from(sizes[axis].div_ceil(frame.stride[axis]));
                let needed = (places - 1) * u64::from(frame.stride[axis]) + covered;
                let missing =
                    u32::try_from(needed.saturating_sub(sizes[axis].into())).unwrap_or(u32::MAX);
                let half = missing / 2;
                if auto == "SAME_UPPER" { [half, missing - half] } else { [missing - half, half] }
            };
            return Ok((0..rank).map(one).collect());
        }
        let pads =
            self.ints(at, "pads").filter(|_| auto != "VALID").unwrap_or_else(|| vec![0; 2 * rank]);
        if pads.len() != 2 * rank {
            return Err(wrong("its pads do not fit its kernel"));
        }
        if pads.iter().any(|&p| p < 0) {
            return Err(unsupported("negative pads"));
        }
        (0..rank).map(|axis| Ok([size(pads[axis])?, size(pads[axis + rank])?])).collect()
    }

    fn conv_transpose(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, weights, bias) = (self.value(at, 0)?, self.value(at, 1)?, self.optional(at, 2)?);
        let (shape, kernel) = (self.build.value_shape(&x), self.build.value_shape(&weights));
        let spatial = kernel.get(2..).unwrap_or(&[]);
        let mut frame = self.frame(at, &shape, spatial, false)?;
        let rank = frame.kernel.len();
        let extra = self.ints(at, "output_padding").unwrap_or_else(|| vec![0; rank]);
        let mut extra = extra.into_iter().map(size).collect::<Result<Vec<_>, _>>()?;
        self.cuts(at, &shape[2..], &mut frame, &mut extra)?;
        let groups = size(self.int(at, "group", 1))?;
        let weights = self.turned_filters(&weights, groups)?;
        let (window, dilation) = frame.flat()?;
        let extra = if rank == 1 { [0, extra[0]] } else { [extra[0], extra[1]] };
        let tail = self.tail(at)?;
        let out = self.out_named(&tail.name);
        let op = Op::ConvTranspose2d { window, dilation, groups, extra, clamp: tail.clamp };
        let value = self
            .on_picture(&x, |this, x| this.build.weighted(&out, op, x, &weights, bias.as_ref()))?;
        self.values.insert(tail.name, value.clone());
        Ok(value)
    }

    /// Rows that are cut off, where `output_shape` or `auto_pad` says how much is to be left.
    fn cuts(
        &self,
        at: usize,
        sizes: &[u32],
        frame: &mut Frame,
        extra: &mut [u32],
    ) -> Result<(), Refusal> {
        let auto = self.text(at, "auto_pad", "NOTSET");
        let wanted = self.ints(at, "output_shape");
        if wanted.is_none() && !auto.starts_with("SAME") {
            return Ok(());
        }
        for axis in 0..sizes.len() {
            let stride = i64::from(frame.stride[axis]);
            let covered = i64::from(frame.kernel[axis] - 1) * i64::from(frame.dilation[axis]) + 1;
            let full = (i64::from(sizes[axis]) - 1) * stride + covered + i64::from(extra[axis]);
            let wanted = match &wanted {
                Some(list) => {
                    *list.get(list.len().wrapping_sub(sizes.len()) + axis).unwrap_or(&full)
                }
                None => i64::from(sizes[axis]) * stride,
            };
            let cut = full - wanted;
            if cut < 0 {
                extra[axis] += size(-cut)?;
                frame.pads[axis] = [0, 0];
                continue;
            }
            let (half, rest) = (size(cut / 2)?, size(cut - cut / 2)?);
            frame.pads[axis] = if auto == "SAME_UPPER" { [half, rest] } else { [rest, half] };
        }
        Ok(())
    }

    /// \[c, k ÷ groups, h, w\] → \[k, h, w, c ÷ groups\].
    fn turned_filters(&mut self, weights: &Value, groups: u32) -> Result<Value, Refusal> {
        let mut shape = self.build.value_shape(weights);
        if shape.len() == 3 {
            shape.insert(2, 1);
        }
        let [c, each, h, w] = shape[..] else { return Err(unsupported("three spatial axes")) };
        if groups == 0 || c % groups != 0 {
            return Err(wrong("its groups do not divide its channels"));
        }
        let split = vec![groups, c / groups, each, h, w];
        let last = vec![groups * each, h, w, c / groups];
        match weights {
            Value::Host(host) => {
                let sizes = |s: &[u32]| s.iter().map(|&d| d as usize).collect::<Vec<_>>();
                let mut host = host.clone();
                if let crate::host::Data::Q(q) = &mut host.data
                    && q.scales.len() > 1
                {
                    if groups > 1 {
                        return Err(unsupported("groups and a scale for each filter"));
                    }
                    q.axis = 2;
                    host.shape = sizes(&split);
                } else {
                    host = host.reshaped(sizes(&split));
                }
                let mut turned = host.transposed(&[0, 2, 3, 4, 1]);
                turned.shape = sizes(&last);
                if let crate::host::Data::Q(q) = &mut turned.data {
                    q.axis = 0;
                }
                Ok(Value::Host(turned))
            }
            live => {
                let wide = self.build.reshaped("", live, split)?;
                let id = self.build.arranged(&wide, &[0, 2, 3, 4, 1])?;
                let id = self.build.keep("", Op::Reshape(last), &[id])?;
                Ok(Value::Live(self.build.plain(id)))
            }
        }
    }

    fn pool(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let shape = self.build.value_shape(&x);
        let mut frame = self.frame(at, &shape, &[], true)?;
        let greatest = op == "MaxPool";
        if frame.dilation.iter().any(|&d| d != 1) {
            return Err(unsupported("dilations"));
        }
        let out = self.out(at);
        let counted = !greatest && self.int(at, "count_include_pad", 0) != 0;
        let pads = self.ints(at, "pads").unwrap_or_default();
        let inner = self.pads(at, &shape[2..], &frame)?;
        let has_pads = pads.iter().any(|&p| p != 0) || inner.iter().any(|p| *p != [0; 2]);
        if counted && has_pads {
            for (frame, inner) in frame.pads.iter_mut().zip(&inner) {
                *frame = [0, frame[1].saturating_sub(inner[1])];
            }
        }
        let (window, _) = frame.flat()?;
        let line = inner.len() == 1;
        self.on_picture(&x, |this, mut x| {
            if counted && has_pads {
                let [rows, columns] = if line { [[0; 2], inner[0]] } else { [inner[0], inner[1]] };
                let borders = vec![[0; 2], rows, columns, [0; 2]];
                x = this.build.keep("", Op::Pad { borders, value: 0.0 }, &[x])?;
            }
            if greatest {
                let x = if this.build.is_int8(x) { x } else { this.build.real(x)? };
                return this.build.keep(&out.name, Op::MaxPool(window), &[x]);
            }
            this.build.compute(&out, Op::AveragePool(window), &[x])
        })
    }

    fn gemm(&mut self, at: usize) -> Result<Value, Refusal> {
        let (a, b, c) = (self.value(at, 0)?, self.value(at, 1)?, self.optional(at, 2)?);
        let (alpha, beta) = (self.float(at, "alpha", 1.0), self.float(at, "beta", 1.0));
        let turn = |this: &mut Self, value: Value, name: &str| {
            if this.int(at, name, 0) == 0 {
                return Ok(value);
            }
            match value {
                Value::Host(host) if host.shape.len() == 2 => {
                    Ok(Value::Host(host.transposed(&[1, 0])))
                }
                Value::Live(Live { id, order }) if order.len() == 2 => {
                    Ok(Value::Live(Live { id, order: order.iter().map(|axis| 1 - axis).collect() }))
                }
                _ => Err(wrong("a matrix has two axes")),
            }
        };
        let (a, b) = (turn(self, a, "transA")?, turn(self, b, "transB")?);
        let columns = self.build.value_shape(&b).last().copied();
        let simple = (alpha - 1.0).abs() == 0.0 && (beta - 1.0).abs() == 0.0;
        let as_bias = c.as_ref().is_none_or(|c| {
            let shape = self.build.value_shape(c);
            shape.iter().product::<u32>() == columns.unwrap_or(0)
                && shape.last().copied() == columns
        });
        if simple && as_bias {
            let tail = self.tail(at)?;
            let out = self.out_named(&tail.name);
            let value = self.clamped_mat_mul(&out, tail.clamp, &a, &b, c.as_ref())?;
            self.values.insert(tail.name, value.clone());
            return Ok(value);
        }
        let scaled = |this: &mut Self, value: Value, factor: f32| {
            if (factor - 1.0).abs() == 0.0 {
                return Ok(value);
            }
            let factor = Value::Host(Host::scalar(factor));
            this.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&value, &factor])
        };
        let product = self.mat_mul(&Out::default(), &a, &b, None)?;
        let product = scaled(self, product, alpha)?;
        match c {
            None => Ok(product),
            Some(c) => {
                let c = scaled(self, c, beta)?;
                let out = self.out(at);
                self.build.pair(&out, Pair::Add, Clamp::NONE, [&product, &c])
            }
        }
    }

    pub(super) fn mat_mul(
        &mut self,
        out: &Out,
        a: &Value,
        b: &Value,
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        self.clamped_mat_mul(out, Clamp::NONE, a, b, bias)
    }

    fn clamped_mat_mul(
        &mut self,
        out: &Out,
        clamp: Clamp,
        a: &Value,
        b: &Value,
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let (rows, columns) = (self.build.value_shape(a), self.build.value_shape(b));
        if let (Value::Host(weights), [depth, n], true) = (b, &columns[..], !rows.is_empty()) {
            return self.dense(out, clamp, a, weights, [*depth, *n], bias);
        }
        if bias.is_some() || clamp != Clamp::NONE {
            let product = self.mat_mul(&Out::default(), a, b, None)?;
            let zero = Value::Host(Host::scalar(0.0));
            let bias = bias.unwrap_or(&zero);
            return self.build.pair(out, Pair::Add, clamp, [&product, bias]);
        }
        let (a, b, drop) = self.matrices(a, b, &rows, &columns)?;
        let id = self.build.compute(out, Op::MatMul, &[a, b])?;
        if drop.is_empty() {
            return Ok(Value::Live(self.build.plain(id)));
        }
        let kept = self.build.shape(id);
        let kept = kept
            .iter()
            .enumerate()
            .filter(|(axis, _)| !drop.contains(axis))
            .map(|(_, &d)| d)
            .collect();
        let id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }

    /// Both of one rank, at least 2; and the axes of the product that a vector did not have.
    fn matrices(
        &mut self,
        a: &Value,
        b: &Value,
        rows: &[u32],
        columns: &[u32],
    ) -> Result<(ValueId, ValueId, Vec<usize>), Refusal> {
        let rank = rows.len().max(columns.len()).max(2);
        let wide = |shape: &[u32], vector: [u32; 2]| {
            let shape = if shape.len() == 1 { vector.to_vec() } else { shape.to_vec() };
            let mut wide = vec![1; rank - shape.len()];
            wide.extend(shape);
            wide
        };
        if rows.is_empty() || columns.is_empty() {
            return Err(wrong("a matrix has axes"));
        }
        let mut drop = Vec::new();
        if rows.len() == 1 {
            drop.push(rank - 2);
        }
        if columns.len() == 1 {
            drop.push(rank - 1);
        }
        let mut shaped = |value: &Value, shape: Shape| -> Result<ValueId, Refusal> {
            let id = self.build.id(value)?;
            if self.build.shape(id) == shape {
                Ok(id)
            } else {
                self.build.keep("", Op::Reshape(shape), &[id])
            }
        };
        let a = shaped(a, wide(rows, [1, rows[rows.len() - 1]]))?;
        let b = shaped(b, wide(columns, [columns[0], 1]))?;
        Ok((a, b, drop))
    }

    fn dense(
        &mut self,
        out: &Out,
        clamp: Clamp,
        a: &Value,
        weights: &Host,
        [depth, n]: [u32; 2],
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let id = self.build.id(a)?;
        let mut shape = self.build.shape(id);
        if shape.last() != Some(&depth) {
            return Err(wrong(format!("{shape:?} by a matrix of {depth} rows")));
        }
        let flat = vec![shape.iter().product::<u32>() / depth, depth];
        let x = if shape == flat { id } else { self.build.keep("", Op::Reshape(flat), &[id])? };
        let weights = Value::Host(weights.transposed(&[1, 0]));
        let id = self.build.weighted(out, Op::Dense { clamp }, x, &weights, bias)?;
        let last = shape.len() - 1;
        shape[last] = n;
        let id = if shape.len() == 2 {
            id
        } else {
            self.build.keep(&out.name, Op::Reshape(shape), &[id])?
        };
        Ok(Value::Live(self.build.plain(id)))
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
}

impl Frame {
    /// In two axes.
    fn flat(&self) -> Result<(Window, [u32; 2]), Refusal> {
        let two = |of: &[u32]| if let &[one] = of { [1, one] } else { [of[0], of[1]] };
        let [rows, columns] = match self.pads[..] {
            [columns] => [[0; 2], columns],
            [rows, columns] => [rows, columns],
            _ => return Err(unsupported("three spatial axes")),
        };
        let window = Window { kernel: two(&self.kernel), stride: two(&self.stride), rows, columns };
        Ok((window, two(&self.dilation)))
    }

    /// Adds behind what the last window needs to begin within the picture.
    fn reach(&mut self, sizes: &[u32]) {
        for (axis, &size) in sizes.iter().enumerate() {
            let covered = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            let [before, after] = self.pads[axis];
            let whole = size + before + after;
            if whole < covered {
                continue;
            }
            let mut places = (whole - covered).div_ceil(self.stride[axis]) + 1;
            if (places - 1) * self.stride[axis] >= size + before {
                places -= 1;
            }
            let needed = (places - 1) * self.stride[axis] + covered;
            self.pads[axis][1] = after.max(needed.saturating_sub(size + before));
        }
    }
}
