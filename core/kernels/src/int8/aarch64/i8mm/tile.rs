//! The two tiles in which most of the work is done, as whole loops, as for the dot product.
use std::arch::aarch64::{int32x4_t, vdupq_n_s32};

use super::super::windows::{Pair, Segments, eight_windows, four_windows, window};

macro_rules! multiply {
    ($sum:literal, $rows:literal, $columns:literal) => {
        concat!("smmla v", $sum, ".4s, v", $rows, ".16b, v", $columns, ".16b\n")
    };
}

/// Eight elements of two windows, in `$x`, with the eight columns in v8 to v11.
macro_rules! eight_columns {
    ($a:literal, $b:literal, $c:literal, $d:literal, $x:literal) => {
        concat!(
            multiply!($a, $x, 8),
            multiply!($b, $x, 9),
            multiply!($c, $x, 10),
            multiply!($d, $x, 11),
        )
    };
}

/// Eight elements of four windows, in `$x` and `$y`, with 16 columns.
macro_rules! wide_step {
    ($x:literal, $y:literal) => {
        concat!(
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64\n",
            eight_columns!(16, 17, 18, 19, $x),
            eight_columns!(24, 25, 26, 27, $y),
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64\n",
            eight_columns!(20, 21, 22, 23, $x),
            eight_columns!(28, 29, 30, 31, $y),
        )
    };
}

/// Eight elements of eight windows with eight columns.
macro_rules! tall_step {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64\n",
            eight_columns!(16, 17, 18, 19, $a),
            eight_columns!(20, 21, 22, 23, $b),
            eight_columns!(24, 25, 26, 27, $c),
            eight_columns!(28, 29, 30, 31, $d),
        )
    };
}

/// Sums of four windows, of a panel of four vectors, as [`Pair`]s: the columns of the first two windows, then of the last.
///
/// # Safety
/// As `Windows::sums`; the processor has `smmla`.
#[inline(always)]
pub unsafe fn wide(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; 4],
) -> [Pair; 4] {
    let eights = segments.elements.div_ceil(8);
    // SAFETY: every 64-bit ARM has NEON.
    let mut sums = unsafe { [[vdupq_n_s32(0); 4]; 4] };
    // SAFETY: the caller's promise: `packed` has starts, multipliers and as many weights as there are steps; 16 bytes of
    // each window are read where more than eight are left.
    unsafe {
        four_windows!(
            (segments, packed, x, windows, sums),
            [eights / 2, eights % 2],
            {
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            },
            "mov {x0}, {w}",
            "ld4r {{v16.2d-v19.2d}}, [{x0}], #32",
            "ld4r {{v20.2d-v23.2d}}, [{x0}]",
            "ld4r {{v28.2d-v31.2d}}, [{x0}]",
            "ld4r {{v24.2d-v27.2d}}, [{w}]",
            "add {w}, {w}, #128",
            "2:",
            "ldr {x0}, [{offsets}], #8",
            "mov {left}, {sixteens}",
            "add {x0}, {x0}, {x}",
            "add {x1}, {x0}, {x1_}",
            "add {x2}, {x0}, {x2_}",
            "add {x3}, {x0}, {x3_}",
            "cbz {left}, 4f",
            "3:",
            "ldr q0, [{x0}], #16",
            "ldr q1, [{x1}], #16",
            "ldr q2, [{x2}], #16",
            "ldr q3, [{x3}], #16",
            "zip1 v4.2d, v0.2d, v1.2d",
            "zip1 v5.2d, v2.2d, v3.2d",
            "zip2 v6.2d, v0.2d, v1.2d",
            "zip2 v7.2d, v2.2d, v3.2d",
            wide_step!(4, 5),
            wide_step!(6, 7),
            "subs {left}, {left}, #1",
            "b.ne 3b",
            "4:",
            "cbz {rest}, 5f",
            "ldr d4, [{x0}]",
            "ldr d5, [{x2}]",
            "ld1 {{v4.d}}[1], [{x1}]",
            "ld1 {{v5.d}}[1], [{x3}]",
            wide_step!(4, 5),
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
    let eights = segments.elements.div_ceil(8);
    // SAFETY: every 64-bit ARM has NEON.
    let mut sums = unsafe { [[[vdupq_n_s32(0); 2]; 2]; 4] };
    // SAFETY: as in `wide`.
    unsafe {
        eight_windows!(
            (segments, packed, x, windows),
            [eights / 2, eights % 2],
            {
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") sums[0][0][0], out("v17") sums[0][0][1], out("v18") sums[0][1][0], out("v19") sums[0][1][1],
            out("v20") sums[1][0][0], out("v21") sums[1][0][1], out("v22") sums[1][1][0], out("v23") sums[1][1][1],
            out("v24") sums[2][0][0], out("v25") sums[2][0][1], out("v26") sums[2][1][0], out("v27") sums[2][1][1],
            out("v28") sums[3][0][0], out("v29") sums[3][0][1], out("v30") sums[3][1][0], out("v31") sums[3][1][1],
            },
            "ld4r {{v16.2d-v19.2d}}, [{w}]",
            "ld4r {{v20.2d-v23.2d}}, [{w}]",
            "ld4r {{v24.2d-v27.2d}}, [{w}]",
            "ld4r {{v28.2d-v31.2d}}, [{w}]",
            "add {w}, {w}, #64",
            "2:",
            "ldr {x0}, [{offsets}], #8",
            "mov {left}, {sixteens}",
            "add {x0}, {x0}, {x}",
            "add {x1}, {x0}, {x1_}",
            "add {x2}, {x0}, {x2_}",
            "add {x3}, {x0}, {x3_}",
            "add {x4}, {x0}, {x4_}",
            "add {x5}, {x0}, {x5_}",
            "add {x6}, {x0}, {x6_}",
            "add {x7}, {x0}, {x7_}",
            "cbz {left}, 4f",
            "3:",
            "ldr q0, [{x0}], #16",
            "ldr q1, [{x1}], #16",
            "ldr q2, [{x2}], #16",
            "ldr q3, [{x3}], #16",
            "ldr q4, [{x4}], #16",
            "ldr q5, [{x5}], #16",
            "ldr q6, [{x6}], #16",
            "ldr q7, [{x7}], #16",
            "zip1 v12.2d, v0.2d, v1.2d",
            "zip1 v13.2d, v2.2d, v3.2d",
            "zip1 v14.2d, v4.2d, v5.2d",
            "zip1 v15.2d, v6.2d, v7.2d",
            "zip2 v0.2d, v0.2d, v1.2d",
            "zip2 v1.2d, v2.2d, v3.2d",
            "zip2 v2.2d, v4.2d, v5.2d",
            "zip2 v3.2d, v6.2d, v7.2d",
            tall_step!(12, 13, 14, 15),
            tall_step!(0, 1, 2, 3),
            "subs {left}, {left}, #1",
            "b.ne 3b",
            "4:",
            "cbz {rest}, 5f",
            "ldr d0, [{x0}]",
            "ldr d1, [{x2}]",
            "ldr d2, [{x4}]",
            "ldr d3, [{x6}]",
            "ld1 {{v0.d}}[1], [{x1}]",
            "ld1 {{v1.d}}[1], [{x3}]",
            "ld1 {{v2.d}}[1], [{x5}]",
            "ld1 {{v3.d}}[1], [{x7}]",
            tall_step!(0, 1, 2, 3),
            "5:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
        );
    }
    std::array::from_fn(|r| std::array::from_fn(|v| window(sums[r / 2][v], r % 2)))
}
