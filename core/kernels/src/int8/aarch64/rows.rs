//! Rows of 3×3 windows of each channel on its own, 16 channels at once, where a pixel shares columns with the next.
use std::arch::aarch64::{int8x16_t, vld1q_s8};

use super::requantize::{Rule, write_some};
use super::rounding::{Ease, Rounding};
use crate::int8::depthwise::Depthwise;

/// Channels of a block.
pub const WIDTH: usize = 16;

/// A row of pixels, 16 channels of each, and more below it.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub job: &'a Depthwise,
    pub rounding: &'a Rounding,
    /// Where it has some ease, what is added to a number to round it; else the zero point, the least and the greatest
    /// element.
    pub rule: &'a [int8x16_t; 3],
    /// Starts, multipliers and weights of a block.
    pub packed: *const u8,
    pub x: *const u8,
    pub y: *mut u8,
    pub pixels: usize,
    /// How many there are.
    pub rows: usize,
    /// Bytes from a pixel to the next in the output.
    pub step: usize,
}

/// The sums in v28 to v31 in real numbers, times the multipliers.
macro_rules! scale {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "scvtf v28.4s, v28.4s\n",
            "scvtf v29.4s, v29.4s\n",
            "scvtf v30.4s, v30.4s\n",
            "scvtf v31.4s, v31.4s\n",
            "fmul v28.4s, v28.4s, v",
            $a,
            ".4s\n",
            "fmul v29.4s, v29.4s, v",
            $b,
            ".4s\n",
            "fmul v30.4s, v30.4s, v",
            $c,
            ".4s\n",
            "fmul v31.4s, v31.4s, v",
            $d,
            ".4s\n",
        )
    };
}

/// Rounds v28 to v31 to bytes, and writes them as the next pixel.
macro_rules! any {
    ($zero:literal, $low:literal, $high:literal) => {
        concat!(
            "fcvtns v28.4s, v28.4s\n",
            "fcvtns v29.4s, v29.4s\n",
            "fcvtns v30.4s, v30.4s\n",
            "fcvtns v31.4s, v31.4s\n",
            "sqxtn v28.4h, v28.4s\n",
            "sqxtn v30.4h, v30.4s\n",
            "sqxtn2 v28.8h, v29.4s\n",
            "sqxtn2 v30.8h, v31.4s\n",
            "sqadd v28.8h, v28.8h, v",
            $zero,
            ".8h\n",
            "sqadd v30.8h, v30.8h, v",
            $zero,
            ".8h\n",
            "sqxtn v28.8b, v28.8h\n",
            "sqxtn2 v28.16b, v30.8h\n",
            "smax v28.16b, v28.16b, v",
            $low,
            ".16b\n",
            "smin v28.16b, v28.16b, v",
            $high,
            ".16b\n",
            "st1 {{v28.16b}}, [{y}], {step}\n",
        )
    };
}

/// The same of numbers that fit, in `$a` to `$d`.
macro_rules! fitting {
    ($whole:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "fadd v28.4s, v",
            $a,
            ".4s, v",
            $whole,
            ".4s\n",
            "fadd v29.4s, v",
            $b,
            ".4s, v",
            $whole,
            ".4s\n",
            "fadd v30.4s, v",
            $c,
            ".4s, v",
            $whole,
            ".4s\n",
            "fadd v31.4s, v",
            $d,
            ".4s, v",
            $whole,
            ".4s\n",
            "uzp1 v28.8h, v28.8h, v29.8h\n",
            "uzp1 v30.8h, v30.8h, v31.8h\n",
            "sqxtn v28.8b, v28.8h\n",
            "sqxtn2 v28.16b, v30.8h\n",
            "st1 {{v28.16b}}, [{y}], {step}\n",
        )
    };
}

pub(super) use {any, fitting, scale};

