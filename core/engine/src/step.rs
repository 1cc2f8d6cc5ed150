//! One piece of a run.
use std::ops::Range;

use edgemill_kernels::int8::{
    self, Border, Convolution, Depthwise, Elementwise, Kernel, Matrices, Mean, Output, Pair,
    Panels, Pool, Resize, Spread,
};
use edgemill_kernels::team::Team;
use edgemill_model::graph::ValueId;

use crate::arena::Slot;
use crate::general::{General, Two};
use crate::moves::Move;
use crate::real::{Real, RealPair};
use crate::share::{self, Part};

/// What is done, from where to where.
pub(crate) struct Step {
    /// The value that it makes, or prepares a border for.
    pub value: ValueId,
    pub work: Work,
    pub inputs: Vec<Buffer>,
    pub output: Buffer,
    /// The same work for several threads; none where one does it.
    pub parts: Vec<Part>,
}

/// A part of the arena; its start is known when all are placed.
#[derive(Clone, Copy)]
pub(crate) struct Buffer {
    pub slot: Slot,
    /// Bytes of the slot that lie before it.
    pub skipped: usize,
    pub start: usize,
    pub bytes: usize,
}

impl Buffer {
    /// Without its first bytes.
    pub fn from(self, skipped: usize) -> Self {
        Self { skipped: self.skipped + skipped, bytes: self.bytes - skipped, ..self }
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.bytes
    }
}

/// The kinds of work. Pictures come in batches of images of equal size. `Surround` fills the border around what the next step
/// makes.
pub(crate) enum Work {
    Pad { border: Border, fill: u8, batch: usize },
    Surround { border: Border, fill: u8, batch: usize },
    Convolve(Convolve),
    Depthwise { job: Depthwise, packed: Range<usize>, images: Images },
    MaxPool { pool: Pool, images: Images },
    AveragePool { pool: Pool, mean: Mean, images: Images },
    Pairs { pair: Pair, spread: Spread, output: Output },
    Resize { resize: Resize, images: Images },
    Translate(Box<[u8; 256]>),
    Move(Move),
    General(General),
    Two(Two),
    Matrices(Matrices),
    Real(Real),
    RealPair(RealPair),
    Softmax { axis: usize, table: Box<[f32; 256]>, scale: f32, output: Output },
    Quantize { scale: f32, output: Output },
    Dequantize { scale: f32, zero_point: i32 },
}

/// A convolution of each group of channels of each image.
pub(crate) struct Convolve {
    pub job: Convolution,
    pub groups: usize,
    /// Channels of a group's input.
    pub depth: usize,
    pub packed: Range<usize>,
    pub images: Images,
}

/// How many, and how many bytes lie from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Images {
    pub batch: usize,
    pub input: usize,
    pub output: usize,
}

impl Images {
    /// Calls `run` with where each image's input and output begin.
    fn each(self, mut run: impl FnMut(usize, usize)) {
        for image in 0..self.batch {
            run(image * self.input, image * self.output);
        }
    }
}

impl Step {
    pub fn place(&mut self, starts: &[usize]) {
        for buffer in self.inputs.iter_mut().chain([&mut self.output]) {
            buffer.start = starts[buffer.slot.0] + buffer.skipped;
        }
    }

    /// Divides the work among so many threads; its filter is in such panels.
    pub fn divide(&mut self, threads: usize, panels: Panels) {
        self.parts = share::divide(&self.work, self.output.bytes, threads, panels);
    }

    pub fn run(
        &self,
        kernel: &dyn Kernel,
        team: &mut Option<Team>,
        weights: &[u8],
        arena: &mut [u8],
    ) {
        const APART: &str = "the plan places buffers of a step apart";
        let y = self.output.range();
        let (inputs, y): ([&[u8]; 2], _) = match &self.inputs[..] {
            [] => return self.work.fill(kernel, &mut arena[y]),
            [x] => {
                let [x, y] = arena.get_disjoint_mut([x.range(), y]).expect(APART);
                ([x, &[]], y)
            }
            [a, b] if a.start == b.start => {
                let [a, y] = arena.get_disjoint_mut([a.range(), y]).expect(APART);
                ([a, a], y)
            }
            [a, b] => {
                let [a, b, y] = arena.get_disjoint_mut([a.range(), b.range(), y]).expect(APART);
                ([a, b], y)
            }
            _ => unreachable!("a step has at most two inputs"),
        };
        match team {
            Some(team) if !self.parts.is_empty() => {
                share::run(&self.parts, team, kernel, weights, inputs, y);
            }
            _ => self.work.run(kernel, weights, inputs, y),
        }
    }
}

