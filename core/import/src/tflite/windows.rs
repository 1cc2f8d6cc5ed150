//! Convolutions and pools.
use edgemill_model::graph::{self, Clamp, Op, ValueId, Window};
use edgemill_model::tensor::Quantization;

use super::{Importer, Node};
use crate::builder::{Out, Value};
use crate::{Refusal, unsupported, wrong};

impl<'a> Importer<'a> {
    pub(super) fn conv(&mut self, node: &Node<'a>, plain: bool) -> Result<Value, Refusal> {
        let x = self.id(node, 0)?;
        let fields = if plain { [4, 5] } else { [5, 6] };
        let dilation = [node.size(fields[1], 1)?, node.size(fields[0], 1)?];
        let kernel = self.kernel(node)?;
        let window = self.window(node, x, kernel, dilation)?;
        let id = self.convolved(node, plain, x, window, dilation)?;
        Ok(self.live(id))
    }

    /// Of a convolution's weights, as it counts them.
    pub(super) fn kernel(&self, node: &Node<'a>) -> Result<[u32; 2], Refusal> {
        let shape = self.build.value_shape(&self.operand(node, 1)?);
        let &[_, kh, kw, _] = &shape[..] else { return Err(wrong("weights have four axes")) };
        Ok([kh, kw])
    }

    pub(super) fn convolved(
        &mut self,
        node: &Node<'a>,
        plain: bool,
        x: ValueId,
        window: Window,
        dilation: [u32; 2],
    ) -> Result<ValueId, Refusal> {
        let mut weights = self.operand(node, 1)?;
        let bias = node.optional(2).map(|at| self.value(at)).transpose()?;
        let depth = self.build.value_shape(&weights).last().copied().unwrap_or(0);
        let c = self.build.shape(x).last().copied().unwrap_or(0);
        let groups = if plain { c / depth.max(1) } else { c };
        if !plain {
            weights = match weights {
                Value::Host(host) => Value::Host(host.transposed(&[3, 1, 2, 0])),
                Value::Live(_) => return Err(unsupported("computed weights")),
            };
        }
        let clamp = node.activation(if plain { 3 } else { 4 })?;
        let out = self.out(node)?;
        let op = Op::Conv2d { window, dilation, groups, clamp };
        self.build.weighted(&out, op, x, &weights, bias.as_ref())
    }

    pub(super) fn conv_transpose(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (to, weights, x) = (self.known(node, 0)?, self.operand(node, 1)?, self.id(node, 2)?);
        let bias = node.optional(3).map(|at| self.value(at)).transpose()?;
        let (to, shape, given) = (to.i64s(), self.build.value_shape(&weights), self.build.shape(x));
        let (&[_, h, w, _], &[_, kh, kw, _], &[_, xh, xw, _]) = (&to[..], &shape[..], &given[..])
        else {
            return Err(wrong("a picture has four axes"));
        };
        let stride = [node.size(2, 1)?, node.size(1, 1)?];
        let (mut cut, mut extra) = ([[0; 2]; 2], [0; 2]);
        for (axis, (to, kernel, from)) in [(h, kh, xh), (w, kw, xw)].into_iter().enumerate() {
            let full = (i64::from(from) - 1) * i64::from(stride[axis]) + i64::from(kernel);
            let beyond = u32::try_from((full - to).max(0)).map_err(|_| wrong("its shape"))?;
            extra[axis] = u32::try_from((to - full).max(0)).map_err(|_| wrong("its shape"))?;
            cut[axis] =
                if node.u8(0, 0)? == 0 { [beyond / 2, beyond - beyond / 2] } else { [0, beyond] };
        }
        let window = Window { kernel: [kh, kw], stride, rows: cut[0], columns: cut[1] };
        let (clamp, out) = (node.activation(3)?, self.out(node)?);
        let op = Op::ConvTranspose2d { window, dilation: [1; 2], groups: 1, extra, clamp };
        let id = self.build.weighted(&out, op, x, &weights, bias.as_ref())?;
        Ok(self.live(id))
    }

