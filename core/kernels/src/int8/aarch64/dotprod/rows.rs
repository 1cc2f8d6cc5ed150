//! Rows of 3×3 windows: `tbl` brings the elements of three rows side by side, so that one `sdot` takes three taps. As whole
//! loops, so that weights and columns stay in registers.
use std::arch::asm;

use super::super::rounding::Ease;
use super::super::rows::{Row, WIDTH, any, fitting, scale};

/// The three elements of each of four channels; those beyond are 0.
static SIDE_BY_SIDE: [[u8; 16]; 4] = side_by_side();

#[expect(clippy::cast_possible_truncation, reason = "below 48")]
const fn side_by_side() -> [[u8; 16]; 4] {
    let mut places = [[u8::MAX; 16]; 4];
    let mut i = 0;
    while i < 48 {
        let (channel, row) = (i / 3, i % 3);
        places[channel / 4][channel % 4 * 4 + row] = (row * WIDTH + channel) as u8;
        i += 1;
    }
    places
}

/// Reads the next column of elements into four vectors.
macro_rules! column {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ld1 {{v28.16b}}, [{x0}], {right}\n",
            "ld1 {{v29.16b}}, [{x1}], {right}\n",
            "ld1 {{v30.16b}}, [{x2}], {right}\n",
            "tbl v",
            $a,
            ".16b, {{v28.16b-v30.16b}}, v12.16b\n",
            "tbl v",
            $b,
            ".16b, {{v28.16b-v30.16b}}, v13.16b\n",
            "tbl v",
            $c,
            ".16b, {{v28.16b-v30.16b}}, v14.16b\n",
            "tbl v",
            $d,
            ".16b, {{v28.16b-v30.16b}}, v15.16b\n",
        )
    };
}

macro_rules! dot {
    ($sum:literal, $x:literal, $w:literal) => {
        concat!("sdot v", $sum, ".4s, v", $x, ".16b, v", $w, ".16b\n")
    };
}

/// A pixel of the columns that begin with `$a`, `$e` and `$i`; the first of them is not needed any more.
macro_rules! pixel {
    ($end:ident, $a:literal, $b:literal, $c:literal, $d:literal,
     $e:literal, $f:literal, $g:literal, $h:literal,
     $i:literal, $j:literal, $k:literal, $l:literal) => {
        concat!(
            "ld1 {{v28.4s-v31.4s}}, [{starts}]\n",
            dot!(28, $a, 16),
            dot!(29, $b, 17),
            dot!(30, $c, 18),
            dot!(31, $d, 19),
            "ld1 {{v",
            $a,
            ".4s-v",
            $d,
            ".4s}}, [{scales}]\n",
            dot!(28, $e, 20),
            dot!(29, $f, 21),
            dot!(30, $g, 22),
            dot!(31, $h, 23),
            dot!(28, $i, 24),
            dot!(29, $j, 25),
            dot!(30, $k, 26),
            dot!(31, $l, 27),
            $end!($a, $b, $c, $d),
        )
    };
}

/// Makes bytes of the sums in v28 to v31, whose multipliers are in `$a` to `$d`.
macro_rules! end_any {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            scale!($a, $b, $c, $d),
            "ld1 {{v",
            $a,
            ".16b-v",
            $c,
            ".16b}}, [{rule}]\n",
            any!($a, $b, $c),
        )
    };
}

/// The same of numbers that fit.
macro_rules! end_fitting {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            scale!($a, $b, $c, $d),
            "ld1 {{v",
            $a,
            ".4s}}, [{rule}]\n",
            fitting!($a, 28, 29, 30, 31),
        )
    };
}

/// The same of sums that are real numbers as they stand; `$a` to `$d` have what each has too much.
macro_rules! end_positive {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ld1 {{v12.4s-v15.4s}}, [{multipliers}]\n",
            "fmla v",
            $a,
            ".4s, v28.4s, v12.4s\n",
            "fmla v",
            $b,
            ".4s, v29.4s, v13.4s\n",
            "fmla v",
            $c,
            ".4s, v30.4s, v14.4s\n",
            "fmla v",
            $d,
            ".4s, v31.4s, v15.4s\n",
            "ld1 {{v12.4s}}, [{rule}]\n",
            fitting!(12, $a, $b, $c, $d),
            "ld1 {{v12.16b-v15.16b}}, [{places}]\n",
        )
    };
}

