//! The two tiles in which most of the work is done, as whole loops: a compiler keeps fewer of the sums in registers, and
//! loads one vector at a time where an instruction loads four.
use std::arch::aarch64::{int32x4_t, vdupq_n_s32};

use super::super::windows::{Segments, eight_windows, four_windows};

macro_rules! dot {
    ($sum:literal, $w:literal, $x:literal, $lane:literal) => {
        concat!("sdot v", $sum, ".4s, v", $w, ".16b, v", $x, ".4b[", $lane, "]\n")
    };
}

/// Four vectors of columns of one window.
macro_rules! wide {
    ($a:literal, $b:literal, $c:literal, $d:literal, $x:literal, $lane:literal) => {
        concat!(
            dot!($a, 0, $x, $lane),
            dot!($b, 1, $x, $lane),
            dot!($c, 2, $x, $lane),
            dot!($d, 3, $x, $lane),
        )
    };
}

/// A step of four windows and four vectors of columns.
macro_rules! wide_step {
    ($lane:literal) => {
        concat!(
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64\n",
            wide!(16, 17, 18, 19, 4, $lane),
            wide!(20, 21, 22, 23, 5, $lane),
            wide!(24, 25, 26, 27, 6, $lane),
            wide!(28, 29, 30, 31, 7, $lane),
        )
    };
}

/// A step of eight windows and two vectors of columns, whose weights are in `$w` and `$v`.
macro_rules! tall_step {
    ($w:literal, $v:literal, $lane:literal) => {
        concat!(
            dot!(16, $w, 4, $lane),
            dot!(17, $v, 4, $lane),
            dot!(18, $w, 5, $lane),
            dot!(19, $v, 5, $lane),
            dot!(20, $w, 6, $lane),
            dot!(21, $v, 6, $lane),
            dot!(22, $w, 7, $lane),
            dot!(23, $v, 7, $lane),
            dot!(24, $w, 8, $lane),
            dot!(25, $v, 8, $lane),
            dot!(26, $w, 9, $lane),
            dot!(27, $v, 9, $lane),
            dot!(28, $w, 10, $lane),
            dot!(29, $v, 10, $lane),
            dot!(30, $w, 11, $lane),
            dot!(31, $v, 11, $lane),
        )
    };
}

/// Sums of four windows, of a panel of four vectors.
///
/// # Safety
/// As `Windows::sums`; the processor has the dot product.
#[inline(always)]
pub unsafe fn wide(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; 4],
) -> [[int32x4_t; 4]; 4] {
    let steps = segments.elements.div_ceil(4);
    // SAFETY: every 64-bit ARM has NEON.
    let mut sums = unsafe { [[vdupq_n_s32(0); 4]; 4] };
    // SAFETY: the caller's promise: `packed` has starts, multipliers and as many weights as there are steps; 16 bytes of
    // each window are read where a step is left.
    unsafe {
        four_windows!(
            (segments, packed, x, windows, sums),
            [steps / 4, steps % 4],
            {},
            "ld1 {{v16.16b-v19.16b}}, [{w}]",
            "ld1 {{v20.16b-v23.16b}}, [{w}]",
            "ld1 {{v24.16b-v27.16b}}, [{w}]",
            "ld1 {{v28.16b-v31.16b}}, [{w}]",
            "add {w}, {w}, #128",
            "2:",
            "ldr {x0}, [{offsets}], #8",
            "mov {left}, {sixteens}",
            "add {x0}, {x0}, {x}",
            "cbz {left}, 4f",
            "add {x1}, {x0}, {x1_}",
            "add {x2}, {x0}, {x2_}",
            "add {x3}, {x0}, {x3_}",
            "3:",
            "ldr q4, [{x0}], #16",
            "ldr q5, [{x1}], #16",
            "ldr q6, [{x2}], #16",
            "ldr q7, [{x3}], #16",
            wide_step!(0),
            wide_step!(1),
            wide_step!(2),
            wide_step!(3),
            "subs {left}, {left}, #1",
            "b.ne 3b",
            "4:",
            "cbz {rest}, 5f",
            "ldr q4, [{x0}]",
            "ldr q5, [{x0}, {x1_}]",
            "ldr q6, [{x0}, {x2_}]",
            "ldr q7, [{x0}, {x3_}]",
            wide_step!(0),
            "cmp {rest}, #1",
            "b.eq 5f",
            wide_step!(1),
            "cmp {rest}, #2",
            "b.eq 5f",
            wide_step!(2),
            "5:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
        );
    }
    sums
}

