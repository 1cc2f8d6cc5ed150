//! A convolution as every kernel sees it, and the cutting of its output into tiles.
use super::packing::{Panel, Panels, whole_steps};
use super::rounding::Output;

/// Bytes that a convolution may read beyond the last element of a window: a vector, less one element.
pub const SLACK: usize = 63;

/// The most sums that one output pixel is the greatest of.
pub const MAX_MEMBERS: usize = 4;

/// The most windows in a tile.
pub(super) const MAX_ROWS: usize = 14;

/// A window's sum, from byte b of the input on, is the sum over segments s of the products of the `segment` elements
/// from byte b + `offsets[s]` on with the weights of that segment. Output pixel (i, j) is made of the greatest of the
/// sums from i × `row_step` + j × `column_step` + m on, for every m of `members`.
///
/// This is a convolution over a picture that already has its border, followed by a max pool where there are several
/// members: multipliers are above 0, so that the greatest sum makes the greatest element. A dense layer is one of a
/// single segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Rows of output pixels.
    pub height: usize,
    /// Output pixels of a row.
    pub width: usize,
    /// Bytes.
    pub row_step: usize,
    /// Bytes.
    pub column_step: usize,
    /// Bytes; 1 to [`MAX_MEMBERS`] of them.
    pub members: Vec<usize>,
    /// Bytes.
    pub offsets: Vec<usize>,
    /// Elements.
    pub segment: usize,
    /// Output channels.
    pub channels: usize,
    /// Bytes from an output pixel to the next.
    pub pixel_step: usize,
    /// Bytes from a row of output pixels to the next.
    pub out_row_step: usize,
    /// What comes out.
    pub output: Output,
    /// No weight is -128, so that the products of two with any elements can be added in 16 bits.
    pub two_products_fit: bool,
}

impl Convolution {
    /// Bytes of the input that are read; `usize::MAX` where they cannot be counted.
    #[must_use]
    pub fn input_bytes(&self) -> usize {
        let most = |offsets: &[usize]| offsets.iter().max().copied().unwrap_or(0);
        let down = self.height.saturating_sub(1).saturating_mul(self.row_step);
        let right = self.width.saturating_sub(1).saturating_mul(self.column_step);
        [right, most(&self.members), most(&self.offsets), whole_steps(self.segment)]
            .into_iter()
            .fold(down, usize::saturating_add)
    }

    /// Bytes of the output, from the first that is written to the last; `usize::MAX` where they cannot be counted.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        let down = self.height.saturating_sub(1).saturating_mul(self.out_row_step);
        let right = self.width.saturating_sub(1).saturating_mul(self.pixel_step);
        down.saturating_add(right).saturating_add(self.channels)
    }

    pub(super) fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// A convolution's job and its memory, which has been checked to be large enough for it: every byte that a
/// tile of [`Operands::tiles`] names lies in it.
pub(super) struct Operands<'a> {
    pub job: &'a Convolution,
    pub packed: &'a [u8],
    pub x: &'a [u8],
    pub y: &'a mut [u8],
    panels: Panels,
}

/// One panel's columns of a few output pixels.
pub(super) struct Tile {
    pub panel: Panel,
    /// Windows.
    pub rows: usize,
    base: usize,
    out: usize,
    steps: Steps,
}

impl Tile {
    /// Where a window begins in `x`, every pixel's members side by side. Beyond `rows`, where there are fewer than a tile
    /// may have, the last is repeated.
    #[inline(always)]
    pub fn base(&self, row: usize) -> usize {
        self.base + self.steps.bases[row]
    }

    /// Where a pixel's columns begin in `y`.
    #[inline(always)]
    pub fn out(&self, pixel: usize) -> usize {
        self.out + self.steps.outs[pixel]
    }
}

