//! Rows of pixels as whole loops: four windows of 16 columns are summed up, rounded and written without leaving registers.
use std::arch::aarch64::vld1q_s8;

use super::requantize::write_some;
use super::rounding::{COLUMNS, Rounding};
use super::windows::Segments;

/// Windows that are summed up at once.
pub const PIXELS: usize = 4;

/// A row of at least [`PIXELS`] pixels, whose windows are of one member, and its columns of a panel of four vectors; and more
/// rows below it.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    pub segments: Segments<'a>,
    pub packed: *const u8,
    pub x: *const u8,
    pub y: *mut u8,
    pub pixels: usize,
    /// How many there are.
    pub rows: usize,
    /// Bytes from a pixel to the next, of the input and the output.
    pub steps: [usize; 2],
    /// Bytes from a row to the next.
    pub row_steps: [usize; 2],
    pub rounding: &'a Rounding,
}

impl Line<'_> {
    /// The next.
    #[inline(always)]
    pub const fn below(self) -> Self {
        let [input, output] = self.row_steps;
        Self { x: self.x.wrapping_add(input), y: self.y.wrapping_add(output), ..self }
    }

    /// Only the first `columns` of the panel, by way of memory of its own.
    ///
    /// # Safety
    /// As `run`, which makes all columns.
    pub unsafe fn some(&self, columns: usize, run: unsafe fn(&Line<'_>)) {
        let mut line = *self;
        for _ in 0..self.rows {
            // SAFETY: the caller's promise, handed on.
            unsafe { line.some_of_one(columns, run) };
            line = line.below();
        }
    }

    unsafe fn some_of_one(&self, columns: usize, run: unsafe fn(&Line<'_>)) {
        let mut all = [0_u8; PIXELS * COLUMNS];
        let last = self.pixels - PIXELS;
        for first in (0..last).step_by(PIXELS).chain([last]) {
            let x = self.x.wrapping_add(first * self.steps[0]);
            let steps = [self.steps[0], COLUMNS];
            let line = Line { x, y: all.as_mut_ptr(), pixels: PIXELS, rows: 1, steps, ..*self };
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

/// `scale` and `nearest_low` of a window's sums that are real numbers as they stand.
macro_rules! scale_positive {
    ($a:literal, $b:literal, $c:literal, $d:literal, $i:literal, $j:literal, $k:literal, $l:literal) => {
        concat!(
            "ld1 {{v",
            $a,
            ".4s-v",
            $d,
            ".4s}}, [{minus}]\n",
            "fmla v",
            $a,
            ".4s, v",
            $i,
            ".4s, v0.4s\n",
            "fmla v",
            $b,
            ".4s, v",
            $j,
            ".4s, v1.4s\n",
            "fmla v",
            $c,
            ".4s, v",
            $k,
            ".4s, v2.4s\n",
            "fmla v",
            $d,
            ".4s, v",
            $l,
            ".4s, v3.4s\n",
            "fadd v",
            $i,
            ".4s, v",
            $a,
            ".4s, v4.4s\n",
            "fadd v",
            $j,
            ".4s, v",
            $b,
            ".4s, v4.4s\n",
            "fadd v",
            $k,
            ".4s, v",
            $c,
            ".4s, v4.4s\n",
            "fadd v",
            $l,
            ".4s, v",
            $d,
            ".4s, v4.4s\n",
        )
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

/// Rows, where `$segment` adds the products of four windows' segment from `x0` on to v16 to v31, and leaves {w} behind its
/// weights. It may use v0 to v15 and what `$more` has.
macro_rules! line {
    ($line:ident, { $($more:tt)* }, $($segment:expr),* $(,)?) => {{
        let mut line = *$line;
        for _ in 0..line.rows {
        std::arch::asm!(
            "2:",
            "ld1 {{v16.4s-v19.4s}}, [{starts}]",
            "ld1 {{v20.4s-v23.4s}}, [{starts}]",
            "ld1 {{v24.4s-v27.4s}}, [{starts}]",
            "ld1 {{v28.4s-v31.4s}}, [{starts}]",
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
            "tbnz {how}, #3, 9f",
            sixteen!(convert),
            sixteen!(scale),
            "tbnz {how}, #0, 4f",
            sixteen!(nearest),
            eight!(halve),
            "b 5f",
            "9:",
            scale_positive!(8, 9, 10, 11, 16, 17, 18, 19),
            scale_positive!(12, 13, 14, 15, 20, 21, 22, 23),
            scale_positive!(8, 9, 10, 11, 24, 25, 26, 27),
            scale_positive!(12, 13, 14, 15, 28, 29, 30, 31),
            "b 10f",
            "4:",
            sixteen!(nearest_low),
            "10:",
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
            starts = in(reg) line.rounding.starts.as_ptr(),
            minus = in(reg) line.rounding.minus.as_ptr(),
            multipliers = in(reg) line.packed.wrapping_add(4 * crate::int8::aarch64::rounding::COLUMNS),
            offsets = in(reg) line.segments.offsets.as_ptr(),
            all_segments = in(reg) line.segments.offsets.len(),
            input = in(reg) line.steps[0],
            step = in(reg) line.steps[1],
            rounding = in(reg) line.rounding.vectors.as_ptr(),
            how = in(reg) line.rounding.how,
            x = inout(reg) line.x => _,
            y = inout(reg) line.y => _,
            pixels = inout(reg) line.pixels => _,
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
        );
            line = line.below();
        }
    }};
}

pub(super) use {
    add, bytes, convert, eight, four, halve, halve_low, limit, line, nearest, nearest_low, scale,
    scale_positive, sixteen, write,
};
