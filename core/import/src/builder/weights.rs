//! Nodes with weights and a bias.
use edgemill_model::graph::{Constant, Element, Op, Pair, ValueId};
use edgemill_model::tensor::{DType, Quantization};

use super::{Builder, Out, Value, element};
use crate::host::{Data, Host, Quantized, single};
use crate::{Refusal, wrong};

/// Weights of an int8 node: symmetric, with a scale for each filter.
struct Filters {
    elements: Vec<i8>,
    scales: Vec<f32>,
}

impl Builder {
    /// `op` of x with weights whose outermost axis is the filter.
    pub fn weighted(
        &mut self,
        out: &Out,
        op: Op,
        x: ValueId,
        weights: &Value,
        bias: Option<&Value>,
    ) -> Result<ValueId, Refusal> {
        let live_bias = matches!(bias, Some(Value::Live(_)));
        if let (true, false, Some(rule), Value::Host(host)) =
            (self.is_int8(x), live_bias, out.rule, weights)
            && let Data::Q(q) = &host.data
        {
            let bias = bias.map(|b| if let Value::Host(b) = b { b.f64s() } else { Vec::new() });
            return self.int8(out, op, x, (host, q), bias, rule);
        }
        let mut inputs = vec![self.real(x)?, self.real_id(weights)?];
        if let Some(bias) = bias {
            let flat = vec![self.value_shape(bias).iter().product()];
            let bias = match bias {
                Value::Host(host) => Value::Host(host.reshaped(vec![host.len()])),
                live if self.value_shape(live).len() == 1 => live.clone(),
                live => Value::Live(self.reshaped("", live, flat)?),
            };
            inputs.push(self.real_id(&bias)?);
        }
        self.node(&out.name, op, &inputs, Element::F32)
    }

    fn int8(
        &mut self,
        out: &Out,
        op: Op,
        x: ValueId,
        (host, q): (&Host, &Quantized),
        bias: Option<Vec<f64>>,
        rule: Quantization,
    ) -> Result<ValueId, Refusal> {
        let shape = host.shape32();
        let mut filters = symmetric(host.shape.first().copied().unwrap_or(1), q)?;
        let given = self.element(x).quantization.ok_or_else(|| wrong("no rule"))?;
        filters.scales.iter_mut().for_each(|s| *s = nudged(*s, given.scale, rule.scale));
        let weights = Constant::i8(&filters.elements, &filters.scales);
        let mut inputs = vec![x, self.raw_constant(DType::I8, &shape, weights)?];
        if let Some(bias) = bias {
            let steps = steps_of_bias(&bias, given.scale, &filters.scales)?;
            inputs.push(self.raw_constant(DType::I32, &shape[..1], Constant::i32(&steps))?);
        }
        self.node(&out.name, op, &inputs, element(DType::I8, Some(rule)))
    }
}

/// A constant as int8 where that keeps what it says: a single number, or factors, which have 127 steps then.
#[expect(clippy::cast_possible_truncation, reason = "at most 127 steps")]
pub fn in_steps(function: Pair, host: &Host) -> Option<Host> {
    let Data::F(elements) = &host.data else { return None };
    let most = elements.iter().fold(0.0_f32, |most, e| most.max(e.abs()));
    let scale = most / 127.0;
    let kept = elements.len() == 1 || matches!(function, Pair::Mul | Pair::Prelu);
    if !kept || !function.is_int8() || !(1e-12..=1e12).contains(&scale) {
        return None;
    }
    let elements = elements.iter().map(|e| (e / scale).round_ties_even() as i8).collect();
    let data = Data::Q(Quantized { elements, scales: vec![scale], zeros: vec![0], axis: 0 });
    Some(Host { shape: host.shape.clone(), data })
}

/// A scale so near that it does not matter, with which a graph multiplies by the very number that other engines make of
/// the file's: the product and the quotient each rounded to f32. So halves and what lies beside them fall alike.
fn nudged(scale: f32, input: f32, output: f32) -> f32 {
    let theirs = input * scale / output;
    let ours = |scale: f32| single(f64::from(input) * f64::from(scale) / f64::from(output));
    let near =
        [0, 1, -1, 2, -2].map(|steps| f32::from_bits(scale.to_bits().wrapping_add_signed(steps)));
    near.into_iter().find(|&scale| ours(scale).to_bits() == theirs.to_bits()).unwrap_or(scale)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to int32")]
fn steps_of_bias(bias: &[f64], input: f32, scales: &[f32]) -> Result<Vec<i32>, Refusal> {
    if bias.len() != scales.len() {
        return Err(wrong(format!("{} biases for {} filters", bias.len(), scales.len())));
    }
    let step = |(bias, scale): (&f64, &f32)| {
        let steps = bias / (f64::from(input) * f64::from(*scale));
        steps.round_ties_even().clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    Ok(bias.iter().zip(scales).map(step).collect())
}

/// Takes the zero point out of the weights. A filter that then does not fit into int8 gets a coarser scale, loses what is
/// beyond its ends, or some of both.
fn symmetric(filters: usize, q: &Quantized) -> Result<Filters, Refusal> {
    let one_each = q.scales.len() == filters && (q.axis == 0 || filters == 1);
    if q.scales.len() != 1 && !one_each
        || q.zeros.len() != q.scales.len()
        || filters == 0
        || q.elements.is_empty()
    {
        return Err(wrong("the scales of the weights are not one for each filter"));
    }
    let mut made = Filters { elements: Vec::with_capacity(q.elements.len()), scales: Vec::new() };
    for (at, filter) in q.elements.chunks_exact(q.elements.len() / filters).enumerate() {
        let rule = at % q.scales.len();
        let steps: Vec<i32> =
            filter.iter().map(|&e| i32::from(e).saturating_sub(q.zeros[rule])).collect();
        let coarser = coarser(&steps);
        made.scales.push(single(f64::from(q.scales[rule]) * coarser));
        made.elements.extend(steps.iter().map(|&step| fitted(step, coarser)));
    }
    Ok(made)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn fitted(step: i32, coarser: f64) -> i8 {
    (f64::from(step) / coarser).round_ties_even().clamp(-128.0, 127.0) as i8
}

/// By how much a filter's scale grows: of nine ways between nothing and all that its ends need, the one with the least error.
fn coarser(steps: &[i32]) -> f64 {
    let (least, most) = steps.iter().fold((0, 0), |(l, m), &s| (s.min(l), s.max(m)));
    let all = (-f64::from(least) / 128.0).max(f64::from(most) / 127.0);
    if all <= 1.0 {
        return 1.0;
    }
    let error = |coarser: f64| -> f64 {
        let each = |&s: &i32| (f64::from(s) - f64::from(fitted(s, coarser)) * coarser).powi(2);
        steps.iter().map(each).sum()
    };
    let ways = (0..=8).map(|n| 1.0 + (all - 1.0) * f64::from(n) / 8.0);
    ways.min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap_or(all)
}
