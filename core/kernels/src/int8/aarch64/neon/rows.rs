//! Rows of 3×3 windows: the products of two taps are added in 16 bits. As whole loops, so that weights and columns stay in
//! registers.
use std::arch::asm;

use super::super::rounding::Ease;
use super::super::rows::{Row, WIDTH, any, fitting, scale};
use crate::int8::depthwise::Depthwise;
use crate::int8::packing::Filter;

/// A block's starts, its multipliers and its weights: a vector of each tap, column by column.
pub const BLOCK_BYTES: usize = (4 + 4 + 9) * WIDTH;

/// Packs weights \[channel\]\[tap\]; a block that has more room than there are channels begins anew with the first.
pub fn pack(job: &Depthwise, filter: &Filter<'_>, blocks: usize, out: &mut [u8]) {
    for (number, block) in out.chunks_exact_mut(BLOCK_BYTES).take(blocks).enumerate() {
        let (starts, rest) = block.split_at_mut(4 * WIDTH);
        let (multipliers, weights) = rest.split_at_mut(4 * WIDTH);
        for lane in 0..WIDTH {
            let channel = (number * WIDTH + lane) % job.channels;
            starts.as_chunks_mut().0[lane] = filter.start(channel, 0).to_le_bytes();
            multipliers.as_chunks_mut().0[lane] = (filter.multipliers)(channel).to_le_bytes();
            for tap in 0..9 {
                let (column, row) = (tap / 3, tap % 3);
                weights[tap * WIDTH + lane] = filter.weights[9 * channel + 3 * row + column];
            }
        }
    }
}

/// Reads the next column of elements.
macro_rules! column {
    ($a:literal, $b:literal, $c:literal) => {
        concat!(
            "ld1 {{v",
            $a,
            ".16b}}, [{x0}], {right}\n",
            "ld1 {{v",
            $b,
            ".16b}}, [{x1}], {right}\n",
            "ld1 {{v",
            $c,
            ".16b}}, [{x2}], {right}\n",
        )
    };
}

/// Adds what is in v9 and v10 to the sums.
macro_rules! add {
    () => {
        concat!(
            "saddw v28.4s, v28.4s, v9.4h\n",
            "saddw2 v29.4s, v29.4s, v9.8h\n",
            "saddw v30.4s, v30.4s, v10.4h\n",
            "saddw2 v31.4s, v31.4s, v10.8h\n",
        )
    };
}

/// The products of `$x` with the weights `$w`.
macro_rules! one {
    ($x:literal, $w:literal) => {
        concat!(
            "smull v9.8h, v",
            $x,
            ".8b, v",
            $w,
            ".8b\n",
            "smull2 v10.8h, v",
            $x,
            ".16b, v",
            $w,
            ".16b\n",
        )
    };
}

macro_rules! two {
    ($x:literal, $w:literal, $y:literal, $v:literal) => {
        concat!(
            one!($x, $w),
            "smlal v9.8h, v",
            $y,
            ".8b, v",
            $v,
            ".8b\n",
            "smlal2 v10.8h, v",
            $y,
            ".16b, v",
            $v,
            ".16b\n",
            add!(),
        )
    };
}

/// `fitting`, of numbers where `scale` leaves them.
macro_rules! in_place {
    ($whole:literal, $low:literal, $high:literal) => {
        fitting!($whole, 28, 29, 30, 31)
    };
}

/// A pixel of three columns.
macro_rules! pixel {
    ($end:ident, $a:literal, $b:literal, $c:literal, $d:literal, $e:literal, $f:literal, $g:literal, $h:literal, $i:literal) => {
        concat!(
            "ld1 {{v28.4s-v31.4s}}, [{starts}]\n",
            two!($a, 16, $b, 17),
            two!($c, 18, $d, 19),
            two!($e, 20, $f, 21),
            two!($g, 22, $h, 23),
            one!($i, 24),
            add!(),
            scale!(12, 13, 14, 15),
            $end!(25, 26, 27),
        )
    };
}

macro_rules! row {
    ($row:ident, $($line:expr),*) => {{
        let mut row = *$row;
        for _ in 0..row.rows {
        asm!(
            "ld1 {{v12.4s-v15.4s}}, [{w}], #64",
            "ld1 {{v16.16b-v19.16b}}, [{w}], #64",
            "ld1 {{v20.16b-v23.16b}}, [{w}], #64",
            "ld1 {{v24.16b}}, [{w}]",
            "ld1 {{v25.16b-v27.16b}}, [{rule}]",
            $($line,)*
            w = inout(reg) row.packed.wrapping_add(4 * WIDTH) => _,
            starts = in(reg) row.packed,
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
            out("v8") _, out("v9") _, out("v10") _,
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
    ($row:ident, $end:ident) => {
        row!(
            $row,
            column!(0, 1, 2),
            column!(3, 4, 5),
            "2:",
            column!(6, 7, 8),
            pixel!($end, 0, 1, 2, 3, 4, 5, 6, 7, 8),
            "subs {left}, {left}, #1",
            "b.eq 3f",
            column!(0, 1, 2),
            pixel!($end, 3, 4, 5, 6, 7, 8, 0, 1, 2),
            "subs {left}, {left}, #1",
            "b.eq 3f",
            column!(3, 4, 5),
            pixel!($end, 6, 7, 8, 0, 1, 2, 3, 4, 5),
            "subs {left}, {left}, #1",
            "b.ne 2b",
            "3:"
        )
    };
}

/// A row of pixels that share one column with the next.
macro_rules! sharing_one {
    ($row:ident, $end:ident) => {
        row!(
            $row,
            column!(0, 1, 2),
            "2:",
            column!(3, 4, 5),
            column!(6, 7, 8),
            pixel!($end, 0, 1, 2, 3, 4, 5, 6, 7, 8),
            "subs {left}, {left}, #1",
            "b.eq 3f",
            column!(3, 4, 5),
            column!(0, 1, 2),
            pixel!($end, 6, 7, 8, 3, 4, 5, 0, 1, 2),
            "subs {left}, {left}, #1",
            "b.ne 2b",
            "3:"
        )
    };
}

/// # Safety
/// As `rows::run`; there is at least one pixel.
#[target_feature(enable = "neon")]
pub unsafe fn run(row: &Row<'_>, shared: usize) {
    // SAFETY: the caller's promise: of each column 16 elements of three rows are read, of each pixel 16 written.
    unsafe {
        match (shared, row.rounding.ease()) {
            (2, Ease::None) => sharing_two!(row, any),
            (2, _) => sharing_two!(row, in_place),
            (_, Ease::None) => sharing_one!(row, any),
            (_, _) => sharing_one!(row, in_place),
        }
    }
}