impl<'a> Operands<'a> {
    /// # Panics
    /// If a slice is too small.
    pub fn new(
        job: &'a Convolution,
        panels: Panels,
        packed: &'a [u8],
        x: &'a [u8],
        y: &'a mut [u8],
    ) -> Self {
        assert!((1..=MAX_MEMBERS).contains(&job.members.len()), "{} members", job.members.len());
        let needed = panels.packed_bytes(job.channels, job.offsets.len(), job.segment);
        assert!(packed.len() >= needed, "{} bytes of weights, {needed} needed", packed.len());
        assert!(x.len() >= job.input_bytes(), "{} bytes in, {} needed", x.len(), job.input_bytes());
        let needed = job.output_bytes();
        assert!(y.len() >= needed, "{} bytes out, {needed} needed", y.len());
        Self { job, packed, x, y, panels }
    }

    /// Calls `run` for every tile; `rows`, at least [`MAX_MEMBERS`], says how many windows a tile of a panel may have.
    #[inline(always)]
    pub fn tiles(&mut self, rows: impl Fn(Panel) -> usize, mut run: impl FnMut(&mut Self, &Tile)) {
        let job = self.job;
        let along = Steps::along_row(job);
        for panel in self.panels.cut(job.channels, job.offsets.len(), job.segment) {
            let most = (rows(panel).min(MAX_ROWS) / job.members.len()).max(1);
            let mut walk = Walk::new(job);
            let mut tile = Tile { panel, rows: 0, base: 0, out: 0, steps: along };
            let mut is_along = true;
            let mut left = job.pixels();
            while left > 0 {
                let pixels = most.min(left);
                tile.rows = pixels * job.members.len();
                if pixels == most && walk.column + pixels < walk.width {
                    if !is_along {
                        tile.steps = along;
                    }
                    is_along = true;
                    (tile.base, tile.out) = walk.place();
                    walk.column += pixels;
                } else {
                    is_along = false;
                    (tile.base, tile.out) = (0, 0);
                    walk.next(pixels, &mut tile.steps);
                }
                tile.out += panel.first_column;
                run(self, &tile);
                left -= pixels;
            }
        }
    }
}

/// How far the windows of a tile and its pixels lie from where it begins.
#[derive(Clone, Copy)]
struct Steps {
    bases: [usize; MAX_ROWS],
    outs: [usize; MAX_ROWS],
}

impl Steps {
    /// Of a tile whose pixels are in one row.
    fn along_row(job: &Convolution) -> Self {
        let mut steps = Self { bases: [0; MAX_ROWS], outs: [0; MAX_ROWS] };
        let windows = (0..).flat_map(|pixel| job.members.iter().map(move |m| (pixel, m)));
        for (base, (pixel, member)) in steps.bases.iter_mut().zip(windows) {
            *base = pixel * job.column_step + member;
        }
        for (pixel, out) in steps.outs.iter_mut().enumerate() {
            *out = pixel * job.pixel_step;
        }
        steps
    }
}

/// Walks over output pixels without dividing.
struct Walk<'a> {
    job: &'a Convolution,
    /// Pixels of a row; of all rows, where they follow each other in memory.
    width: usize,
    row: usize,
    column: usize,
}

impl<'a> Walk<'a> {
    fn new(job: &'a Convolution) -> Self {
        let one_row = job.row_step == job.width * job.column_step
            && job.out_row_step == job.width * job.pixel_step;
        let width = if one_row { job.pixels() } else { job.width };
        Self { job, width, row: 0, column: 0 }
    }

    /// Where the next pixels lie; where there is room for more windows, the last is repeated.
    fn next(&mut self, pixels: usize, steps: &mut Steps) {
        let members = &self.job.members[..];
        for pixel in 0..pixels {
            let (base, out) = self.place();
            steps.outs[pixel] = out;
            for (m, member) in members.iter().enumerate() {
                steps.bases[pixel * members.len() + m] = base + member;
            }
            self.column += 1;
            if self.column == self.width {
                self.column = 0;
                self.row += 1;
            }
        }
        let (windows, beyond) = steps.bases.split_at_mut(pixels * members.len());
        beyond.fill(windows[windows.len() - 1]);
    }

    #[inline(always)]
    fn place(&self) -> (usize, usize) {
        let out = self.row * self.job.out_row_step + self.column * self.job.pixel_step;
        let base = self.row * self.job.row_step + self.column * self.job.column_step;
        (base, out)
    }
}
