//! Convolution of each channel on its own.
//!
//! Taps are taken in groups: up to four that lie below each other. Channels are taken in blocks as wide as the kernel's
//! vectors. Packed weights hold for each block what the sums start from, the multipliers, then each group's weights.
mod row;

use std::ops::Range;

use super::packing::Filter;
use super::rounding::Output;
use row::Row;

/// Taps of a group.
const GROUP: usize = 4;

/// A convolution of each channel on its own, over a picture that already has its border. Output pixel (i, j) reads from
/// byte i × `row_step` + j × `column_step` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depthwise {
    /// Rows of output pixels.
    pub height: usize,
    /// Output pixels of a row.
    pub width: usize,
    /// Bytes.
    pub row_step: usize,
    /// Bytes.
    pub column_step: usize,
    /// Rows and columns of taps.
    pub taps: [usize; 2],
    /// Bytes from a tap to the one below, and to the one on its right.
    pub tap_steps: [usize; 2],
    /// Of the picture and of the output.
    pub channels: usize,
    /// Bytes from an output pixel to the next.
    pub pixel_step: usize,
    /// Bytes from a row of output pixels to the next.
    pub out_row_step: usize,
    /// What comes out.
    pub output: Output,
}

impl Depthwise {
    /// Bytes of the input that are read, without [`super::SLACK`]; `usize::MAX` where they cannot be counted.
    #[must_use]
    pub fn input_bytes(&self) -> usize {
        [
            self.height.saturating_sub(1).saturating_mul(self.row_step),
            self.width.saturating_sub(1).saturating_mul(self.column_step),
            self.taps[0].saturating_sub(1).saturating_mul(self.tap_steps[0]),
            self.taps[1].saturating_sub(1).saturating_mul(self.tap_steps[1]),
        ]
        .into_iter()
        .fold(self.channels, usize::saturating_add)
    }

    /// Bytes of the output, from the first that is written to the last; `usize::MAX` where they cannot be counted.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        let down = self.height.saturating_sub(1).saturating_mul(self.out_row_step);
        let right = self.width.saturating_sub(1).saturating_mul(self.pixel_step);
        down.saturating_add(right).saturating_add(self.channels)
    }

    /// Groups of taps: column by column, each from the top to the bottom.
    fn groups(&self) -> usize {
        self.taps[1] * self.taps[0].div_ceil(GROUP)
    }

    /// How many neighbouring pixels are taken as one with as many times the channels: where pixels lie side by side in
    /// memory and are narrower than half a block.
    fn merged(&self, width: usize) -> usize {
        let side_by_side = self.column_step == self.channels && self.pixel_step == self.channels;
        if side_by_side { (width / self.channels).clamp(1, self.width) } else { 1 }
    }

    /// Whether neighbouring pixels share two of their three columns, or one.
    fn shares(&self, stride: usize) -> bool {
        self.taps == [3, 3] && self.column_step == stride * self.tap_steps[1]
    }
}

/// Vectors of channels.
///
/// # Safety
/// A function reads `WIDTH` bytes of each row, `4 × WIDTH` bytes of starts and of multipliers, `GROUP_BYTES` of weights,
/// and writes `count` bytes; no more.
pub(super) unsafe trait Lanes {
    /// Channels.
    const WIDTH: usize;
    /// Bytes of a group's packed weights.
    const GROUP_BYTES: usize;
    /// `WIDTH` elements of a group of taps.
    type Rows: Copy;
    type Sums: Copy;
    type Rule;

    /// Where a channel's sum stands among the sums.
    fn place(channel: usize) -> usize;

    /// Packs a channel's four weights.
    fn pack(channel: usize, weights: [u8; GROUP], out: &mut [u8]) {
        out[4 * Self::place(channel)..][..4].copy_from_slice(&weights);
    }

    unsafe fn rule(output: Output) -> Self::Rule;
    /// The same where a block's multipliers are known.
    #[inline(always)]
    unsafe fn block_rule(output: Output, _multipliers: *const u8) -> Self::Rule {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { Self::rule(output) }
    }
    /// Only the first `H` rows have weights.
    unsafe fn rows<const H: usize>(x: [*const u8; GROUP]) -> Self::Rows;
    unsafe fn starts(starts: *const u8) -> Self::Sums;
    unsafe fn dot<const H: usize>(
        sums: Self::Sums,
        rows: Self::Rows,
        weights: *const u8,
    ) -> Self::Sums;
    unsafe fn store(
        rule: &Self::Rule,
        sums: Self::Sums,
        multipliers: *const u8,
        out: *mut u8,
        count: usize,
    );
}

/// One block of channels.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    /// Of the packed bytes.
    start: usize,
    narrow: bool,
}

fn block_bytes<L: Lanes>(job: &Depthwise) -> usize {
    8 * L::WIDTH + job.groups() * L::GROUP_BYTES
}

/// Wide blocks, and for the rest a narrow one where that is enough.
fn blocks<W: Lanes, N: Lanes>(job: &Depthwise) -> impl Iterator<Item = Block> {
    let channels = job.channels * job.merged(W::WIDTH);
    let (wide, narrow) = (block_bytes::<W>(job), block_bytes::<N>(job));
    let (mut first, mut start) = (0, 0);
    std::iter::from_fn(move || {
        let left = channels.checked_sub(first).filter(|&left| left > 0)?;
        let is_narrow = left <= N::WIDTH && N::WIDTH < W::WIDTH;
        let block = Block { first, start, narrow: is_narrow };
        first += if is_narrow { N::WIDTH } else { W::WIDTH };
        start += if is_narrow { narrow } else { wide };
        Some(block)
    })
}

