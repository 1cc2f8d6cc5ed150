//! What the kernels' convolutions have in common: the way over panels, rows and tiles. A kernel only sums up windows.
use std::arch::aarch64::int32x4_t;

use super::lines::Line;
use super::requantize::Rule;
use super::rounding::Rounding;
use super::store::{Store, greater};
use super::windows::{Segments, Windows};
use crate::int8::convolution::{Convolution, Operands};

/// Columns of a vector of sums.
pub const LANES: usize = 4;

/// Pixels of the smallest tile that is one loop.
pub const LEAST_PIXELS: usize = 4;

/// Bytes that may be read beyond a segment in whole steps of four: 16 are read at once.
pub const BEYOND: usize = 12;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions of `W`.
#[inline(always)]
pub unsafe fn run<W: Windows>(operands: &mut Operands<'_>) {
    let (job, has) = (operands.job, operands.x.len());
    assert!(!job.offsets.is_empty(), "a window has segments");
    if job.pixels() == 0 {
        return;
    }
    let reads = job.input_bytes().saturating_add(BEYOND);
    assert!(has >= reads, "{has} bytes in, {reads} needed");
    let rows = Rows::of(job);
    for panel in W::PANELS.cut(job.channels, job.offsets.len(), job.segment) {
        let block = Block {
            job,
            rule: Rule::new(job.output),
            packed: operands.packed.as_ptr().wrapping_add(panel.start),
            columns: panel.columns,
            x: operands.x.as_ptr(),
            y: operands.y.as_mut_ptr().wrapping_add(panel.first_column),
        };
        // SAFETY: the caller's promise; each arm's vectors are the panel's.
        unsafe {
            match panel.width / LANES {
                1 => block.members::<W, 1>(&rows),
                2 => block.members::<W, 2>(&rows),
                3 if W::PANELS.widest > 2 * LANES => block.members::<W, 3>(&rows),
                _ if W::PANELS.widest > 2 * LANES => block.members::<W, 4>(&rows),
                vectors => unreachable!("no panel has {vectors} vectors"),
            }
        }
    }
}

/// Rows of output pixels; a single one where they follow each other in memory.
struct Rows {
    height: usize,
    width: usize,
    /// Bytes from a row to the next, of the input and the output; then from a pixel to the next.
    row_steps: [usize; 2],
    pixel_steps: [usize; 2],
}

impl Rows {
    fn of(job: &Convolution) -> Self {
        let (height, width) = (job.height, job.width);
        let row_steps = [job.row_step, job.out_row_step];
        let pixel_steps = [job.column_step, job.pixel_step];
        if width == 1 {
            Self { height: 1, width: height, row_steps, pixel_steps: row_steps }
        } else if row_steps == pixel_steps.map(|step| step * width) {
            Self { height: 1, width: height * width, row_steps, pixel_steps }
        } else {
            Self { height, width, row_steps, pixel_steps }
        }
    }
}

/// A panel's columns of all pixels.
struct Block<'a> {
    job: &'a Convolution,
    rule: Rule,
    packed: *const u8,
    columns: usize,
    x: *const u8,
    y: *mut u8,
}

impl Block<'_> {
    #[inline(always)]
    unsafe fn members<W: Windows, const V: usize>(&self, rows: &Rows) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.job.members.len() {
                1 if V == 4 && W::LINE.is_some() && rows.width >= 4 => self.lines::<W>(rows),
                1 if V == 2 && W::TALL == 8 && rows.width >= 8 => {
                    self.rows::<W, V, 8, false>(rows);
                }
                1 if rows.width >= 4 => self.rows::<W, V, 4, false>(rows),
                members @ (2 | 4) if rows.width >= 4 / members => {
                    self.rows::<W, V, 4, true>(rows);
                }
                _ => self.rows::<W, V, 1, true>(rows),
            }
        }
    }

    /// Rows as whole loops.
    ///
    /// # Safety
    /// As [`run`]; a row has at least four pixels, and the panel four vectors.
    unsafe fn lines<W: Windows>(&self, rows: &Rows) {
        let Some(run) = W::LINE else { return };
        let (job, packed) = (self.job, self.packed);
        // SAFETY: the caller's promise.
        let rounding = unsafe {
            Rounding::new(job.output, packed, job.offsets.len().saturating_mul(job.segment))
        };
        let line = Line {
            segments: self.segments(std::ptr::null()),
            packed,
            x: self.x.wrapping_add(job.members[0]),
            y: self.y,
            pixels: rows.width,
            rows: rows.height,
            steps: rows.pixel_steps,
            row_steps: rows.row_steps,
            rounding: &rounding,
        };
        // SAFETY: the caller's promise.
        unsafe { if self.columns == 4 * LANES { run(&line) } else { line.some(self.columns, run) } }
    }

    #[inline(always)]
    fn segments(&self, starts: *const int32x4_t) -> Segments<'_> {
        Segments {
            starts,
            offsets: &self.job.offsets,
            elements: self.job.segment,
            two_products_fit: self.job.two_products_fit,
        }
    }

    /// `R` windows at once; a pixel has one, or `SEVERAL`, which are taken one after the other where `R` is 1. Where a row's
    /// last pixels are fewer than a tile has, some are made twice.
    ///
    /// # Safety
    /// As [`run`]; a row has as many pixels as a tile.
    #[inline(always)]
    unsafe fn rows<W: Windows, const V: usize, const R: usize, const SEVERAL: bool>(
        &self,
        rows: &Rows,
    ) {
        let members = if SEVERAL && R > 1 { self.job.members.len() } else { 1 };
        let pixels = R / members;
        // SAFETY: the caller's promise.
        let starts = unsafe { W::starts::<V>(self.packed) };
        let segments = self.segments(starts.as_ptr().cast());
        let store = Store { rule: self.rule, columns: self.columns, members };
        let packed = self.packed;
        let [input, output] = rows.pixel_steps;
        let windows: [usize; R] =
            std::array::from_fn(|r| r / members * input + self.job.members[r % members]);
        for row in 0..rows.height {
            let mut x = self.x.wrapping_add(row * rows.row_steps[0]);
            let mut y = self.y.wrapping_add(row * rows.row_steps[1]);
            let mut left = rows.width;
            loop {
                // SAFETY: the caller's promise; the pixels lie in the row. The multipliers follow the starts, as `packing`
                // says; `Operands` has checked the output.
                unsafe {
                    let mut sums = W::sums::<V, R>(segments, packed, x, windows);
                    if R == 1 {
                        for &member in &self.job.members[1..] {
                            let next = W::sums::<V, 1>(segments, packed, x, [member]);
                            sums[0] = greater(sums[0], next[0]);
                        }
                    }
                    store.tile::<W, V, R>(sums, packed.wrapping_add(4 * LANES * V), y, output);
                }
                left -= pixels;
                if left == 0 {
                    break;
                }
                // Back, where fewer are left than a tile has.
                let next = pixels - pixels.saturating_sub(left);
                left = left.max(pixels);
                x = x.wrapping_add(next * input);
                y = y.wrapping_add(next * output);
            }
        }
    }
}
