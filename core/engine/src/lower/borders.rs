//! Borders around pictures. Where only convolutions read what a convolution makes, or an input of the graph, it is made in a
//! place that has its border already; else a border is laid around a copy.
use edgemill_kernels::int8::{Border, SLACK};
use edgemill_model::graph::{Graph, Op, ValueId, Window};
use edgemill_model::tensor::DType;

use super::{Lowering, low8, unplaced};
use crate::step::{Buffer, Step, Work};

/// A picture in memory.
pub(super) struct Framed {
    /// From its first pixel on.
    pub buffer: Buffer,
    /// Bytes from a row to the next.
    pub row: usize,
    /// Bytes from an image to the next.
    pub image: usize,
}

/// The border that the convolutions which read each value need; none where others read it too.
pub(super) fn wanted(graph: &Graph<'_>) -> Vec<Option<Border>> {
    let mut borders: Vec<Option<Border>> = vec![None; graph.values().len()];
    let mut others = vec![false; borders.len()];
    for (_, node) in graph.nodes() {
        for (place, &x) in node.inputs.iter().enumerate() {
            match &node.op {
                Op::Conv2d { window, .. } if place == 0 => {
                    let [_, height, width, channels] = picture(graph, x);
                    let own = border(window, height, width * channels, channels);
                    let known = &mut borders[x.index()];
                    *known = Some(known.map_or(own, |known| joined(known, own)));
                }
                _ => others[x.index()] = true,
            }
        }
    }
    graph.outputs().iter().for_each(|x| others[x.index()] = true);
    let needed = |border: &Border| border.bytes() > border.height * border.row;
    borders
        .into_iter()
        .zip(others)
        .map(|(border, others)| border.filter(|border| !others && needed(border)))
        .collect()
}

pub(super) fn border(window: &Window, height: usize, row: usize, channels: usize) -> Border {
    let [above, below] = window.rows.map(|n| n as usize);
    let [before, after] = window.columns.map(|n| n as usize * channels);
    Border { height, row, above, below, before, after }
}

fn picture(graph: &Graph<'_>, id: ValueId) -> [usize; 4] {
    let shape = &graph.value(id).spec().shape;
    std::array::from_fn(|axis| shape[axis] as usize)
}

/// The least border that has both within it.
fn joined(a: Border, b: Border) -> Border {
    Border {
        above: a.above.max(b.above),
        below: a.below.max(b.below),
        before: a.before.max(b.before),
        after: a.after.max(b.after),
        ..a
    }
}

/// Bytes from the border's first to the picture's first.
fn inside(border: &Border) -> usize {
    border.above * border.wide_row() + border.before
}

impl Lowering<'_> {
    /// The border that `id` is made with.
    pub(super) fn made_with(&self, id: ValueId) -> Option<Border> {
        let value = self.graph.value(id);
        let convolved = match value.node() {
            None => value.constant().is_none(),
            Some(node) => match node.op {
                Op::Conv2d { .. } => self.kernel.suits_rows(value.spec().shape[2] as usize),
                Op::MaxPool(_) => self.pool_of(node.inputs[0]).is_some(),
                _ => false,
            },
        };
        self.borders[id.index()].filter(|_| convolved && value.spec().dtype == DType::I8)
    }

    /// A place for the picture `id`, which is to be made next.
    pub(super) fn frame(&mut self, id: ValueId) -> Framed {
        let [batch, height, width, channels] = self.picture(id);
        let slot = self.give_buffer(id);
        let Some(border) = self.made_with(id) else {
            let row = width * channels;
            let image = height * row;
            return Framed { buffer: unplaced(slot, batch * image), row, image };
        };
        let output = unplaced(slot, batch * border.bytes());
        let work = Work::Surround { border, fill: self.fill(id), batch };
        self.push(Step { value: id, work, inputs: Vec::new(), output, parts: Vec::new() });
        Framed {
            buffer: output.from(inside(&border)),
            row: border.wide_row(),
            image: border.bytes(),
        }
    }

    /// `x` with its border, for `id`: what it was made with, or a copy; or `x` itself where there is none.
    pub(super) fn framed(
        &mut self,
        id: ValueId,
        x: ValueId,
        border: Border,
        batch: usize,
    ) -> Framed {
        let (row, image) = (border.wide_row(), border.bytes());
        if let Some(made) = self.made_with(x) {
            let skipped = inside(&made) - (border.above * made.wide_row() + border.before);
            let buffer = unplaced(self.slot(x), batch * made.bytes()).from(skipped);
            return Framed { buffer, row: made.wide_row(), image: made.bytes() };
        }
        let input = self.buffer(x);
        if image == border.height * border.row {
            return Framed { buffer: input, row, image };
        }
        let buffer = self.scratch(batch * image);
        let work = Work::Pad { border, fill: self.fill(x), batch };
        self.push(Step { value: id, work, inputs: vec![input], output: buffer, parts: Vec::new() });
        Framed { buffer, row, image }
    }

    /// The element around a picture.
    fn fill(&self, x: ValueId) -> u8 {
        low8(self.rule(x).zero_point)
    }

    /// Bytes of a value with the border that it is made with, and what it may be read beyond.
    pub(super) fn bytes(&self, id: ValueId) -> usize {
        let spec = self.graph.value(id).spec();
        let whole = self.made_with(id).map(|border| spec.shape[0] as usize * border.bytes());
        whole.unwrap_or(spec.bytes()) + SLACK
    }
}
