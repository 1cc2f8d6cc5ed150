//! Rows of pixels as whole loops: four windows of 16 columns are summed up, rounded and written without leaving registers.
use std::arch::aarch64::{
    float32x4_t, int8x16_t, vabsq_f32, vaddq_f32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s8,
    vdupq_n_s16, vld1q_s8, vmaxq_f32, vmaxvq_f32, vmulq_f32, vreinterpretq_s8_f32,
    vreinterpretq_s8_s16,
};

use super::loads;
use super::requantize::{Multipliers, WHOLE, write_some};
use super::tiles::{LANES, Segments};
use crate::int8::rounding::Output;

/// Columns of a panel of four vectors.
pub const COLUMNS: usize = 4 * LANES;

/// Windows that are summed up at once.
pub const PIXELS: usize = 4;

/// A row of at least [`PIXELS`] pixels, whose windows are of one member, and its columns of a panel of four vectors.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    pub segments: Segments<'a>,
    pub packed: *const u8,
    pub x: *const u8,
    pub y: *mut u8,
    pub pixels: usize,
    /// Bytes from a pixel to the next, of the input and the output.
    pub steps: [usize; 2],
    pub rounding: &'a Rounding,
}

impl Line<'_> {
    /// Only the first `columns` of the panel, by way of memory of its own.
    ///
    /// # Safety
    /// As `run`, which makes all columns.
    pub unsafe fn some(&self, columns: usize, run: unsafe fn(&Line<'_>)) {
        let mut all = [0_u8; PIXELS * COLUMNS];
        let last = self.pixels - PIXELS;
        for first in (0..last).step_by(PIXELS).chain([last]) {
            let x = self.x.wrapping_add(first * self.steps[0]);
            let steps = [self.steps[0], COLUMNS];
            let line = Line { x, y: all.as_mut_ptr(), pixels: PIXELS, steps, ..*self };
            // SAFETY: the caller's promise, handed on.
            unsafe {
                run(&line);
                for (i, bytes) in all.as_chunks::<COLUMNS>().0.iter().enumerate() {
                    let y = self.y.wrapping_add((first + i) * self.steps[1]);
                    write_some(vld1q_s8(bytes.as_ptr().cast()), y, columns);
                }
            }
        }
    }
}

/// How sums of a panel become bytes.
pub struct Rounding {
    /// As vectors: what is added to a real number to round it, to the whole numbers, the least and the greatest element.
    pub vectors: [int8x16_t; 4],
    /// [`Self::FITS`], [`Self::ADDS`], [`Self::CLAMPS`].
    pub how: usize,
}

impl Rounding {
    /// Every sum times its multiplier fits into 16 bits: no number has to be cut before it is narrowed.
    const FITS: usize = 1;
    /// Something is added to the whole numbers.
    const ADDS: usize = 2;
    /// Fewer elements may come out than a byte has.
    const CLAMPS: usize = 4;

    /// Of sums of so many elements.
    ///
    /// # Safety
    /// `packed` is a panel of four vectors.
    pub unsafe fn new(output: Output, packed: *const u8, elements: usize) -> Self {
        // SAFETY: the caller's promise.
        let fits = unsafe { greatest(packed, elements) } < 32_000.0;
        let zero_point = output.wide_zero_point(0);
        // What is added before it is rounded must be even, else ties would go to the odd numbers.
        let before = if fits { zero_point & !1 } else { 0 };
        let clamps = (output.low(), output.high()) != (-128, 127);
        let flags =
            [(fits, Self::FITS), (before != zero_point, Self::ADDS), (clamps, Self::CLAMPS)];
        let [low, high] = output.limits(0).map(u8::cast_signed);
        // SAFETY: every 64-bit ARM has NEON.
        let vectors = unsafe {
            [
                vreinterpretq_s8_f32(vdupq_n_f32(WHOLE + f32::from(before))),
                vreinterpretq_s8_s16(vdupq_n_s16(zero_point - before)),
                vdupq_n_s8(low),
                vdupq_n_s8(high),
            ]
        };
        Self { vectors, how: flags.iter().filter(|flag| flag.0).map(|flag| flag.1).sum() }
    }
}

/// What no sum of so many elements times its multiplier exceeds.
///
/// # Safety
/// `packed` is a panel of four vectors.
#[expect(clippy::cast_precision_loss, reason = "far above what fits where it is not exact")]
unsafe fn greatest(packed: *const u8, elements: usize) -> f32 {
    // SAFETY: the caller's promise; every 64-bit ARM has NEON.
    unsafe {
        let products = vdupq_n_f32(elements as f32 * 128.0 * 128.0);
        let multipliers = Multipliers::<4>::load(packed.wrapping_add(4 * COLUMNS)).0;
        let starts = loads::words::<4>(packed);
        let all: [float32x4_t; 4] = std::array::from_fn(|v| {
            let start = vabsq_f32(vcvtq_f32_s32(starts[v]));
            vmulq_f32(vaddq_f32(start, products), multipliers[v])
        });
        vmaxvq_f32(vmaxq_f32(vmaxq_f32(all[0], all[1]), vmaxq_f32(all[2], all[3])))
    }
}

/// One instruction for each vector of sums: `$each` of its number.
macro_rules! sixteen {
    ($each:ident) => {
        concat!(
            $each!(16, 0),
            $each!(17, 1),
            $each!(18, 2),
            $each!(19, 3),
            $each!(20, 0),
            $each!(21, 1),
            $each!(22, 2),
            $each!(23, 3),
            $each!(24, 0),
            $each!(25, 1),
            $each!(26, 2),
            $each!(27, 3),
            $each!(28, 0),
            $each!(29, 1),
            $each!(30, 2),
            $each!(31, 3),
        )
    };
}