/// Makes rows, whose pixels share two of their columns or one.
pub type Run = unsafe fn(&Row<'_>, shared: usize);

/// Computes `y` from `x` where it can: else says that it has not.
///
/// # Safety
/// The processor has the instructions of `run`; `packed` has blocks of `block_bytes`; `x` and `y` are as large as `job` says,
/// `x` by [`crate::int8::SLACK`] larger.
#[inline(always)]
pub unsafe fn run(
    job: &Depthwise,
    block_bytes: usize,
    packed: *const u8,
    x: *const u8,
    y: *mut u8,
    run: Run,
) -> bool {
    let Some(Shape { shared, pixels, channels, step }) = Shape::of(job) else { return false };
    let any = Rule::new(job.output).vectors();
    for first in (0..channels).step_by(WIDTH) {
        let count = WIDTH.min(channels - first);
        let packed = packed.wrapping_add(first / WIDTH * block_bytes);
        // SAFETY: a block begins as a panel of four vectors does.
        let rounding = unsafe { Rounding::new(job.output, packed, 9) };
        let rule = match rounding.ease() {
            Ease::None => any,
            Ease::Fits | Ease::Positive => [rounding.vectors[0]; 3],
        };
        let row = Row {
            job,
            rounding: &rounding,
            rule: &rule,
            packed,
            x: x.wrapping_add(first),
            y: y.wrapping_add(first),
            pixels,
            rows: job.height,
            step,
        };
        // SAFETY: the caller's promise.
        unsafe {
            if count == WIDTH {
                run(&row, shared);
            } else {
                row.some(shared, count, run);
            }
        }
    }
    true
}

/// Blocks of channels that [`run`] reads; 0 where it does nothing.
pub fn blocks(job: &Depthwise) -> usize {
    Shape::of(job).map_or(0, |shape| shape.channels.div_ceil(WIDTH))
}

/// What [`run`] sees: two pixels of eight channels are one of 16, which has a column in common with the next.
struct Shape {
    shared: usize,
    pixels: usize,
    channels: usize,
    step: usize,
}

impl Shape {
    fn of(job: &Depthwise) -> Option<Self> {
        let stride = job.column_step / job.tap_steps[1].max(1);
        let steady =
            job.taps == [3, 3] && job.width > 0 && job.column_step == stride * job.tap_steps[1];
        let (pixels, channels, step) = (job.width, job.channels, job.pixel_step);
        match (steady, stride) {
            (true, 1 | 2) if channels >= WIDTH => {
                Some(Self { shared: 3 - stride, pixels, channels, step })
            }
            (true, 1) if channels == 8 && job.column_step == 8 && step == 8 && pixels % 2 == 0 => {
                Some(Self { shared: 1, pixels: pixels / 2, channels: WIDTH, step: WIDTH })
            }
            _ => None,
        }
    }
}

impl Row<'_> {
    /// The next.
    #[inline(always)]
    pub const fn below(self) -> Self {
        let (x, y) =
            (self.x.wrapping_add(self.job.row_step), self.y.wrapping_add(self.job.out_row_step));
        Self { x, y, ..self }
    }

    /// Only the first `count` channels, by way of memory of its own.
    unsafe fn some(&self, shared: usize, count: usize, run: Run) {
        let mut row = *self;
        for _ in 0..self.rows {
            // SAFETY: the caller's promise, handed on.
            unsafe { row.some_of_one(shared, count, run) };
            row = row.below();
        }
    }

    unsafe fn some_of_one(&self, shared: usize, count: usize, run: Run) {
        const PIXELS: usize = 16;
        let mut all = [0_u8; PIXELS * WIDTH];
        for first in (0..self.pixels).step_by(PIXELS) {
            let row = Row {
                x: self.x.wrapping_add(first * self.job.column_step),
                y: all.as_mut_ptr(),
                pixels: PIXELS.min(self.pixels - first),
                rows: 1,
                step: WIDTH,
                ..*self
            };
            // SAFETY: the caller's promise, handed on.
            unsafe {
                run(&row, shared);
                for (i, bytes) in all.as_chunks::<WIDTH>().0[..row.pixels].iter().enumerate() {
                    let y = self.y.wrapping_add((first + i) * self.step);
                    write_some(vld1q_s8(bytes.as_ptr().cast()), y, count);
                }
            }
        }
    }
}
