//! Convolutions, plain and transposed.
use edgemill_model::graph::{Clamp, Op};

use super::windows::Frame;
use super::{Importer, size};
use crate::builder::{Out, Value};
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn float_conv(&mut self, at: usize) -> Result<Value, Refusal> {
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
        let tail = self.tail(last);
        let out = self.out_named(&tail.name);
        let value = self.conv(at, &out, tail.clamp, [&x, &weights], bias.as_ref())?;
        self.values.insert(tail.name, value.clone());
        Ok(value)
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
        let groups = size(self.int(at, "group", 1))?;
        if frame.kernel.len() == 3 {
            let operands = [Some(x), Some(weights), bias];
            return self.volume_conv(out, clamp, groups, &frame, operands);
        }
        self.slide_conv(out, clamp, groups, &frame, [x, weights], bias)
    }

    /// A convolution over one or two axes.
    pub(super) fn slide_conv(
        &mut self,
        out: &Out,
        clamp: Clamp,
        groups: u32,
        frame: &Frame,
        [x, weights]: [&Value; 2],
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let weights = self.filters_last(weights, &[0, 2, 3, 1])?;
        let (window, dilation) = frame.flat()?;
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

    pub(super) fn conv_transpose(&mut self, at: usize) -> Result<Value, Refusal> {
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
        let tail = self.tail(at);
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
}