/// What is made of each two neighbouring vectors of sums.
macro_rules! eight {
    ($each:ident) => {
        concat!(
            $each!(16, 17),
            $each!(18, 19),
            $each!(20, 21),
            $each!(22, 23),
            $each!(24, 25),
            $each!(26, 27),
            $each!(28, 29),
            $each!(30, 31),
        )
    };
}

/// What is made of each window.
macro_rules! four {
    ($each:ident) => {
        concat!($each!(16, 18), $each!(20, 22), $each!(24, 26), $each!(28, 30))
    };
}

macro_rules! convert {
    ($sum:literal, $m:literal) => {
        concat!("scvtf v", $sum, ".4s, v", $sum, ".4s\n")
    };
}

macro_rules! scale {
    ($sum:literal, $m:literal) => {
        concat!("fmul v", $sum, ".4s, v", $sum, ".4s, v", $m, ".4s\n")
    };
}

macro_rules! nearest {
    ($sum:literal, $m:literal) => {
        concat!("fcvtns v", $sum, ".4s, v", $sum, ".4s\n")
    };
}

/// As `nearest`, of a number that fits: its lowest 16 bits.
macro_rules! nearest_low {
    ($sum:literal, $m:literal) => {
        concat!("fadd v", $sum, ".4s, v", $sum, ".4s, v4.4s\n")
    };
}

macro_rules! halve {
    ($a:literal, $b:literal) => {
        concat!("sqxtn v", $a, ".4h, v", $a, ".4s\nsqxtn2 v", $a, ".8h, v", $b, ".4s\n")
    };
}

macro_rules! halve_low {
    ($a:literal, $b:literal) => {
        concat!("uzp1 v", $a, ".8h, v", $a, ".8h, v", $b, ".8h\n")
    };
}

macro_rules! add {
    ($a:literal, $b:literal) => {
        concat!("sqadd v", $a, ".8h, v", $a, ".8h, v5.8h\n")
    };
}

macro_rules! bytes {
    ($a:literal, $b:literal) => {
        concat!("sqxtn v", $a, ".8b, v", $a, ".8h\nsqxtn2 v", $a, ".16b, v", $b, ".8h\n")
    };
}

macro_rules! limit {
    ($a:literal, $b:literal) => {
        concat!(
            "smax v",
            $a,
            ".16b, v",
            $a,
            ".16b, v6.16b\nsmin v",
            $a,
            ".16b, v",
            $a,
            ".16b, v7.16b\n"
        )
    };
}

macro_rules! write {
    ($a:literal, $b:literal) => {
        concat!("st1 {{v", $a, ".16b}}, [{y}], {step}\n")
    };
}

/// A row, where `$segment` adds the products of four windows' segment from `x0` on to v16 to v31, and leaves {w} behind its
/// weights. It may use v0 to v15 and what `$more` has.
macro_rules! line {
    ($line:ident, { $($more:tt)* }, $($segment:expr),* $(,)?) => {
        std::arch::asm!(
            "2:",
            "ld1 {{v16.4s-v19.4s}}, [{packed}]",
            "ld1 {{v20.4s-v23.4s}}, [{packed}]",
            "ld1 {{v24.4s-v27.4s}}, [{packed}]",
            "ld1 {{v28.4s-v31.4s}}, [{packed}]",
            "add {w}, {multipliers}, #64",
            "mov {offset}, {offsets}",
            "mov {segments}, {all_segments}",
            "3:",
            "ldr {x0}, [{offset}], #8",
            "add {x0}, {x0}, {x}",
            $($segment,)*
            "subs {segments}, {segments}, #1",
            "b.ne 3b",
            "ld1 {{v0.4s-v3.4s}}, [{multipliers}]",
            "ld1 {{v4.16b-v7.16b}}, [{rounding}]",
            sixteen!(convert),
            sixteen!(scale),
            "tbnz {how}, #0, 4f",
            sixteen!(nearest),
            eight!(halve),
            "b 5f",
            "4:",
            sixteen!(nearest_low),
            eight!(halve_low),
            "5:",
            "tbz {how}, #1, 6f",
            eight!(add),
            "6:",
            four!(bytes),
            "tbz {how}, #2, 7f",
            four!(limit),
            "7:",
            four!(write),
            "subs {pixels}, {pixels}, #4",
            "b.eq 8f",
            "add {x}, {x}, {input}, lsl #2",
            "cmp {pixels}, #4",
            "b.hs 2b",
            // The last four: some of them once more.
            "sub {pixels}, {pixels}, #4",
            "madd {x}, {pixels}, {input}, {x}",
            "madd {y}, {pixels}, {step}, {y}",
            "mov {pixels}, #4",
            "b 2b",
            "8:",
            packed = in(reg) $line.packed,
            multipliers = in(reg) $line.packed.wrapping_add(4 * crate::int8::aarch64::lines::COLUMNS),
            offsets = in(reg) $line.segments.offsets.as_ptr(),
            all_segments = in(reg) $line.segments.offsets.len(),
            input = in(reg) $line.steps[0],
            step = in(reg) $line.steps[1],
            rounding = in(reg) $line.rounding.vectors.as_ptr(),
            how = in(reg) $line.rounding.how,
            x = inout(reg) $line.x => _,
            y = inout(reg) $line.y => _,
            pixels = inout(reg) $line.pixels => _,
            w = out(reg) _, offset = out(reg) _, segments = out(reg) _, x0 = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            $($more)*
            options(nostack),
        )
    };
}

pub(super) use {
    add, bytes, convert, eight, four, halve, halve_low, limit, line, nearest, nearest_low, scale,
    sixteen, write,
};
