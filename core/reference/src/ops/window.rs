//! The sliding window that convolution and pooling share, over pictures laid out as batch, height, width, channel.
use candle_core::{Result, bail};

/// Where a window goes. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Size in taps, each at least 1.
    pub kernel: [usize; 2],
    /// Step from one output to the next in input pixels, each at least 1.
    pub stride: [usize; 2],
    /// Distance of neighbouring taps in input pixels, each at least 1.
    pub dilation: [usize; 2],
    /// Pixels of nothing added at top, left, bottom and right.
    pub padding: [usize; 4],
}

impl Window {
    /// Stride 1, no dilation, no padding.
    #[must_use]
    pub const fn valid(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1, 1], dilation: [1, 1], padding: [0; 4] }
    }

    /// Neighbouring windows touch and do not overlap: what pooling does.
    #[must_use]
    pub const fn tiled(kernel: [usize; 2]) -> Self {
        Self { stride: kernel, ..Self::valid(kernel) }
    }

    pub(crate) const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// A window over pictures of a known size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub window: Window,
    pub batch: usize,
    pub input: [usize; 2],
    pub channels: usize,
    pub output: [usize; 2],
}

impl Sweep {
    pub fn new(window: Window, dims: &[usize]) -> Result<Self> {
        let &[batch, height, width, channels] = dims else {
            bail!("a window needs a batch × height × width × channel tensor, not {dims:?}");
        };
        let [top, left, bottom, right] = window.padding;
        let input = [height, width];
        let padded = [height + top + bottom, width + left + right];
        let mut output = [0; 2];
        for axis in 0..2 {
            let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
            if reach > padded[axis] {
                bail!("a window of {reach} pixels does not fit into {} pixels", padded[axis]);
            }
            output[axis] = (padded[axis] - reach) / window.stride[axis] + 1;
        }
        Ok(Self { window, batch, input, channels, output })
    }

    /// Windows in the whole batch.
    pub const fn windows(&self) -> usize {
        self.batch * self.output[0] * self.output[1]
    }

    /// Values under one window.
    pub const fn depth(&self) -> usize {
        self.window.taps() * self.channels
    }

    pub const fn input_len(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels
    }

    /// Calls `run(window, tap, pixel, count)` for each stretch of `count` neighbouring taps of one window whose pixels
    /// are neighbours too and lie within the picture. `pixel` counts through the whole batch.
    pub fn for_each_run(&self, mut run: impl FnMut(usize, usize, usize, usize)) {
        let [height, width] = self.input;
        let [top, left, ..] = self.window.padding;
        let stretch = if self.window.dilation[1] == 1 { self.window.kernel[1] } else { 1 };
        for window in 0..self.windows() {
            let (x, rest) = (window % self.output[1], window / self.output[1]);
            let (y, picture) = (rest % self.output[0], rest / self.output[0]);
            for ky in 0..self.window.kernel[0] {
                let row = y * self.window.stride[0] + ky * self.window.dilation[0];
                if row < top || row - top >= height {
                    continue;
                }
                let line = (picture * height + row - top) * width;
                for kx in (0..self.window.kernel[1]).step_by(stretch) {
                    let column = x * self.window.stride[1] + kx * self.window.dilation[1];
                    let first = left.saturating_sub(column);
                    let last = stretch.min((width + left).saturating_sub(column));
                    if first < last {
                        let tap = ky * self.window.kernel[1] + kx + first;
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