impl Work {
    /// Of a work with one input, the second is empty.
    pub fn run(&self, kernel: &dyn Kernel, weights: &[u8], [x, b]: [&[u8]; 2], y: &mut [u8]) {
        let flip = kernel.flip();
        match self {
            Self::Pad { border, fill, batch } => {
                let (input, output) = (border.height * border.row, border.bytes());
                let images = Images { batch: *batch, input, output };
                images.each(|i, o| int8::pad(border, fill ^ flip, &x[i..], &mut y[o..]));
            }
            Self::Convolve(work) => work.run(kernel, weights, x, y),
            Self::Depthwise { job, packed, images } => {
                let packed = &weights[packed.clone()];
                images.each(|i, o| kernel.depthwise(job, packed, &x[i..], &mut y[o..]));
            }
            Self::MaxPool { pool, images } => images.each(|i, o| {
                kernel.elementwise(Elementwise::MaxPool { pool, x: &x[i..], y: &mut y[o..] });
            }),
            Self::AveragePool { pool, mean, images } => images.each(|i, o| {
                let (mean, x, y) = (*mean, &x[i..], &mut y[o..]);
                kernel.elementwise(Elementwise::AveragePool { pool, mean, x, y });
            }),
            Self::Translate(table) => {
                let x = &x[..y.len()];
                kernel.elementwise(Elementwise::Translate { table, x, y });
            }
            Self::Resize { resize, images } => images.each(|i, o| {
                kernel.elementwise(Elementwise::Resize { resize, x: &x[i..], y: &mut y[o..] });
            }),
            Self::Softmax { axis, table, scale, output } => {
                int8::softmax(flip, *axis, table, *scale, *output, x, y);
            }
            Self::Quantize { scale, output } => {
                let (scale, output) = (*scale, *output);
                kernel.elementwise(Elementwise::Quantize { scale, output, x, y });
            }
            Self::Dequantize { scale, zero_point } => {
                let (scale, zero_point) = (*scale, *zero_point);
                kernel.elementwise(Elementwise::Dequantize { scale, zero_point, x, y });
            }
            Self::Move(work) => work.run(x, y),
            Self::General(work) => work.run(flip, x, y),
            Self::Real(work) => work.run(x, y),
            Self::Pairs { pair, spread, output } => {
                let (pair, output, sides) = (*pair, *output, [x, b]);
                kernel.elementwise(Elementwise::Pairs { pair, output, spread, sides, y });
            }
            Self::Two(work) => work.run(flip, x, b, y),
            Self::RealPair(work) => work.run(x, b, y),
            Self::Matrices(matrices) => {
                kernel.elementwise(Elementwise::Matrices { matrices, sides: [x, b], y });
            }
            Self::Surround { .. } => unreachable!("it has no input"),
        }
    }

    fn fill(&self, kernel: &dyn Kernel, y: &mut [u8]) {
        let Self::Surround { border, fill, batch } = self else { unreachable!("it has an input") };
        for image in y.chunks_exact_mut(border.bytes()).take(*batch) {
            surround(border, fill ^ kernel.flip(), image);
        }
    }

    /// What it is called in a profile.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pad { .. } | Self::Surround { .. } => "border",
            Self::Convolve(_) => "convolution",
            Self::Depthwise { .. } => "depthwise",
            Self::MaxPool { .. } => "max pool",
            Self::AveragePool { .. } => "average pool",
            Self::Pairs { pair, .. } => pair_name(*pair),
            Self::Resize { .. } => "resize",
            Self::Translate(_) => "table",
            Self::Move(_) => "move",
            Self::General(work) => work.name(),
            Self::Two(work) => work.name(),
            Self::Real(work) => work.name(),
            Self::RealPair(_) => "real pair",
            Self::Matrices(_) => "matrices",
            Self::Softmax { .. } => "softmax",
            Self::Quantize { .. } => "quantize",
            Self::Dequantize { .. } => "dequantize",
        }
    }

    /// Multiplications of a weight by an element.
    pub fn macs(&self) -> u64 {
        let product = |counts: &[usize]| counts.iter().map(|&n| n as u64).product();
        match self {
            Self::Convolve(Convolve { job, groups, images, .. }) => product(&[
                images.batch * job.height * job.width * job.members.len(),
                job.offsets.len() * job.segment * job.channels * groups,
            ]),
            Self::Depthwise { job, images, .. } => product(&[
                images.batch * job.height * job.width,
                job.taps[0] * job.taps[1] * job.channels,
            ]),
            _ => 0,
        }
    }

    /// Bytes that the work may read beyond its input's elements.
    pub const fn slack(&self) -> usize {
        if matches!(self, Self::Convolve(_) | Self::Depthwise { .. }) { int8::SLACK } else { 0 }
    }
}

/// Fills the border of a picture.
pub(crate) fn surround(border: &Border, fill: u8, y: &mut [u8]) {
    let (wide, between) = (border.wide_row(), border.after + border.before);
    let first = border.above * wide + border.before;
    y[..first].fill(fill);
    let after = &mut y[first + border.row..border.bytes()];
    if between > 0 {
        let rows = after.chunks_mut(wide).take(border.height - 1);
        rows.for_each(|row| row[..between].fill(fill));
    }
    after[(border.height - 1) * wide..].fill(fill);
}

const fn pair_name(pair: Pair) -> &'static str {
    match pair {
        Pair::Add(..) => "add",
        Pair::Multiply { .. } => "multiply",
        Pair::Real { .. } => "pair",
    }
}

impl Convolve {
    fn run(&self, kernel: &dyn Kernel, weights: &[u8], x: &[u8], y: &mut [u8]) {
        let packed = &weights[self.packed.clone()];
        let bytes = packed.len() / self.groups;
        self.images.each(|i, o| {
            for (group, packed) in packed.chunks_exact(bytes).enumerate() {
                let x = &x[i + group * self.depth..];
                let y = &mut y[o + group * self.job.channels..];
                kernel.convolve(&self.job, packed, x, y);
            }
        });
    }
}
