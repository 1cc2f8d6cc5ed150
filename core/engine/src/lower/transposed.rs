//! A transposed convolution as a plain one: the picture's pixels are set apart by the stride, with real zeros between
//! and around them, and the taps are turned round.
use edgemill_kernels::int8::Convolution;
use edgemill_model::graph::{Node, Op, ValueId};

use super::convolution::Taps;
use super::{Lowering, low8};
use crate::moves::Move;
use crate::step::{Convolve, Images, Work};

/// Along one axis.
struct Spread {
    /// Places with the zeros.
    length: usize,
    /// Pixels, and where each comes to stand.
    places: Vec<(usize, usize)>,
}

impl Lowering<'_> {
    pub(super) fn transposed(&mut self, id: ValueId, node: &Node) {
        let Op::ConvTranspose2d { window, dilation, groups, clamp, .. } = &node.op else {
            unreachable!("the caller has seen what it is")
        };
        let (x, groups) = (node.inputs[0], *groups as usize);
        let [batch, height, width, channels] = self.picture(x);
        let [_, out_height, out_width, out_channels] = self.picture(id);
        let cut = [window.rows[0], window.columns[0]];
        let spread = |axis: usize, given: usize, made: usize| {
            let reach = (window.kernel[axis] - 1) as usize * dilation[axis] as usize;
            let place = |i: usize| {
                let at = (i * window.stride[axis] as usize + reach).checked_sub(cut[axis] as usize);
                at.map(|at| (i, at)).filter(|&(_, at)| at < made + reach)
            };
            Spread { length: made + reach, places: (0..given).filter_map(place).collect() }
        };
        let (rows, columns) = (spread(0, height, out_height), spread(1, width, out_width));
        let wide_row = columns.length * channels;
        let taps = Taps::new(window, *dilation, channels, groups, wide_row);
        let images = Images {
            batch,
            input: rows.length * wide_row,
            output: out_height * out_width * out_channels,
        };
        let moved = Move::new(
            1,
            [
                (0..batch).map(|i| [i * height * width * channels, i * images.input]).collect(),
                rows.places.iter().map(|&(i, at)| [i * width * channels, at * wide_row]).collect(),
                columns.places.iter().map(|&(i, at)| [i * channels, at * channels]).collect(),
                (0..channels).map(|i| [i, i]).collect(),
            ],
        );
        let zero = low8(self.rule(x).zero_point) ^ self.kernel.flip();
        let input = self.buffer(x);
        let wide = self.scratch(batch * images.input);
        self.step_into(id, vec![input], Work::Move(moved.over(vec![zero])), wide);
        let job = Convolution {
            height: out_height,
            width: out_width,
            row_step: wide_row,
            column_step: channels,
            members: vec![0],
            offsets: taps.offsets,
            segment: taps.segment,
            channels: out_channels / groups,
            pixel_step: out_channels,
            out_row_step: out_width * out_channels,
            output: self.output(id, *clamp),
            two_products_fit: self.two_products_fit(node),
        };
        let depth = channels / groups;
        let work = self.convolve(id, Convolve { job, groups, depth, packed: 0..0, images });
        self.out.packings.last_mut().expect("it was packed just now").turned = true;
        self.step_from(id, vec![wide], work);
    }
}
