//! SPACE_TO_BATCH_ND, what is computed of its many small pictures, and BATCH_TO_SPACE_ND.
//!
//! Between the two a convolution sees every `block`-th row and column of the picture: it is one of the whole picture,
//! with that distance between its taps. So the picture stays whole until an operator comes for which it must not.
use edgemill_model::graph::{self, Clamp, Op, Span, ValueId, Window};

use super::ops::{bounds, pair};
use super::{Importer, Node};
use crate::builder::{Shape, Value};
use crate::{Refusal, wrong};

/// A tensor of the file that is the pictures of another one, row and column by row and column.
#[derive(Clone)]
pub struct Spread {
    /// Batch, height, width, channel.
    picture: ValueId,
    /// Rows and columns from one of a small picture to its next.
    block: [u32; 2],
    /// What is still to be added around the picture.
    borders: [[u32; 2]; 2],
    /// The file has no axis of rows.
    line: bool,
}

impl<'a> Importer<'a> {
    /// Lowers an operator that makes such a tensor or reads one; false if it does neither.
    pub(super) fn batched(&mut self, name: &str, node: &Node<'a>) -> Result<bool, Refusal> {
        let made = if name == "SPACE_TO_BATCH_ND" {
            self.settle(node)?;
            Some(self.cut(node)?)
        } else {
            let reads = node.inputs.first().and_then(|at| self.spread.get(at)).cloned();
            let Some(of) = reads else {
                self.settle(node)?;
                return Ok(false);
            };
            if name == "BATCH_TO_SPACE_ND" {
                let value = self.put_together(node, of)?;
                self.give(node, vec![value])?;
                return Ok(true);
            }
            self.computed(name, node, &of)?
        };
        let Some(mut made) = made else {
            self.settle(node)?;
            return Ok(false);
        };
        let value = self.live(made.picture);
        if let Value::Live(live) = self.stored(node.output(), value)? {
            made.picture = live.id;
        }
        self.spread.insert(node.output(), made);
        Ok(true)
    }

    /// Gives the inputs that are spread the elements that the file means.
    pub(super) fn settle(&mut self, node: &Node<'a>) -> Result<(), Refusal> {
        for at in &node.inputs {
            self.settle_tensor(*at)?;
        }
        Ok(())
    }

    pub(super) fn settle_tensor(&mut self, at: i32) -> Result<(), Refusal> {
        let Some(spread) = self.spread.remove(&at) else { return Ok(()) };
        let value = self.in_batches(&spread)?;
        let place = usize::try_from(at).map_err(|_| wrong("an input is missing"))?;
        self.values.insert(place, value);
        Ok(())
    }

    fn cut(&mut self, node: &Node<'a>) -> Result<Spread, Refusal> {
        let x = self.id(node, 0)?;
        let shape = self.build.shape(x);
        let (block, borders) = self.block_and_edges(node)?;
        let line = shape.len() == 3;
        let picture = match shape[..] {
            [n, w, c] => self.build.keep("", Op::Reshape(vec![n, 1, w, c]), &[x])?,
            _ => x,
        };
        Ok(Spread { picture, block, borders, line })
    }

    /// Its second and third operand, for rows and columns.
    fn block_and_edges(&self, node: &Node<'a>) -> Result<([u32; 2], [[u32; 2]; 2]), Refusal> {
        let list = |n: usize| self.known(node, n).map(|h| super::options::sizes(&h.i64s()));
        let (block, edges) = (list(1)?, list(2)?);
        let usable = |b: &u32| (1..=1 << 12).contains(b);
        if !block.iter().all(usable) || edges.iter().any(|&e| e > 1 << 16) {
            return Err(wrong("its blocks"));
        }
        match (&block[..], &edges[..]) {
            (&[b], &[before, after]) => Ok(([1, b], [[0; 2], [before, after]])),
            (&[down, right], &[top, bottom, left, far]) => {
                Ok(([down, right], [[top, bottom], [left, far]]))
            }
            _ => Err(wrong("its blocks")),
        }
    }