/// Sums of eight windows, of a panel of two vectors.
///
/// # Safety
/// As [`wide`].
#[inline(always)]
pub unsafe fn tall(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; 8],
) -> [[int32x4_t; 2]; 8] {
    let steps = segments.elements.div_ceil(4);
    // SAFETY: every 64-bit ARM has NEON.
    let mut sums = unsafe { [[vdupq_n_s32(0); 2]; 8] };
    // SAFETY: as in `wide`.
    unsafe {
        eight_windows!(
            (segments, packed, x, windows),
            [steps / 4, steps % 4],
            {
            out("v16") sums[0][0], out("v17") sums[0][1], out("v18") sums[1][0], out("v19") sums[1][1],
            out("v20") sums[2][0], out("v21") sums[2][1], out("v22") sums[3][0], out("v23") sums[3][1],
            out("v24") sums[4][0], out("v25") sums[4][1], out("v26") sums[5][0], out("v27") sums[5][1],
            out("v28") sums[6][0], out("v29") sums[6][1], out("v30") sums[7][0], out("v31") sums[7][1],
            },
            "ldp q16, q17, [{w}]",
            "ldp q18, q19, [{w}]",
            "ldp q20, q21, [{w}]",
            "ldp q22, q23, [{w}]",
            "ldp q24, q25, [{w}]",
            "ldp q26, q27, [{w}]",
            "ldp q28, q29, [{w}]",
            "ldp q30, q31, [{w}]",
            "add {w}, {w}, #64",
            "2:",
            "ldr {x0}, [{offsets}], #8",
            "mov {left}, {sixteens}",
            "add {x0}, {x0}, {x}",
            "cbz {left}, 4f",
            "add {x1}, {x0}, {x1_}",
            "add {x2}, {x0}, {x2_}",
            "add {x3}, {x0}, {x3_}",
            "add {x4}, {x0}, {x4_}",
            "add {x5}, {x0}, {x5_}",
            "add {x6}, {x0}, {x6_}",
            "add {x7}, {x0}, {x7_}",
            "3:",
            "ldr q4, [{x0}], #16",
            "ldr q5, [{x1}], #16",
            "ldr q6, [{x2}], #16",
            "ldr q7, [{x3}], #16",
            "ldr q8, [{x4}], #16",
            "ldr q9, [{x5}], #16",
            "ldr q10, [{x6}], #16",
            "ldr q11, [{x7}], #16",
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64",
            tall_step!(0, 1, 0),
            tall_step!(2, 3, 1),
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64",
            tall_step!(0, 1, 2),
            tall_step!(2, 3, 3),
            "subs {left}, {left}, #1",
            "b.ne 3b",
            "4:",
            "cbz {rest}, 5f",
            "ldr q4, [{x0}]",
            "ldr q5, [{x0}, {x1_}]",
            "ldr q6, [{x0}, {x2_}]",
            "ldr q7, [{x0}, {x3_}]",
            "ldr q8, [{x0}, {x4_}]",
            "ldr q9, [{x0}, {x5_}]",
            "ldr q10, [{x0}, {x6_}]",
            "ldr q11, [{x0}, {x7_}]",
            "ldp q0, q1, [{w}], #32",
            tall_step!(0, 1, 0),
            "cmp {rest}, #1",
            "b.eq 5f",
            "ldp q0, q1, [{w}], #32",
            tall_step!(0, 1, 1),
            "cmp {rest}, #2",
            "b.eq 5f",
            "ldp q0, q1, [{w}], #32",
            tall_step!(0, 1, 2),
            "5:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
        );
    }
    sums
}
