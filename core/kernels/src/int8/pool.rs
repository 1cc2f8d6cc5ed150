//! Pooling. Outside the picture there is nothing: a window is cut at the border.
use std::ops::Range;

use super::rounding::Output;

/// Windows over a picture; pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Pixels of the input.
    pub size: [usize; 2],
    /// Pixels of the output.
    pub places: [usize; 2],
    /// Channels of both.
    pub channels: usize,
    /// Of the window.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// How far the first window begins outside.
    pub border: [usize; 2],
}

impl Pool {
    /// Rows, or columns, of the picture that a window covers.
    fn covered(&self, axis: usize, place: usize) -> Range<usize> {
        let start = place * self.stride[axis];
        let end = start + self.kernel[axis];
        let inside = |at: usize| at.saturating_sub(self.border[axis]).min(self.size[axis]);
        inside(start)..inside(end)
    }

    /// Calls `window` with each output pixel's number and what it covers.
    #[inline(always)]
    fn windows(&self, mut window: impl FnMut(usize, Range<usize>, Range<usize>)) {
        for row in 0..self.places[0] {
            let rows = self.covered(0, row);
            for column in 0..self.places[1] {
                let number = row * self.places[1] + column;
                window(number, rows.clone(), self.covered(1, column));
            }
        }
    }

    /// The pixel's channels in a picture.
    fn pixel(&self, row: usize, column: usize) -> Range<usize> {
        let start = (row * self.size[1] + column) * self.channels;
        start..start + self.channels
    }
}

/// What an average pool makes of sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Of the input.
    pub zero_point: i32,
    /// The input's scale by the output's.
    pub ratio: f64,
    /// What comes out.
    pub output: Output,
}

/// The greatest element of each window; bytes differ by `flip` from values.
#[inline(always)]
pub(super) fn max_pool(pool: &Pool, flip: u8, x: &[u8], y: &mut [u8]) {
    // Bytes of value + 128 are in the order of their values as they stand.
    if flip == 0 {
        greatest(pool, x, y, |a, b| a.cast_signed().max(b.cast_signed()).cast_unsigned());
    } else {
        greatest(pool, x, y, u8::max);
    }
}

#[inline(always)]
fn greatest(pool: &Pool, x: &[u8], y: &mut [u8], max: impl Fn(u8, u8) -> u8 + Copy) {
    pool.windows(|number, rows, columns| {
        let out = &mut y[number * pool.channels..][..pool.channels];
        let window = Window { pool, rows, columns };
        let whole = pool.channels / CHUNK * CHUNK;
        for c in (0..whole).step_by(CHUNK) {
            window.greatest::<CHUNK>(c, x, out, max);
        }
        // The last channels are taken together with some before them, which are then made twice.
        match pool.channels {
            channels if channels == whole => {}
            channels @ SMALL.. => {
                for c in (whole..channels - SMALL).step_by(SMALL).chain([channels - SMALL]) {
                    window.greatest::<SMALL>(c, x, out, max);
                }
            }
            channels => {
                for c in 0..channels {
                    window.greatest::<1>(c, x, out, max);
                }
            }
        }
    });
}

/// What a window covers.
struct Window<'a> {
    pool: &'a Pool,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Window<'_> {
    /// The greatest of `N` channels from `c` on.
    #[inline(always)]
    fn greatest<const N: usize>(
        &self,
        c: usize,
        x: &[u8],
        out: &mut [u8],
        max: impl Fn(u8, u8) -> u8 + Copy,
    ) {
        let at = |row: usize, column: usize| {
            *x[self.pool.pixel(row, column).start + c..].first_chunk::<N>().expect("a pixel")
        };
        let mut found = at(self.rows.start, self.columns.start);
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                let pixel = at(row, column);
                for i in 0..N {
                    found[i] = max(found[i], pixel[i]);
                }
            }
        }
        out[c..c + N].copy_from_slice(&found);
    }
}

/// Channels at a time.
const CHUNK: usize = 64;
const SMALL: usize = 16;

/// The mean of each window: Σ (x − zero point), multiplied by ratio ÷ count. Bytes differ by `flip` from values.
#[inline(always)]
pub(super) fn average_pool(pool: &Pool, flip: u8, mean: Mean, x: &[u8], y: &mut [u8]) {
    pool.windows(|number, rows, columns| {
        let pixels = rows.len() * columns.len();
        let multiplier = per_element(mean.ratio, pixels);
        // Of one sum; a window's pixels are fewer than 2²³, as elements are fewer than 2³⁰.
        let zero = i32::try_from(pixels).unwrap_or(i32::MAX).wrapping_mul(mean.zero_point);
        for c in (0..pool.channels).step_by(CHUNK) {
            let count = CHUNK.min(pool.channels - c);
            let mut sums = [0_i32; CHUNK];
            for row in rows.clone() {
                for column in columns.clone() {
                    accumulate(&mut sums, &x[pool.pixel(row, column)][c..c + count], flip);
                }
            }
            let out = &mut y[number * pool.channels + c..][..count];
            for (y, &sum) in out.iter_mut().zip(&sums) {
                let sum = sum.wrapping_sub(zero);
                *y = mean.output.element(sum, multiplier).cast_unsigned() ^ flip;
            }
        }
    });
}

#[inline(always)]
fn accumulate(sums: &mut [i32; CHUNK], pixel: &[u8], flip: u8) {
    let value = |x: u8| i32::from((x ^ flip).cast_signed());
    if let Ok(pixel) = <&[u8; CHUNK]>::try_from(pixel) {
        for i in 0..CHUNK {
            sums[i] = sums[i].wrapping_add(value(pixel[i]));
        }
    } else {
        for (sum, &x) in sums.iter_mut().zip(pixel) {
            *sum = sum.wrapping_add(value(x));
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a window has fewer than 2⁵³ pixels; the quotient is rounded to f32 once, which is meant"
)]
fn per_element(ratio: f64, count: usize) -> f32 {
    (ratio / count as f64) as f32
}
