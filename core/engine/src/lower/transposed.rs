//! A transposed convolution as several plain ones. Places of the result that are as far beyond a multiple of the stride meet
//! the same taps: each such phase, of rows and of columns, is a convolution of its own, which writes pixels that lie a
//! stride apart.
use edgemill_kernels::int8::{Border, Convolution};
use edgemill_model::graph::{Node, Op, ValueId, Window};

use super::borders::Framed;
use super::{Lowering, unplaced};
use crate::step::{Convolve, Images};

/// Places along an axis that meet the same taps.
struct Phase {
    /// The first of them.
    first: usize,
    count: usize,
    taps: Vec<Tap>,
}

struct Tap {
    /// `None` if it is none, of weight 0.
    number: Option<usize>,
    /// The pixel that it meets at the phase's first place.
    pixel: isize,
}

/// The phases of an axis on which pixels that are `given` are spread over places that are `made`.
fn phases(window: &Window, dilation: [u32; 2], axis: usize, made: usize) -> Vec<Phase> {
    let stride = window.stride[axis] as usize;
    let cut = [window.rows, window.columns][axis][0] as usize;
    // A tap puts pixel i at i × stride + tap × dilation − cut.
    let tap = |first: usize, number: usize| {
        let spread = number * dilation[axis] as usize;
        let at = (first + cut).cast_signed() - spread.cast_signed();
        let stride = stride.cast_signed();
        let meets = at.rem_euclid(stride) == 0;
        meets.then(|| Tap { number: Some(number), pixel: at.div_euclid(stride) })
    };
    let phase = |first: usize| {
        // Later taps put earlier pixels there.
        let taps = (0..window.kernel[axis] as usize).rev().filter_map(|number| tap(first, number));
        let mut taps: Vec<_> = taps.collect();
        if taps.is_empty() {
            taps.push(Tap { number: None, pixel: 0 });
        }
        Phase { first, count: (made - first).div_ceil(stride), taps }
    };
    (0..stride.min(made)).map(phase).collect()
}

/// Pixels that are read before the picture and after it.
fn border(phases: &[Phase], given: usize) -> [usize; 2] {
    let read = |phase: &Phase| {
        let beyond = phase.count.cast_signed() - given.cast_signed();
        let pixels = phase.taps.iter().map(|tap| tap.pixel);
        let (least, most) = pixels.fold((0, 0), |(a, b), pixel| (a.min(pixel), b.max(pixel)));
        [-least, (most + beyond).max(0)].map(isize::cast_unsigned)
    };
    phases.iter().map(read).fold([0; 2], |a, b| [a[0].max(b[0]), a[1].max(b[1])])
}

impl Lowering<'_> {
    pub(super) fn transposed(&mut self, id: ValueId, node: &Node) {
        let Op::ConvTranspose2d { window, dilation, groups, clamp, .. } = &node.op else {
            unreachable!("the caller has seen what it is")
        };
        let (x, groups) = (node.inputs[0], *groups as usize);
        let [batch, height, width, channels] = self.picture(x);
        let [_, out_height, out_width, out_channels] = self.picture(id);
        let rows = phases(window, *dilation, 0, out_height);
        let columns = phases(window, *dilation, 1, out_width);
        let [above, below] = border(&rows, height);
        let [left, right] = border(&columns, width);
        let around = Border {
            height,
            row: width * channels,
            above,
            below,
            before: left * channels,
            after: right * channels,
        };
        let Framed { buffer: input, row, image } = self.framed(id, x, around, batch);
        let slot = self.give_buffer(id);
        let whole = unplaced(slot, self.graph.value(id).spec().bytes());
        let images = Images { batch, input: image, output: out_height * out_width * out_channels };
        let depth = channels / groups;
        for down in &rows {
            for across in &columns {
                let met = Met::new(window, [down, across], [above, left], [row, channels], groups);
                let job = Convolution {
                    height: down.count,
                    width: across.count,
                    row_step: row,
                    column_step: channels,
                    members: vec![0],
                    offsets: met.offsets,
                    segment: met.segment,
                    channels: out_channels / groups,
                    pixel_step: window.stride[1] as usize * out_channels,
                    out_row_step: window.stride[0] as usize * out_width * out_channels,
                    output: self.output(id, *clamp),
                    two_products_fit: self.two_products_fit(node),
                };
                let work = Convolve { job, groups, depth, packed: 0..0, images };
                let work = self.convolve(id, work);
                self.out.packings.last_mut().expect("it was packed just now").taps = met.taps;
                let first = (down.first * out_width + across.first) * out_channels;
                self.step_into(id, vec![input], work, whole.from(first));
            }
        }
    }
}

/// Where a phase's taps lie in the picture with its border, and which they are, row by row.
struct Met {
    offsets: Vec<usize>,
    segment: usize,
    taps: Option<Vec<Option<usize>>>,
}

impl Met {
    fn new(
        window: &Window,
        [down, across]: [&Phase; 2],
        border: [usize; 2],
        [row, channels]: [usize; 2],
        groups: usize,
    ) -> Self {
        let at = |axis: usize, tap: &Tap| border[axis].wrapping_add_signed(tap.pixel);
        let number = |a: &Tap, b: &Tap| Some(a.number? * window.kernel[1] as usize + b.number?);
        let across = &across.taps[..];
        let taps =
            down.taps.iter().flat_map(|a| across.iter().map(move |b| number(a, b))).collect();
        let neighbours = across.windows(2).all(|two| two[0].pixel + 1 == two[1].pixel);
        let (first, segment) = match groups {
            1 if neighbours => (&across[..1], across.len() * channels),
            _ => (across, channels / groups),
        };
        let offset = |a: &Tap, b: &Tap| at(0, a) * row + at(1, b) * channels;
        let offsets = down.taps.iter().flat_map(|a| first.iter().map(move |b| offset(a, b)));
        Self { offsets: offsets.collect(), segment, taps: Some(taps) }
    }
}
