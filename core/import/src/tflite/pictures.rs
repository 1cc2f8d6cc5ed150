//! Operators that move the elements of pictures, and resize them.
use edgemill_model::graph::Op;
use edgemill_model::tensor::Quantization;

use super::windows::tilted;
use super::{Importer, Node};
use crate::builder::{Out, Value, small};
use crate::{Refusal, wrong};

impl<'a> Importer<'a> {
    #[expect(clippy::cast_precision_loss, reason = "sides of pictures are small")]
    pub(super) fn resize(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out, to) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?.i64s());
        let shape = self.build.shape(x);
        let (&[_, h, w, _], &[rows, columns]) = (&shape[..], &to[..]) else {
            return Err(wrong("its shape"));
        };
        let size = [rows, columns].map(|n| u32::try_from(n).unwrap_or(0));
        let (corners, half) = (node.u8(2, 0)? != 0, node.u8(3, 0)? != 0);
        let (mut step, mut origin) = ([1.0; 2], [0.0; 2]);
        for (axis, from) in [h, w].into_iter().enumerate() {
            let (from, to) = (from as f32, size[axis] as f32);
            step[axis] = if corners && to > 1.0 { (from - 1.0) / (to - 1.0) } else { from / to };
            origin[axis] = if half { 0.5 * step[axis] - 0.5 } else { 0.0 };
        }
        let rule = out.rule.map(upwards);
        let tilted = Out { name: out.name, rule };
        let id = self.build.compute(&tilted, Op::Resize { size, step, origin }, &[x])?;
        Ok(self.live(id))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in a picture"
    )]
    pub(super) fn nearest(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (mut id, out, to) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?.i64s());
        let (corners, half) = (node.u8(0, 0)? != 0, node.u8(1, 0)? != 0);
        for (n, &to) in to.iter().enumerate().take(2) {
            let from = self
                .build
                .shape(id)
                .get(n + 1)
                .copied()
                .ok_or_else(|| wrong("a picture has four axes"))?;
            let step = if corners && to > 1 {
                (from - 1) as f32 / (to - 1) as f32
            } else {
                from as f32 / to as f32
            };
            let place = |at: i64| {
                let at = (at as f32 + if half { 0.5 } else { 0.0 }) * step;
                let at = if corners { at.round() } else { at.floor() };
                (at as u32).min(from - 1)
            };
            let indices = (0..to.clamp(0, 1 << 16)).map(place).collect();
            id = self.build.keep(&out.name, Op::Gather { axis: small(n + 1), indices }, &[id])?;
        }
        Ok(self.live(id))
    }

    pub(super) fn blocks(&mut self, name: &str, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let block = node.size(0, 1)?.min(1 << 12);
        let shape = self.build.shape(x);
        let &[n, h, w, c] = &shape[..] else { return Err(wrong("a picture has four axes")) };
        let (wide, order, last) = if name == "DEPTH_TO_SPACE" {
            let depth = c / (block * block);
            (
                vec![n, h, w, block, block, depth],
                vec![0, 1, 3, 2, 4, 5],
                vec![n, h * block, w * block, depth],
            )
        } else {
            let (rows, columns) = (h / block, w / block);
            (
                vec![n, rows, block, columns, block, c],
                vec![0, 1, 3, 2, 4, 5],
                vec![n, rows, columns, c * block * block],
            )
        };
        let id = self.build.keep("", Op::Reshape(wide), &[x])?;
        let id = self.build.keep("", Op::Transpose(order), &[id])?;
        let id = self.build.keep(&out.name, Op::Reshape(last), &[id])?;
        Ok(self.live(id))
    }

    pub(super) fn mirror(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (mut id, out, list) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?.i64s());
        let mode = if node.u8(0, 0)? == 0 { "reflect" } else { "symmetric" };
        for (n, &[before, after]) in list.as_chunks::<2>().0.iter().enumerate() {
            let length =
                self.build.shape(id).get(n).copied().ok_or_else(|| wrong("its borders"))?;
            if before != 0 || after != 0 {
                let indices = crate::onnx::mirrored(before, after, length.into(), mode)?;
                id = self.build.keep(&out.name, Op::Gather { axis: small(n), indices }, &[id])?;
            }
        }
        Ok(self.live(id))
    }
}

/// LiteRT rounds a half upwards when it resizes, a graph to even.
fn upwards(rule: Quantization) -> Quantization {
    tilted(rule, rule.zero_point < 0)
}
