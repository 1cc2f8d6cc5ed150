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
        let window = Window { pool, rows, columns };
        let room = window.room(x, y, number);
        let out = &mut y[number * pool.channels..];
        let whole = pool.channels / CHUNK * CHUNK;
        for c in (0..whole).step_by(CHUNK) {
            window.greatest::<CHUNK>(c, x, out, max);
        }
        for c in (whole..pool.channels).step_by(SMALL) {
            match Last::of(pool.channels, c, room) {
                Last::Vector(c) => window.greatest::<SMALL>(c, x, out, max),
                Last::Single => {
                    (c..pool.channels).for_each(|c| window.greatest::<1>(c, x, out, max));
                }
            }
        }
    });
}

/// How a pixel's last channels are taken, from some channel on.
enum Last {
    /// As a vector from a channel on: with some before them, which are then made twice, or with what follows in memory, where
    /// there is room for it and the next pixel is written later.
    Vector(usize),
    /// One by one.
    Single,
}

impl Last {
    #[inline(always)]
    const fn of(channels: usize, from: usize, room: bool) -> Self {
        match channels {
            _ if from + SMALL <= channels => Self::Vector(from),
            SMALL.. => Self::Vector(channels - SMALL),
            _ if room => Self::Vector(from),
            _ => Self::Single,
        }
    }
}

/// What a window covers.
struct Window<'a> {
    pool: &'a Pool,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Window<'_> {
    /// Whether a vector may be read from the last pixel that is covered, and written to the one of that number.
    #[inline(always)]
    fn room(&self, x: &[u8], y: &[u8], number: usize) -> bool {
        let [row, column] =
            [&self.rows, &self.columns].map(|covered| covered.end.saturating_sub(1));
        let last = self.pool.pixel(row, column).start;
        last + SMALL <= x.len() && number * self.pool.channels + SMALL <= y.len()
    }

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

    /// What `element` makes of the sums of `N` channels from `c` on.
    #[inline(always)]
    fn mean<const N: usize>(
        &self,
        c: usize,
        x: &[u8],
        out: &mut [u8],
        flip: u8,
        element: impl Fn(i32) -> u8 + Copy,
    ) {
        let mut sums = [0_i32; N];
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                let pixel: &[u8; N] =
                    x[self.pool.pixel(row, column).start + c..].first_chunk().expect("a pixel");
                for i in 0..N {
                    sums[i] = sums[i].wrapping_add(i32::from((pixel[i] ^ flip).cast_signed()));
                }
            }
        }
        for (y, &sum) in out[c..c + N].iter_mut().zip(&sums) {
            *y = element(sum);
        }
    }
}

/// Channels at a time.
const CHUNK: usize = 64;
const SMALL: usize = 16;

/// The mean of each window: Σ (x − zero point), multiplied by ratio ÷ count. Bytes differ by `flip` from values.
#[inline(always)]
pub(super) fn average_pool(pool: &Pool, flip: u8, mean: Mean, x: &[u8], y: &mut [u8]) {
    let (mut pixels, mut multiplier) = (0, 0.0);
    pool.windows(|number, rows, columns| {
        if rows.len() * columns.len() != pixels {
            pixels = rows.len() * columns.len();
            multiplier = per_element(mean.ratio, pixels);
        }
        // Of one sum; a window's pixels are fewer than 2²³, as elements are fewer than 2³⁰.
        let zero = i32::try_from(pixels).unwrap_or(i32::MAX).wrapping_mul(mean.zero_point);
        let element = |sum: i32| {
            mean.output.element(sum.wrapping_sub(zero), multiplier).cast_unsigned() ^ flip
        };
        let window = Window { pool, rows, columns };
        let room = window.room(x, y, number);
        let out = &mut y[number * pool.channels..];
        let whole = pool.channels / CHUNK * CHUNK;
        for c in (0..whole).step_by(CHUNK) {
            window.mean::<CHUNK>(c, x, out, flip, element);
        }
        for c in (whole..pool.channels).step_by(SMALL) {
            match Last::of(pool.channels, c, room) {
                Last::Vector(c) => window.mean::<SMALL>(c, x, out, flip, element),
                Last::Single => {
                    (c..pool.channels).for_each(|c| window.mean::<1>(c, x, out, flip, element));
                }
            }
        }
    });
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a window has fewer than 2⁵³ pixels; the quotient is rounded to f32 once, which is meant"
)]
fn per_element(ratio: f64, count: usize) -> f32 {
    (ratio / count as f64) as f32
}
