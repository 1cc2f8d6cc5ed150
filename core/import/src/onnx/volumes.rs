//! Windows over three spatial axes, as windows over two and one.
use edgemill_model::graph::{Clamp, Op, Pair, Span};

use super::Importer;
use super::moves::{sizes, sliced_host, turned};
use super::windows::{Frame, Pooling};
use crate::builder::{Live, Out, Shape, Value};
use crate::host::{Data, Host};
use crate::{Refusal, unsupported, wrong};

/// The most layers of filters: each is a convolution.
const MAX_LAYERS: u32 = 64;

impl Importer<'_> {
    /// A pool over rows and columns, then one over depth: both the greatest and the mean come apart so.
    pub(super) fn volume_pool(
        &mut self,
        out: &Out,
        x: &Value,
        pooling: &Pooling,
    ) -> Result<Value, Refusal> {
        let &[n, c, d, h, w] = &self.build.value_shape(x)[..] else {
            return Err(wrong("its window has three axes, its input has not"));
        };
        let (flat, deep) = (pooling.only(1..3), pooling.only(0..1).with_columns());
        let (mut x, mut h, mut w) = (x.clone(), h, w);
        if !flat.is_nothing() {
            let out = if deep.is_nothing() { out } else { &Out::default() };
            let seen = Value::Live(self.build.reshaped("", &x, vec![n, c * d, h, w])?);
            x = self.slide(out, &seen, &flat)?;
            let shape = self.build.value_shape(&x);
            (h, w) = (shape[2], shape[3]);
        }
        let mut d = d;
        if !deep.is_nothing() || flat.is_nothing() {
            let seen = Value::Live(self.build.reshaped("", &x, vec![n, c, d, h * w])?);
            x = self.slide(out, &seen, &deep)?;
            d = self.build.value_shape(&x)[2];
        }
        Ok(Value::Live(self.build.reshaped(&out.name, &x, vec![n, c, d, h, w])?))
    }

    /// A convolution over three axes: the sum of what each layer of its filters sees.
    pub(super) fn volume_conv(
        &mut self,
        out: &Out,
        clamp: Clamp,
        groups: u32,
        frame: &Frame,
        [x, weights, bias]: [Option<&Value>; 3],
    ) -> Result<Value, Refusal> {
        let (Some(x), Some(weights)) = (x, weights) else { return Err(wrong("its inputs")) };
        let (shape, filters) = (self.build.value_shape(x), self.build.value_shape(weights));
        let (&[n, c, _, h, w], &[k, per, deep, kh, kw]) = (&shape[..], &filters[..]) else {
            return Err(wrong("its filters and its input differ in axes"));
        };
        if frame.kernel != filters[2..] || deep > MAX_LAYERS {
            return Err(unsupported(format!(
                "filters that do not fit, or of more than {MAX_LAYERS} layers"
            )));
        }
        let flat = frame.only(1..3);
        if flat.is_nothing() {
            let lines = vec![n, c, shape[2], h * w];
            let lines = Value::Live(self.build.reshaped("", x, lines)?);
            let weights = self.seen_as(weights, vec![k, per, deep, kh * kw])?;
            let frame = frame.only(0..1).with_columns();
            let made = self.slide_conv(out, clamp, groups, &frame, [&lines, &weights], bias)?;
            let depth = self.build.value_shape(&made)[2];
            return Ok(Value::Live(self.build.reshaped("", &made, vec![n, k, depth, h, w])?));
        }
        let (wide, taps) = self.layers(x, frame)?;
        let (inner, none) = (Out::default(), Clamp::NONE);
        let mut sum: Option<Value> = None;
        for (layer, tap) in (0..deep).zip(&taps) {
            let seen = self.sliced("", &wide, tap)?;
            let seen = turned(self.as_live(seen)?, &[0, 2, 1, 3, 4])?;
            let seen =
                Value::Live(self.build.reshaped("", &seen, vec![n * tap[2].count, c, h, w])?);
            let filter = self.layer_of(weights, layer, &filters)?;
            let (to, end) = if layer + 1 == deep { (out, clamp) } else { (&inner, none) };
            sum = Some(match sum {
                None if deep == 1 => {
                    self.slide_conv(out, clamp, groups, &flat, [&seen, &filter], bias)?
                }
                None => self.slide_conv(&inner, none, groups, &flat, [&seen, &filter], bias)?,
                Some(before) => {
                    let made =
                        self.slide_conv(&inner, none, groups, &flat, [&seen, &filter], None)?;
                    self.build.pair(to, Pair::Add, end, [&before, &made])?
                }
            });
        }
        let sum = sum.ok_or_else(|| wrong("a window of nothing"))?;
        let of = self.build.value_shape(&sum);
        let sum = self.build.reshaped("", &sum, vec![n, of[0] / n, k, of[2], of[3]])?;
        turned(sum, &[0, 2, 1, 3, 4])
    }

    /// x with borders in front and behind, and what each layer of the filters sees of it.
    fn layers(&mut self, x: &Value, frame: &Frame) -> Result<(Live, Vec<Vec<Span>>), Refusal> {
        let mut wide = self.as_live(x.clone())?;
        if frame.pads[0] != [0; 2] {
            let id = self.build.in_order(&wide)?;
            let mut borders = vec![[0; 2]; 5];
            borders[2] = frame.pads[0];
            let id = self.build.keep("", Op::Pad { borders, value: 0.0 }, &[id])?;
            wide = self.build.plain(id);
        }
        let shape = self.build.logical(&wide);
        let (deep, stride, dilation) = (frame.kernel[0], frame.stride[0], frame.dilation[0]);
        let covered = (deep - 1).checked_mul(dilation).and_then(|covered| covered.checked_add(1));
        let rest = covered.and_then(|covered| shape[2].checked_sub(covered));
        let count = rest.ok_or_else(|| wrong("a window larger than its picture"))? / stride + 1;
        let step = i32::try_from(stride).map_err(|_| wrong("its strides"))?;
        let tap = |layer: u32| {
            let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
            spans[2] = Span { start: layer * dilation, step, count };
            spans
        };
        Ok((wide, (0..deep).map(tap).collect()))
    }

    /// One layer of filters: what they see at one depth.
    fn layer_of(&mut self, weights: &Value, layer: u32, shape: &[u32]) -> Result<Value, Refusal> {
        let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
        spans[2] = Span { start: layer, step: 1, count: 1 };
        let flat = vec![shape[0], shape[1], shape[3], shape[4]];
        let one = match weights {
            Value::Host(host) => Value::Host(sliced_host(host, &spans)),
            Value::Live(live) => self.sliced("", live, &spans)?,
        };
        self.seen_as(&one, flat)
    }

    /// Filters of another shape behind the first axis, which scales belong to.
    fn seen_as(&mut self, weights: &Value, shape: Shape) -> Result<Value, Refusal> {
        match weights {
            Value::Host(host) => {
                let axis_stays =
                    !matches!(&host.data, Data::Q(q) if q.scales.len() > 1 && q.axis != 0);
                let shape = sizes(&shape);
                Ok(Value::Host(if axis_stays {
                    Host { shape, data: host.data.clone() }
                } else {
                    host.reshaped(shape)
                }))
            }
            live => Ok(Value::Live(self.build.reshaped("", live, shape)?)),
        }
    }
}
