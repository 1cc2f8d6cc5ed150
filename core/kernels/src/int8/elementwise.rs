//! What is done to elements one by one, and the moving of bytes.
use super::matrices::Matrices;
use super::pairs::{Addend, Pair, Spread, pairs};
use super::pool::{Mean, Pool, average_pool, max_pool};
use super::resize::Resize;
use super::rounding::{Output, quantized};

/// `y` = `x` with every byte's difference between memory and value taken out, or put in.
pub fn flip_into(flip: u8, x: &[u8], y: &mut [u8]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x ^ flip;
    }
}

/// A border around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    /// Rows of the picture without it.
    pub height: usize,
    /// Bytes of such a row.
    pub row: usize,
    /// Rows above it.
    pub above: usize,
    /// Rows below it.
    pub below: usize,
    /// Bytes before each row.
    pub before: usize,
    /// Bytes after each row.
    pub after: usize,
}

impl Border {
    /// Bytes of the picture with its border.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        (self.above + self.height + self.below) * self.wide_row()
    }

    /// Bytes of a row with its border.
    #[must_use]
    pub const fn wide_row(&self) -> usize {
        self.before + self.row + self.after
    }
}

/// Copies the picture `x` into `y` with a border of `fill` around it.
///
/// # Panics
/// If a slice is smaller than `border` says.
pub fn pad(border: &Border, fill: u8, x: &[u8], y: &mut [u8]) {
    let wide = border.wide_row();
    let (above, rest) = y[..border.bytes()].split_at_mut(border.above * wide);
    let (rows, below) = rest.split_at_mut(border.height * wide);
    above.fill(fill);
    below.fill(fill);
    for (y, x) in rows.chunks_exact_mut(wide).zip(x.chunks_exact(border.row)) {
        y[..border.before].fill(fill);
        y[border.before..][..border.row].copy_from_slice(x);
        y[border.before + border.row..].fill(fill);
    }
}

/// Work on elements that needs no instruction of its own: plain loops, which each kernel has compiled for its
/// processor.
pub enum Elementwise<'a> {
    /// `y` of pairs of elements.
    Pairs {
        /// What is made of two.
        pair: Pair,
        /// What comes out.
        output: Output,
        /// How both sides lie along the result.
        spread: &'a Spread,
        /// Elements.
        sides: [&'a [u8]; 2],
        /// Elements.
        y: &'a mut [u8],
    },
    /// `y` = products of matrices.
    Matrices {
        /// Which.
        matrices: &'a Matrices,
        /// Elements.
        sides: [&'a [u8]; 2],
        /// Elements.
        y: &'a mut [u8],
    },
    /// `y` = `table` at every byte of `x`.
    Translate {
        /// For each byte in memory.
        table: &'a [u8; 256],
        /// Bytes.
        x: &'a [u8],
        /// As many.
        y: &'a mut [u8],
    },
    /// A picture of another size, of elements between those of `x`.
    Resize {
        /// Where they lie.
        resize: &'a Resize,
        /// Elements.
        x: &'a [u8],
        /// Elements.
        y: &'a mut [u8],
    },
    /// The greatest element of each window.
    MaxPool {
        /// Its windows.
        pool: &'a Pool,
        /// Elements.
        x: &'a [u8],
        /// Elements.
        y: &'a mut [u8],
    },
    /// The mean of each window.
    AveragePool {
        /// Its windows.
        pool: &'a Pool,
        /// What is made of a window's sum.
        mean: Mean,
        /// Elements.
        x: &'a [u8],
        /// Elements.
        y: &'a mut [u8],
    },
    /// `y` = little-endian f32 of `x`, quantized.
    Quantize {
        /// Of the elements.
        scale: f32,
        /// What comes out.
        output: Output,
        /// Real numbers.
        x: &'a [u8],
        /// Elements.
        y: &'a mut [u8],
    },
    /// `y` = little-endian f32 of the real numbers that `x` stands for.
    Dequantize {
        /// Of the elements.
        scale: f32,
        /// Of the elements.
        zero_point: i32,
        /// Elements.
        x: &'a [u8],
        /// Real numbers.
        y: &'a mut [u8],
    },
}

impl Elementwise<'_> {
    /// Bytes of int8 elements differ by `flip` from values.
    #[inline(always)]
    pub(super) fn run(self, flip: u8) {
        match self {
            Self::Pairs { pair, output, spread, sides, y } => {
                pairs(flip, pair, output, spread, sides, y);
            }
            Self::Matrices { matrices, sides, y } => matrices.run(flip, sides, y),
            Self::Translate { table, x, y } => translate(table, x, y),
            Self::Resize { resize, x, y } => resize.run(flip, x, y),
            Self::MaxPool { pool, x, y } => max_pool(pool, flip, x, y),
            Self::AveragePool { pool, mean, x, y } => average_pool(pool, flip, mean, x, y),
            Self::Quantize { scale, output, x, y } => quantize(flip, scale, output, x, y),
            Self::Dequantize { scale, zero_point, x, y } => {
                dequantize(flip, scale, zero_point, x, y);
            }
        }
    }
}

/// `y` = exponentials of each row of `axis` elements of `x`, divided by their sum and `scale`, rounded by the one rule.
/// `table[d]` is the exponential of d steps below the greatest; sums go from the first to the last.
pub fn softmax(
    flip: u8,
    axis: usize,
    table: &[f32; 256],
    scale: f32,
    output: Output,
    x: &[u8],
    y: &mut [u8],
) {
    for (x, y) in x.chunks_exact(axis).zip(y.chunks_exact_mut(axis)) {
        let value = |&byte: &u8| (byte ^ flip).cast_signed();
        let greatest = x.iter().map(value).max().unwrap_or(0);
        let power = |byte: &u8| table[usize::from(greatest.abs_diff(value(byte)))];
        let sum: f32 = x.iter().map(power).sum();
        for (y, x) in y.iter_mut().zip(x) {
            *y = quantized(power(x) / sum, scale, output).cast_unsigned() ^ flip;
        }
    }
}

#[inline(always)]
fn translate(table: &[u8; 256], x: &[u8], y: &mut [u8]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = table[usize::from(x)];
    }
}

#[inline(always)]
fn quantize(flip: u8, scale: f32, output: Output, x: &[u8], y: &mut [u8]) {
    for (y, &x) in y.iter_mut().zip(x.as_chunks().0) {
        *y = quantized(f32::from_le_bytes(x), scale, output).cast_unsigned() ^ flip;
    }
}

#[inline(always)]
fn dequantize(flip: u8, scale: f32, zero_point: i32, x: &[u8], y: &mut [u8]) {
    let real = Addend { zero_point, ratio: scale };
    for (y, &x) in y.as_chunks_mut().0.iter_mut().zip(x) {
        *y = real.worth(x, flip).to_le_bytes();
    }
}