macro_rules! row {
    ($row:ident, $numbers:expr, $($line:expr),*) => {{
        let mut row = *$row;
        for _ in 0..row.rows {
        asm!(
            "ld1 {{v12.16b-v15.16b}}, [{places}]",
            "add {w}, {multipliers}, #64",
            "ld1 {{v16.16b-v19.16b}}, [{w}], #64",
            "ld1 {{v20.16b-v23.16b}}, [{w}], #64",
            "ld1 {{v24.16b-v27.16b}}, [{w}]",
            $($line,)*
            w = out(reg) _,
            places = in(reg) SIDE_BY_SIDE.as_ptr(),
            starts = in(reg) $numbers[0],
            multipliers = in(reg) row.packed.wrapping_add(4 * WIDTH),
            scales = in(reg) $numbers[1],
            rule = in(reg) row.rule.as_ptr(),
            right = in(reg) row.job.tap_steps[1],
            step = in(reg) row.step,
            x0 = inout(reg) row.x => _,
            x1 = inout(reg) row.x.wrapping_add(row.job.tap_steps[0]) => _,
            x2 = inout(reg) row.x.wrapping_add(2 * row.job.tap_steps[0]) => _,
            y = inout(reg) row.y => _,
            left = inout(reg) row.pixels => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
            row = row.below();
        }
    }};
}

/// A row of pixels that share two columns with the next.
macro_rules! sharing_two {
    ($row:ident, $end:ident, $numbers:expr) => {
        row!(
            $row,
            $numbers,
            column!(0, 1, 2, 3),
            column!(4, 5, 6, 7),
            "2:",
            column!(8, 9, 10, 11),
            pixel!($end, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
            "subs {left}, {left}, #1",
            "b.eq 3f",
            column!(0, 1, 2, 3),
            pixel!($end, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3),
            "subs {left}, {left}, #1",
            "b.eq 3f",
            column!(4, 5, 6, 7),
            pixel!($end, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7),
            "subs {left}, {left}, #1",
            "b.ne 2b",
            "3:"
        )
    };
}

/// A row of pixels that share one column with the next.
macro_rules! sharing_one {
    ($row:ident, $end:ident, $numbers:expr) => {
        row!(
            $row,
            $numbers,
            column!(0, 1, 2, 3),
            "2:",
            column!(4, 5, 6, 7),
            column!(8, 9, 10, 11),
            pixel!($end, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
            "subs {left}, {left}, #1",
            "b.eq 3f",
            column!(4, 5, 6, 7),
            column!(0, 1, 2, 3),
            pixel!($end, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3),
            "subs {left}, {left}, #1",
            "b.ne 2b",
            "3:"
        )
    };
}

/// # Safety
/// As `rows::run`; the processor has the dot product, and there is at least one pixel.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn run(row: &Row<'_>, shared: usize) {
    // SAFETY: the caller's promise: of each column 16 elements of three rows are read, of each pixel 16 written.
    unsafe {
        let packed = [row.packed, row.packed.wrapping_add(4 * WIDTH)];
        let higher: [*const u8; 2] =
            [row.rounding.starts.as_ptr().cast(), row.rounding.minus.as_ptr().cast()];
        match (shared, row.rounding.ease()) {
            (2, Ease::Positive) => sharing_two!(row, end_positive, higher),
            (2, Ease::Fits) => sharing_two!(row, end_fitting, packed),
            (2, Ease::None) => sharing_two!(row, end_any, packed),
            (_, Ease::Positive) => sharing_one!(row, end_positive, higher),
            (_, Ease::Fits) => sharing_one!(row, end_fitting, packed),
            (_, Ease::None) => sharing_one!(row, end_any, packed),
        }
    }
}
