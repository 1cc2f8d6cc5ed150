//! What is done along with the node before: normalization by known numbers, bounds, quantization.
use edgemill_model::graph::{Clamp, Op, Pair};
use edgemill_model::tensor::Quantization;

use super::Importer;
use super::quantized::moves_only;
use crate::Refusal;
use crate::builder::{Out, Value};
use crate::host::{Host, single};

/// What follows a node and is done along with it.
pub(super) struct Tail {
    pub clamp: Clamp,
    /// Name of the last value.
    pub name: String,
}

/// Factor and shift of each channel.
type Norm = (Vec<f32>, Vec<f32>);

impl Importer<'_> {
    /// Bounds that the only reader of `name` holds it to, along with the batch norm before that.
    pub(super) fn tail(&mut self, at: usize) -> Tail {
        let name = self.node(at).outputs.first().cloned().unwrap_or_default();
        let Some(reader) = self.only_reader(&name) else {
            return Tail { clamp: Clamp::NONE, name };
        };
        match self.bounds(reader) {
            Some(clamp) => {
                self.done.insert(reader);
                let name = self.node(reader).outputs.first().cloned().unwrap_or_default();
                Tail { clamp, name }
            }
            None => Tail { clamp: Clamp::NONE, name },
        }
    }

    /// The bounds of a node that only holds its input between two constants.
    pub(super) fn bounds(&self, at: usize) -> Option<Clamp> {
        let node = self.node(at);
        let bound = |name: &str, index: usize, default: f32| {
            if let Some(super::Attribute::Float(v)) = self.attribute(at, name) {
                return Some(*v);
            }
            match self.input_name(at, index).map(|name| self.values.get(name)) {
                None => Some(default),
                Some(Some(Value::Host(host))) => host.f32s().first().copied(),
                Some(_) => None,
            }
        };
        match node.op.as_str() {
            "Relu" => Some(Clamp::RELU),
            "Clip" => {
                let low = bound("min", 1, f32::NEG_INFINITY);
                let high = bound("max", 2, f32::INFINITY);
                low.zip(high).filter(|(l, h)| l <= h).map(|(low, high)| Clamp { low, high })
            }
            _ => None,
        }
    }

    /// Weights and bias with the batch norm `next` in them.
    pub(super) fn folded_norm(
        &self,
        next: usize,
        weights: &Value,
        bias: Option<&Value>,
    ) -> Result<Option<(Host, Host)>, Refusal> {
        let Value::Host(weights) = weights else { return Ok(None) };
        let fixed = self.int(next, "training_mode", 0) == 0;
        if self.node(next).op != "BatchNormalization"
            || !fixed
            || matches!(bias, Some(Value::Live(_)))
        {
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

    pub(super) fn batch_norm(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let rank = self.build.value_shape(&x).len();
        if self.int(at, "training_mode", 0) != 0 {
            return self.own_norm(at, &x, rank);
        }
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
        let tail = self.tail(at);
        let out = self.out_named(&tail.name);
        let value = self.build.pair(&out, Pair::Add, tail.clamp, [&scaled, &shift])?;
        self.values.insert(tail.name, value.clone());
        Ok(value)
    }

    /// By the mean and variance of x itself, as weights are standardized.
    fn own_norm(&mut self, at: usize, x: &Value, rank: usize) -> Result<Value, Refusal> {
        let on: Vec<usize> = (0..rank).filter(|&axis| axis != 1).collect();
        let epsilon = self.float(at, "epsilon", 1e-5);
        let [normal, ..] = self.normal(&Out::default(), x, &on, epsilon)?;
        let (scale, shift) = (self.value(at, 1)?, self.value(at, 2)?);
        let scale = self.per_channel(&scale, rank)?;
        let shift = self.per_channel(&shift, rank)?;
        let scaled = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&normal, &scale])?;
        self.build.pair(&self.out(at), Pair::Add, Clamp::NONE, [&scaled, &shift])
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

    /// The rule by which all readers of a value quantize it, at once or after having moved or bounded it.
    pub(super) fn rule_of(&self, name: &str) -> Option<Quantization> {
        self.rule_within(name, 16)
    }

    fn rule_within(&self, name: &str, steps: usize) -> Option<Quantization> {
        let readers = self.readers.get(name).filter(|_| !self.is_output(name))?;
        let looks = |at: &&usize| !matches!(self.node(**at).op.as_str(), "Shape" | "Size");
        let readers: Vec<usize> = readers.iter().filter(looks).copied().collect();
        if steps == 0 || readers.len() > 16 {
            return None;
        }
        if let Some(known) = self.rules.borrow().get(name) {
            return *known;
        }
        let first = self.rule_by(*readers.first()?, steps);
        let rule = first.filter(|_| readers.iter().all(|&at| self.rule_by(at, steps) == first));
        self.rules.borrow_mut().insert(name.to_owned(), rule);
        rule
    }

    fn rule_by(&self, at: usize, steps: usize) -> Option<Quantization> {
        let node = self.node(at);
        match node.op.as_str() {
            "QuantizeLinear" => self.rule_at(at, 1, 2),
            op if moves_only(op) || self.bounds(at).is_some() => {
                let mut read = node.outputs.iter().filter(|output| self.is_read(output));
                let first = self.rule_within(read.next()?, steps - 1);
                first.filter(|_| read.all(|output| self.rule_within(output, steps - 1) == first))
            }
            _ => None,
        }
    }
}