pub(super) fn packed_bytes<W: Lanes, N: Lanes>(job: &Depthwise) -> usize {
    let (wide, narrow) = (block_bytes::<W>(job), block_bytes::<N>(job));
    blocks::<W, N>(job).map(|block| if block.narrow { narrow } else { wide }).sum()
}

/// Packs weights \[channel\]\[tap\], which `filter` has as one segment of all taps, row by row.
pub(super) fn pack<W: Lanes, N: Lanes>(
    job: &Depthwise,
    filter: &Filter<'_>,
    flip: u8,
    out: &mut [u8],
) {
    for block in blocks::<W, N>(job) {
        if block.narrow {
            pack_block::<N>(job, filter, flip, block.first, &mut out[block.start..]);
        } else {
            pack_block::<W>(job, filter, flip, block.first, &mut out[block.start..]);
        }
    }
}

fn pack_block<L: Lanes>(
    job: &Depthwise,
    filter: &Filter<'_>,
    flip: u8,
    first: usize,
    out: &mut [u8],
) {
    let (starts, rest) = out[..block_bytes::<L>(job)].split_at_mut(4 * L::WIDTH);
    let (multipliers, groups) = rest.split_at_mut(4 * L::WIDTH);
    let [rows, columns] = job.taps;
    for lane in 0..L::WIDTH {
        let channel = (first + lane) % job.channels;
        let place = L::place(lane);
        starts.as_chunks_mut().0[place] = filter.start(channel, flip).to_le_bytes();
        multipliers.as_chunks_mut().0[place] = (filter.multipliers)(channel).to_le_bytes();
        let taps = &filter.weights[channel * rows * columns..][..rows * columns];
        let mut groups = groups.chunks_exact_mut(L::GROUP_BYTES);
        for column in 0..columns {
            for top in (0..rows).step_by(GROUP) {
                let tap =
                    |i: usize| if top + i < rows { taps[(top + i) * columns + column] } else { 0 };
                let group = groups.next().expect("a group for every four taps of a column");
                L::pack(lane, std::array::from_fn(tap), group);
            }
        }
    }
}

/// # Panics
/// If a slice is smaller than `job` says; `x` is to have [`super::SLACK`] bytes more.
pub(super) fn check<W: Lanes, N: Lanes>(job: &Depthwise, packed: &[u8], x: &[u8], y: &[u8]) {
    let (needed, reads) = (packed_bytes::<W, N>(job), job.input_bytes());
    assert!(packed.len() >= needed, "{} bytes of weights, {needed} needed", packed.len());
    let reads = reads.saturating_add(super::SLACK);
    assert!(x.len() >= reads, "{} bytes in, {reads} needed", x.len());
    assert!(y.len() >= job.output_bytes(), "{} bytes out", y.len());
}

/// Computes `y` from `x`.
///
/// # Safety
/// The processor has the instructions of `W` and `N`.
///
/// # Panics
/// If a slice is smaller than `job` says; `x` is to have [`super::SLACK`] bytes more.
#[inline(always)]
pub(super) unsafe fn run<W: Lanes, N: Lanes>(
    job: &Depthwise,
    packed: &[u8],
    x: &[u8],
    y: &mut [u8],
) {
    check::<W, N>(job, packed, x, y);
    let merged = job.merged(W::WIDTH);
    // Of a large picture, so few rows at a time that they stay in the nearest cache until all blocks have read them.
    let all = job.height * job.row_step;
    let few = if all > LARGE { (STRIP / job.row_step).max(1) } else { job.height.max(1) };
    for top in (0..job.height).step_by(few) {
        let rows = top..job.height.min(top + few);
        for block in blocks::<W, N>(job) {
            let packed = packed[block.start..].as_ptr();
            let (x, y, rows) = (x.as_ptr(), y.as_mut_ptr(), rows.clone());
            // SAFETY: the three slices have been checked; the block's packed bytes lie within those counted.
            unsafe {
                if block.narrow {
                    run_block::<N>(job, rows, block.first, merged, packed, x, y);
                } else {
                    run_block::<W>(job, rows, block.first, merged, packed, x, y);
                }
            }
        }
    }
}

/// Bytes of a large picture, and of a strip of its rows.
const LARGE: usize = 256 << 10;
const STRIP: usize = 24 << 10;

#[inline(always)]
unsafe fn run_block<L: Lanes>(
    job: &Depthwise,
    rows: Range<usize>,
    first: usize,
    merged: usize,
    packed: *const u8,
    x: *const u8,
    y: *mut u8,
) {
    // SAFETY: the trait's promise, handed on by the caller.
    let rule = unsafe { L::block_rule(job.output, packed.wrapping_add(4 * L::WIDTH)) };
    let count = L::WIDTH.min(job.channels * merged - first);
    for row in rows {
        let row = Row::<L> {
            job,
            rule: &rule,
            starts: packed,
            multipliers: packed.wrapping_add(4 * L::WIDTH),
            weights: packed.wrapping_add(8 * L::WIDTH),
            x: x.wrapping_add(row * job.row_step + first),
            y: y.wrapping_add(row * job.out_row_step + first),
            count,
        };
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            match (merged > 1, job.taps[0]) {
                (true, _) if job.shares(1) => row.merged_three(merged, first),
                (true, 3) => row.merged::<3>(merged, first),
                (true, _) => row.merged::<4>(merged, first),
                _ if job.shares(1) => row.sharing_two(),
                _ if job.shares(2) => row.sharing_one(),
                (_, 1) => row.apart::<1>(),
                (_, 2) => row.apart::<2>(),
                (_, 3) => row.apart::<3>(),
                _ => row.apart::<4>(),
            }
        }
    }
}