    /// MediaPipe's, whose options are padding and strides, each 32 bits.
    pub(super) fn conv_transpose_bias(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, weights, bias) =
            (self.id(node, 0)?, self.operand(node, 1)?, self.operand(node, 2)?);
        let option = |n: usize| node.custom.as_chunks().0.get(n).map(|&b| u32::from_le_bytes(b));
        let (Some(padding), Some(right), Some(down)) = (option(0), option(1), option(2)) else {
            return Err(wrong("its options"));
        };
        let &[_, kh, kw, _] = &self.build.value_shape(&weights)[..] else {
            return Err(wrong("weights have four axes"));
        };
        let (stride, kernel) = ([down, right], [kh, kw]);
        let beyond = |axis: usize| kernel[axis].saturating_sub(stride[axis]);
        let cut = |axis: usize| match padding {
            1 => [beyond(axis) / 2, beyond(axis) - beyond(axis) / 2],
            _ => [0, 0],
        };
        let window = Window { kernel, stride, rows: cut(0), columns: cut(1) };
        let extra = [0, 1].map(|axis: usize| match padding {
            1 => stride[axis].saturating_sub(kernel[axis]),
            _ => 0,
        });
        let out = self.out(node)?;
        let op =
            Op::ConvTranspose2d { window, dilation: [1; 2], groups: 1, extra, clamp: Clamp::NONE };
        let id = self.build.weighted(&out, op, x, &weights, Some(&bias))?;
        Ok(self.live(id))
    }

    pub(super) fn pool(&mut self, node: &Node<'a>, greatest: bool) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let kernel = [node.size(4, 1)?, node.size(3, 1)?];
        let window = self.window(node, x, kernel, [1; 2])?;
        let clamp = node.activation(5)?;
        let id = if greatest {
            let (x, window) = self.without_border(x, window);
            self.build.keep(&out.name, Op::MaxPool(window), &[x])?
        } else {
            let even = kernel.iter().any(|k| k % 2 == 0);
            let rule = out.rule.map(|rule| if even { away_from_zero(rule) } else { rule });
            let tilted = Out { name: out.name.clone(), rule };
            self.build.compute(&tilted, Op::AveragePool(window), &[x])?
        };
        let value = self.live(id);
        Ok(if clamp == Clamp::NONE {
            value
        } else {
            self.build.each(&out, Op::Clamp(clamp), &value)?
        })
    }

    /// A border of the least number there is, as PyTorch's pools have it, is one of the pool's own.
    fn without_border(&self, x: ValueId, window: Window) -> (ValueId, Window) {
        let own = |[before, after]: [u32; 2], kernel| before < kernel && after < kernel;
        if let Some(graph::Node { op: Op::Pad { borders, value: f32::MIN }, inputs }) =
            self.build.made_by(x)
            && let &[[0, 0], rows, columns, [0, 0]] = &borders[..]
            && [window.rows, window.columns] == [[0; 2]; 2]
            && own(rows, window.kernel[0])
            && own(columns, window.kernel[1])
        {
            return (inputs[0], Window { rows, columns, ..window });
        }
        (x, window)
    }

    fn window(
        &self,
        node: &Node<'a>,
        x: ValueId,
        kernel: [u32; 2],
        dilation: [u32; 2],
    ) -> Result<Window, Refusal> {
        let shape = self.build.shape(x);
        let [_, h, w, _] = shape[..] else { return Err(wrong("a picture has four axes")) };
        let stride = [node.size(2, 1)?, node.size(1, 1)?];
        let mut pads = [[0; 2]; 2];
        if node.u8(0, 0)? == 0 {
            for axis in 0..2 {
                pads[axis] = same([h, w][axis], kernel[axis], stride[axis], dilation[axis]);
            }
        }
        Ok(Window { kernel, stride, rows: pads[0], columns: pads[1] })
    }
}

/// LiteRT rounds an average's half away from the stored number 0, a graph to even: down where the zero point is low, as
/// behind a ReLU.
fn away_from_zero(rule: Quantization) -> Quantization {
    tilted(rule, rule.zero_point >= -64)
}

/// A scale that is off by four millionths sends all halves away from the zero point, or all towards it.
pub fn tilted(rule: Quantization, away: bool) -> Quantization {
    const BIT: f32 = 1.0 / (1 << 18) as f32;
    let scale = if away { 1.0 - BIT } else { 1.0 + BIT };
    Quantization { scale: rule.scale * scale, ..rule }
}

/// The border that keeps a picture's size, divided by the stride.
fn same(size: u32, kernel: u32, stride: u32, dilation: u32) -> [u32; 2] {
    let covered = u64::from(kernel.saturating_sub(1)) * u64::from(dilation) + 1;
    let needed = (u64::from(size.div_ceil(stride)).max(1) - 1) * u64::from(stride) + covered;
    let missing = u32::try_from(needed.saturating_sub(size.into())).unwrap_or(u32::MAX);
    [missing / 2, missing - missing / 2]
}
