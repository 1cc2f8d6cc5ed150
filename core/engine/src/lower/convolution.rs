//! Convolutions and dense layers.
use edgemill_kernels::int8::{Convolution, Depthwise, MAX_MEMBERS};
use edgemill_model::graph::{Clamp, Node, Op, ValueId, Window};

use super::borders::{Framed, border};
use super::{Lowering, Readers};
use crate::EngineError;
use crate::pack::Shape;
use crate::step::{Convolve, Images, Work};

impl Lowering<'_> {
    pub(super) fn convolution(
        &mut self,
        id: ValueId,
        node: &Node,
        window: &Window,
        dilation: [u32; 2],
        groups: usize,
        clamp: Clamp,
    ) -> Result<(), EngineError> {
        let x = node.inputs[0];
        let [batch, height, width, channels] = self.picture(x);
        let pool = self.pool_of(id);
        let (made, pool) = pool.unwrap_or((id, Window::valid(1, 1)));
        let [_, out_height, out_width, out_channels] = self.picture(made);
        let own = border(window, height, width * channels, channels);
        let Framed { buffer: input, row, image } = self.framed(id, x, own, batch);
        let taps = Taps::new(window, dilation, channels, groups, row);
        let down = window.stride[0] as usize * row;
        let right = window.stride[1] as usize * channels;
        let output = self.frame(made);
        let job = Convolution {
            height: out_height,
            width: out_width,
            row_step: pool.stride[0] as usize * down,
            column_step: pool.stride[1] as usize * right,
            members: places(pool.kernel, down, right).collect(),
            offsets: taps.offsets,
            segment: taps.segment,
            channels: out_channels / groups,
            pixel_step: out_channels,
            out_row_step: output.row,
            output: self.output(id, clamp),
            two_products_fit: self.two_products_fit(node),
        };
        let images = Images { batch, input: image, output: output.image };
        let depth = channels / groups;
        let work = if self.is_depthwise(id) {
            self.depthwise(id, &job, window, dilation, row, images)
        } else {
            self.convolve(id, Convolve { job, groups, depth, packed: 0..0, images })
        };
        self.step_into(made, vec![input], work, output.buffer);
        Ok(())
    }

    /// The max pool that can be made along with the convolution `id`: the only reader, of whole small windows that do
    /// not overlap. None where it takes each channel on its own.
    pub(super) fn pool_of(&self, id: ValueId) -> Option<(ValueId, Window)> {
        let made = self.graph.value(id).node()?;
        if !matches!(made.op, Op::Conv2d { .. }) || self.is_depthwise(id) {
            return None;
        }
        let Readers::One(pool) = self.readers[id.index()] else { return None };
        let Op::MaxPool(window) = self.graph.value(pool).node()?.op else { return None };
        let [rows, columns] = window.kernel;
        let small = (rows as usize).saturating_mul(columns as usize) <= MAX_MEMBERS;
        let apart = window.stride[0] >= rows && window.stride[1] >= columns;
        let whole = [window.rows, window.columns] == [[0; 2]; 2];
        (small && apart && whole).then_some((pool, window))
    }

    /// Whether `id` is made of each channel on its own.
    fn is_depthwise(&self, id: ValueId) -> bool {
        let Some(Node { op: Op::Conv2d { groups, .. }, inputs }) = self.graph.value(id).node()
        else {
            return false;
        };
        let groups = *groups as usize;
        groups > 1 && [inputs[0], id].iter().all(|&x| self.picture(x)[3] == groups)
    }

    fn depthwise(
        &mut self,
        id: ValueId,
        job: &Convolution,
        window: &Window,
        dilation: [u32; 2],
        row: usize,
        images: Images,
    ) -> Work {
        let channels = job.pixel_step;
        let [down, right] = dilation.map(|d| d as usize);
        let mut taps = window.kernel.map(|k| k as usize);
        let mut tap_steps = [down * row, right * channels];
        // A kernel takes taps below each other in groups: those of a single row lie as if below each other.
        if taps[0] == 1 {
            taps.reverse();
            tap_steps.reverse();
        }
        let job = Depthwise {
            height: job.height,
            width: job.width,
            row_step: job.row_step,
            column_step: job.column_step,
            taps,
            tap_steps,
            channels,
            pixel_step: job.pixel_step,
            out_row_step: job.out_row_step,
            output: job.output,
        };
        let bytes = self.kernel.depthwise_bytes(&job);
        let packed = self.pack(id, Shape::Depthwise(job.clone()), bytes);
        Work::Depthwise { job, packed, images }
    }

    pub(super) fn dense(
        &mut self,
        id: ValueId,
        node: &Node,
        clamp: Clamp,
    ) -> Result<(), EngineError> {
        let shape = &self.graph.value(node.inputs[0]).spec().shape;
        let (batch, elements) = (shape[0] as usize, shape[1] as usize);
        let channels = self.graph.value(id).spec().shape[1] as usize;
        let job = Convolution {
            height: batch,
            width: 1,
            row_step: elements,
            column_step: 0,
            members: vec![0],
            offsets: vec![0],
            segment: elements,
            channels,
            pixel_step: channels,
            out_row_step: channels,
            output: self.output(id, clamp),
            two_products_fit: self.two_products_fit(node),
        };
        let images = Images { batch: 1, input: batch * elements, output: batch * channels };
        let whole = Convolve { job, groups: 1, depth: elements, packed: 0..0, images };
        let work = self.convolve(id, whole);
        self.step(id, &node.inputs[..1], work)
    }

    pub(super) fn convolve(&mut self, id: ValueId, work: Convolve) -> Work {
        let Convolution { channels, segment, ref offsets, .. } = work.job;
        let (groups, segments) = (work.groups, offsets.len());
        let bytes = self.kernel.panels().packed_bytes(channels, segments, segment);
        let shape = Shape::Dense { groups, channels, segments, segment };
        Work::Convolve(Convolve { packed: self.pack(id, shape, groups * bytes), ..work })
    }

    pub(super) fn two_products_fit(&self, node: &Node) -> bool {
        let weights = self.graph.value(node.inputs[1]).constant();
        weights.is_some_and(|weights| !weights.data().contains(&0x80))
    }
}

/// Where the taps of a window lie in a picture with its border.
pub(super) struct Taps {
    pub offsets: Vec<usize>,
    pub segment: usize,
}

impl Taps {
    /// A row of taps is one segment where they are neighbours; else every tap is one.
    pub fn new(
        window: &Window,
        dilation: [u32; 2],
        channels: usize,
        groups: usize,
        row: usize,
    ) -> Self {
        let [rows, columns] = window.kernel.map(|k| k as usize);
        let [down, right] = dilation.map(|d| d as usize);
        if groups == 1 && (right == 1 || columns == 1) {
            let offsets = (0..rows).map(|y| y * down * row).collect();
            return Self { offsets, segment: columns * channels };
        }
        let offsets = places(window.kernel, down * row, right * channels).collect();
        Self { offsets, segment: channels / groups }
    }
}

/// Bytes from the first place of a window to each, row by row.
fn places([rows, columns]: [u32; 2], down: usize, right: usize) -> impl Iterator<Item = usize> {
    let (rows, columns) = (rows as usize, columns as usize);
    (0..rows).flat_map(move |y| (0..columns).map(move |x| y * down + x * right))
}
