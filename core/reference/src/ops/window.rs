//! The sliding window that convolution and pooling share, over pictures laid out as batch, height, width, channel.
use candle_core::{Result, bail};
use edgemill_model::graph::Window;

/// A window over pictures of a known size. Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Rows of nothing above, columns of nothing to the left.
    border: [usize; 2],
    pub batch: usize,
    pub input: [usize; 2],
    pub channels: usize,
    pub output: [usize; 2],
}

impl Sweep {
    pub fn new(window: &Window, dilation: [u32; 2], dims: &[usize]) -> Result<Self> {
        let &[batch, height, width, channels] = dims else {
            bail!("a window needs a batch × height × width × channel tensor, not {dims:?}");
        };
        let [kernel, stride, dilation, rows, columns] =
            [window.kernel, window.stride, dilation, window.rows, window.columns]
                .map(|pair| pair.map(|n| n as usize));
        let input = [height, width];
        let mut output = [0; 2];
        for (axis, added) in [rows, columns].into_iter().enumerate() {
            let covered = (kernel[axis] - 1) * dilation[axis] + 1;
            let size = input[axis] + added[0] + added[1];
            if covered > size {
                bail!("a window of {covered} pixels does not fit into {size} pixels");
            }
            output[axis] = (size - covered) / stride[axis] + 1;
        }
        let border = [rows[0], columns[0]];
        Ok(Self { kernel, stride, dilation, border, batch, input, channels, output })
    }

    /// Windows in the whole batch.
    pub const fn windows(&self) -> usize {
        self.batch * self.output[0] * self.output[1]
    }

    /// Values under one window.
    pub const fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels
    }

    pub const fn input_len(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels
    }

    /// Calls `run(window, tap, pixel, count)` for each stretch of `count` neighbouring taps of one window whose pixels
    /// are neighbours too and lie within the picture. `pixel` counts through the whole batch.
    pub fn for_each_run(&self, mut run: impl FnMut(usize, usize, usize, usize)) {
        let [height, width] = self.input;
        let [top, left] = self.border;
        let stretch = if self.dilation[1] == 1 { self.kernel[1] } else { 1 };
        for window in 0..self.windows() {
            let (x, rest) = (window % self.output[1], window / self.output[1]);
            let (y, picture) = (rest % self.output[0], rest / self.output[0]);
            for ky in 0..self.kernel[0] {
                let row = y * self.stride[0] + ky * self.dilation[0];
                if row < top || row - top >= height {
                    continue;
                }
                let line = (picture * height + row - top) * width;
                for kx in (0..self.kernel[1]).step_by(stretch) {
                    let column = x * self.stride[1] + kx * self.dilation[1];
                    let first = left.saturating_sub(column);
                    let last = stretch.min((width + left).saturating_sub(column));
                    if first < last {
                        let tap = ky * self.kernel[1] + kx + first;
                        run(window, tap, line + column + first - left, last - first);
                    }
                }
            }
        }
    }

    /// The same sweep over another number of pictures.
    pub const fn over(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// One row for each window, the values under it in order of tap and channel. What lies outside the picture is left
    /// as it is in `columns`.
    pub fn im2col(&self, input: &[f32], columns: &mut [f32]) {
        let (depth, channels) = (self.depth(), self.channels);
        self.for_each_run(|window, tap, pixel, count| {
            let at = window * depth + tap * channels;
            columns[at..at + count * channels]
                .copy_from_slice(&input[pixel * channels..(pixel + count) * channels]);
        });
    }

    /// The transpose of [`Sweep::im2col`]: adds what every window says about a pixel.
    pub fn col2im(&self, columns: &[f32], input: &mut [f32]) {
        let (depth, channels) = (self.depth(), self.channels);
        self.for_each_run(|window, tap, pixel, count| {
            let at = window * depth + tap * channels;
            let values = &columns[at..at + count * channels];
            for (sum, value) in input[pixel * channels..].iter_mut().zip(values) {
                *sum += value;
            }
        });
    }
}
