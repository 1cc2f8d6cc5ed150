//! The one resampling routine: separable, in fixed point. Rows are blended first, in the frame's own bytes, then
//! columns; after each step 7 fractional bits are left, rounded half up.
use super::axis::Axis;
use super::kernel::Kernel;
use super::{Filter, Rect};

/// How the values of one plane follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    /// Y U Y V.
    Yuyv,
    /// The same, of which only Y is wanted.
    YuyvLuma,
    /// R G B.
    Rgb,
    /// One value a pixel.
    Single,
    /// U V, one pair for two by two pixels.
    Chroma,
}

impl Samples {
    /// Pixels of this plane that share a group of values, and how many values.
    const fn group(self) -> [usize; 2] {
        match self {
            Self::Yuyv | Self::YuyvLuma => [2, 4],
            Self::Rgb => [1, 3],
            Self::Single => [1, 1],
            Self::Chroma => [1, 2],
        }
    }

    /// Values that make whole groups and fit eight.
    const fn block(self) -> usize {
        if matches!(self, Self::Rgb) { 6 } else { 8 }
    }

    /// The order in which eight values of a row are weighed, so that neighbours are of the same component.
    pub const fn order(self) -> [u8; 8] {
        match self {
            Self::Yuyv => [0, 2, 4, 6, 1, 5, 3, 7],
            Self::Rgb => [0, 3, 1, 4, 2, 5, 6, 7],
            Self::Chroma => [0, 2, 4, 6, 1, 3, 5, 7],
            Self::YuyvLuma | Self::Single => [0, 1, 2, 3, 4, 5, 6, 7],
        }
    }

    /// The component that each of the four sums of neighbours belongs to.
    pub const fn sums(self) -> &'static [usize] {
        match self {
            Self::Yuyv => &[0, 0, 1, 2],
            Self::Rgb => &[0, 1, 2],
            Self::Chroma => &[0, 0, 1, 1],
            Self::YuyvLuma | Self::Single => &[0, 0, 0, 0],
        }
    }

    /// Components of a pixel that come out.
    pub const fn components(self) -> usize {
        match self {
            Self::Yuyv | Self::Rgb => 3,
            Self::YuyvLuma | Self::Single => 1,
            Self::Chroma => 2,
        }
    }

    /// Values of a pixel, counted from its group's first.
    fn values(self, pixel: usize) -> &'static [usize] {
        match (self, pixel % 2) {
            (Self::Yuyv, 0) => &[0, 1, 3],
            (Self::Yuyv, _) => &[2, 1, 3],
            (Self::YuyvLuma, 1) => &[2],
            (Self::YuyvLuma | Self::Single, _) => &[0],
            (Self::Rgb, _) => &[0, 1, 2],
            (Self::Chroma, _) => &[0, 1],
        }
    }
}

/// Pixels that are blended at once.
pub(super) const LANES: usize = 8;

/// For each output pixel of a row, where its window of values begins and what each value weighs.
pub(super) struct Columns {
    pub samples: Samples,
    /// Of the first value of each pixel's window; as many as the row is padded to.
    pub starts: Vec<usize>,
    /// Windows of eight values, each [`Samples::block`] values after the one before.
    pub blocks: usize,
    /// Eight for each pixel and block; see [`Columns::weights_at`].
    pub weights: Vec<i16>,
    /// Values that a row must have.
    pub reach: usize,
}

impl Columns {
    /// `axis` counts pixels of the plane; `origin` is the first that a row holds, on a group's boundary.
    fn new(samples: Samples, axis: &Axis, origin: usize) -> Self {
        let [pixels, values] = samples.group();
        let groups = |o: usize| {
            let (first, weights) = axis.of(o);
            (first / pixels, (first + weights.len()).div_ceil(pixels))
        };
        let widest = (0..axis.outputs()).map(|o| groups(o).1 - groups(o).0).max().unwrap_or(1);
        let blocks = (widest * values).div_ceil(samples.block());
        let width = padded(axis.outputs());
        let mut columns = Self {
            samples,
            starts: vec![0; width],
            blocks,
            weights: vec![0; width * blocks * 8],
            reach: 0,
        };
        for o in 0..axis.outputs() {
            columns.starts[o] = (groups(o).0 - origin / pixels) * values;
            columns.weigh(o, axis.of(o));
        }
        let last = columns.starts.iter().max().copied().unwrap_or_default();
        columns.reach = last + (blocks - 1) * samples.block() + 8;
        columns
    }