    /// What an operator gives of the pictures while they are whole, if it can be had so.
    fn computed(
        &mut self,
        name: &str,
        node: &Node<'a>,
        of: &Spread,
    ) -> Result<Option<Spread>, Refusal> {
        let picture = match name {
            "CONV_2D" | "DEPTHWISE_CONV_2D" => return self.dilated(node, name == "CONV_2D", of),
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => {
                return Ok(self.reshaped_line(name, node, of));
            }
            _ if of.borders != [[0; 2]; 2] || of.line => return Ok(None),
            "QUANTIZE" | "DEQUANTIZE" => of.picture,
            _ => match self.each_of(name, node, of)? {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        Ok(Some(Spread { picture, ..of.clone() }))
    }

    fn dilated(
        &mut self,
        node: &Node<'a>,
        plain: bool,
        of: &Spread,
    ) -> Result<Option<Spread>, Refusal> {
        let [first, second] = if plain { [4, 5] } else { [5, 6] };
        let steps = [node.i32(1, 1)?, node.i32(2, 1)?, node.i32(first, 1)?, node.i32(second, 1)?];
        let kernel = self.kernel(node)?;
        let whole = node.u8(0, 0)? == 1 || kernel == [1; 2];
        if steps != [1; 4] || !whole || of.line {
            return Ok(None);
        }
        let [rows, columns] = of.borders;
        let window = Window { kernel, stride: [1; 2], rows, columns };
        let picture = self.convolved(node, plain, of.picture, window, of.block)?;
        Ok(Some(Spread { picture, borders: [[0; 2]; 2], ..of.clone() }))
    }

    /// An axis of one row that comes or goes.
    fn reshaped_line(&self, name: &str, node: &Node<'a>, of: &Spread) -> Option<Spread> {
        let given = self.small_shape(of);
        let to = self.new_shape(name, node, &given).ok()?;
        let with_row = |line: &[u32]| vec![line[0], 1, line[1], line[2]];
        let alike = match (of.line, given.len(), to.len()) {
            (true, 3, 4) => with_row(&given) == to,
            (false, 4, 3) => with_row(&to) == given && of.block[0] == 1,
            _ => false,
        };
        alike.then(|| Spread { line: !of.line, ..of.clone() })
    }

    fn each_of(
        &mut self,
        name: &str,
        node: &Node<'a>,
        of: &Spread,
    ) -> Result<Option<ValueId>, Refusal> {
        let (x, out) = (self.live(of.picture), self.out(node)?);
        let op = match (self.function(name, node)?, bounds(name)) {
            (Some(function), _) => Op::Unary(function),
            (_, Some(clamp)) => Op::Clamp(clamp),
            _ => {
                let (Some((function, activation)), Some(at)) = (pair(name), node.optional(1))
                else {
                    return Ok(None);
                };
                let Ok(Value::Host(host)) = self.value(at) else { return Ok(None) };
                if host.len() != host.shape.last().copied().unwrap_or(1) {
                    return Ok(None);
                }
                let clamp = activation.map_or(Ok(Clamp::NONE), |field| node.activation(field))?;
                let made = self.build.pair(&out, function, clamp, [&x, &Value::Host(host)])?;
                return self.build.id(&made).map(Some);
            }
        };
        let made = self.build.each(&out, op, &x)?;
        self.build.id(&made).map(Some)
    }

    fn put_together(&mut self, node: &Node<'a>, of: Spread) -> Result<Value, Refusal> {
        let (block, crops) = self.block_and_edges(node)?;
        let line_ends = of.line == (self.known(node, 1)?.len() == 1);
        if block != of.block || !line_ends {
            self.settle(node)?;
            return self.out_of_batches(node);
        }
        let mut id = self.bordered(&of)?;
        let shape = self.build.shape(id);
        let [n, h, w, c] = shape[..] else { return Err(wrong("a picture has four axes")) };
        let kept = [rest(h, crops[0])?, rest(w, crops[1])?];
        if crops != [[0; 2]; 2] {
            id = self.trimmed(id, crops, kept)?;
        }
        if of.line {
            id = self.build.keep("", Op::Reshape(vec![n, kept[1].count, c]), &[id])?;
        }
        Ok(self.live(id))
    }

    /// Without the rows and columns `crops`. A convolution that pads the picture pads it by less.
    fn trimmed(
        &mut self,
        id: ValueId,
        crops: [[u32; 2]; 2],
        [rows, columns]: [Span; 2],
    ) -> Result<ValueId, Refusal> {
        if let Some(graph::Node { op: Op::Conv2d { window, dilation, groups, clamp }, inputs }) =
            self.build.made_by(id).cloned()
            && window.stride == [1; 2]
            && let (Some(rows), Some(columns)) =
                (less(window.rows, crops[0]), less(window.columns, crops[1]))
        {
            let window = Window { rows, columns, ..window };
            let op = Op::Conv2d { window, dilation, groups, clamp };
            return self.build.node("", op, &inputs, self.build.element(id));
        }
        let shape = self.build.shape(id);
        let spans = vec![Span::whole(shape[0]), rows, columns, Span::whole(shape[3])];
        self.build.keep("", Op::Slice(spans), &[id])
    }

    fn bordered(&mut self, of: &Spread) -> Result<ValueId, Refusal> {
        let [rows, columns] = of.borders;
        if of.borders == [[0; 2]; 2] {
            return Ok(of.picture);
        }
        let borders = vec![[0; 2], rows, columns, [0; 2]];
        self.build.keep("", Op::Pad { borders, value: 0.0 }, &[of.picture])
    }

    /// As the file has it: `block` × `block` as many pictures.
    fn small_shape(&self, of: &Spread) -> Shape {
        let shape = self.build.shape(of.picture);
        let side = |axis: usize| {
            let [before, after] = of.borders[axis];
            shape[axis + 1].saturating_add(before + after) / of.block[axis]
        };
        let n = shape[0].saturating_mul(of.block[0] * of.block[1]);
        if of.line { vec![n, side(1), shape[3]] } else { vec![n, side(0), side(1), shape[3]] }
    }

    fn in_batches(&mut self, of: &Spread) -> Result<Value, Refusal> {
        let (to, picture) = (self.small_shape(of), self.bordered(of)?);
        let shape = self.build.shape(picture);
        let ([down, right], [h, w]) = (of.block, [shape[1], shape[2]]);
        if h % down != 0 || w % right != 0 {
            return Err(wrong("its blocks do not fit"));
        }
        let wide = vec![shape[0], h / down, down, w / right, right, shape[3]];
        let id = self.build.keep("", Op::Reshape(wide), &[picture])?;
        let id = self.build.keep("", Op::Transpose(vec![2, 4, 0, 1, 3, 5]), &[id])?;
        let id = self.build.keep("", Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }

    /// BATCH_TO_SPACE_ND of a tensor that is as the file has it.
    pub(super) fn out_of_batches(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, ([down, right], crops)) = (self.id(node, 0)?, self.block_and_edges(node)?);
        let shape = self.build.shape(x);
        let (n, h, w, c) = match shape[..] {
            [n, w, c] => (n, 1, w, c),
            [n, h, w, c] => (n, h, w, c),
            _ => return Err(wrong("a picture has four axes")),
        };
        let batch = n / (down * right);
        let id = self.build.keep("", Op::Reshape(vec![down, right, batch, h, w, c]), &[x])?;
        let id = self.build.keep("", Op::Transpose(vec![2, 3, 0, 4, 1, 5]), &[id])?;
        let (rows, columns) = (h.saturating_mul(down), w.saturating_mul(right));
        let picture = vec![batch, rows, columns, c];
        let id = self.build.keep("", Op::Reshape(picture), &[id])?;
        let kept = [rest(rows, crops[0])?, rest(columns, crops[1])?];
        let spans = vec![Span::whole(batch), kept[0], kept[1], Span::whole(c)];
        let mut id = self.build.keep("", Op::Slice(spans), &[id])?;
        if shape.len() == 3 {
            id = self.build.keep("", Op::Reshape(vec![batch, kept[1].count, c]), &[id])?;
        }
        Ok(self.live(id))
    }
}

fn less(of: [u32; 2], by: [u32; 2]) -> Option<[u32; 2]> {
    Some([of[0].checked_sub(by[0])?, of[1].checked_sub(by[1])?])
}

/// What is left of `size` rows.
fn rest(size: u32, [before, after]: [u32; 2]) -> Result<Span, Refusal> {
    let count = size.checked_sub(before + after).filter(|&n| n > 0);
    Ok(Span { start: before, step: 1, count: count.ok_or_else(|| wrong("nothing is left of it"))? })
}