    fn weigh(&mut self, o: usize, (first, weights): (usize, &[i16])) {
        let ([pixels, values], block) = (self.samples.group(), self.samples.block());
        for (pixel, weight) in (first..).zip(weights) {
            let group = pixel / pixels - first / pixels;
            for value in self.samples.values(pixel) {
                let place = group * values + value;
                let order = self.samples.order();
                let lane = order.iter().position(|&v| usize::from(v) == place % block);
                let at = self.weights_at(o, place / block) + lane.unwrap_or_default();
                self.weights[at] += weight;
            }
        }
    }

    /// Where the eight weights of a pixel and block begin: of eight pixels, the first and the fifth lie side by side,
    /// then the second and the sixth, …, so that one load of 32 bytes takes two pixels to two halves of a register.
    pub fn weights_at(&self, pixel: usize, block: usize) -> usize {
        let (group, lane) = (pixel / LANES, pixel % LANES);
        ((group * self.blocks + block) * LANES + lane % 4 * 2 + lane / 4) * 8
    }

    /// Values from one block to the next.
    pub fn step(&self) -> usize {
        self.samples.block()
    }
}

/// A row's pixels, and as many more as make whole vectors.
pub(super) const fn padded(width: usize) -> usize {
    width.next_multiple_of(2 * LANES)
}

/// One plane of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// From its first row on.
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// The rows that one output row is made of: the same bytes of each.
pub(super) struct Rows<'a> {
    bytes: &'a [u8],
    stride: usize,
    length: usize,
}

#[allow(dead_code, reason = "not every kernel goes round the checks of `get`")]
impl<'a> Rows<'a> {
    pub fn get(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.stride..][..self.length]
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    /// # Panics
    /// Unless there are `count` rows of at least `length` bytes each.
    pub fn check(&self, count: usize, length: usize) {
        assert!(self.get(count - 1).len() >= length, "rows are shorter than what is blended");
    }
}

/// Resamples a region of a plane, one output row at a time, without allocating.
pub(super) struct Resampler {
    rows: Axis,
    columns: Columns,
    /// Bytes of an input row that are read.
    from: usize,
    length: usize,
    blended: Vec<u16>,
    kernel: Kernel,
}

impl Resampler {
    /// From `region` of a frame to `width` × `height`; all in pixels of the frame and within `MAX_SIDE`.
    pub fn new(
        samples: Samples,
        region: Rect,
        [width, height]: [usize; 2],
        filter: Filter,
        kernel: Kernel,
    ) -> Self {
        let across = Axis::new(region.x, region.width, width, filter);
        let down = Axis::new(region.y, region.height, height, filter);
        let (mut left, mut right) = (region.x, region.x + region.width);
        let (across, down) = match samples {
            Samples::Chroma => {
                (left, right) = (left / 2, right.div_ceil(2));
                (across.paired(), down.paired())
            }
            _ => (across, down),
        };
        let [pixels, values] = samples.group();
        let groups = left / pixels..right.div_ceil(pixels);
        let columns = Columns::new(samples, &across, groups.start * pixels);
        let length = groups.len() * values;
        Self {
            rows: down,
            from: groups.start * values,
            length,
            blended: vec![0; length.max(columns.reach)],
            columns,
            kernel,
        }
    }

    /// Components of a pixel that [`Self::row`] writes.
    pub fn components(&self) -> usize {
        self.columns.samples.components()
    }

    /// Writes row `y` of the output: each component on its own, [`padded`] pixels of it, with 7 fractional bits.
    /// The caller has checked that the plane is large enough.
    pub fn row(&mut self, plane: Plane<'_>, y: usize, out: &mut [u16]) {
        let (first, weights) = self.rows.of(y);
        let bytes = &plane.bytes[first * plane.stride + self.from..];
        let rows = Rows { bytes, stride: plane.stride, length: self.length };
        self.kernel.blend_rows(&rows, weights, &mut self.blended[..self.length]);
        self.kernel.blend_columns(&self.columns, &self.blended, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_size_is_unchanged() {
        let bytes: Vec<u8> = (0..12 * 5).map(|i| i * 4).collect();
        for kernel in Kernel::available() {
            let whole = Rect::whole(4, 5);
            let mut same = Resampler::new(Samples::Rgb, whole, [4, 5], Filter::Area, kernel);
            let mut out = [0; 3 * padded(4)];
            for y in 0..5 {
                same.row(Plane { bytes: &bytes, stride: 12 }, y, &mut out);
                for (i, &byte) in bytes[y * 12..][..12].iter().enumerate() {
                    assert_eq!(out[i % 3 * padded(4) + i / 3], u16::from(byte) << 7);
                }
            }
        }
    }
}
