//! Tiles of up to four vectors of columns; 16 elements of a window are read at once, a lane of four for each step.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vld1q_dup_s32, vld1q_s8, vld1q_s32, vmaxq_s32, vreinterpretq_s8_s32,
};
use std::arch::asm;

use super::super::neon::LANES;
use super::super::neon::requantize::{self, Rule, write};
use crate::int8::convolution::{Operands, Tile};

/// Windows of a tile.
const ROWS: usize = 4;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    let rule = Rule::new(operands.job.output);
    operands.tiles(
        |_| ROWS,
        |operands, tile| {
            // SAFETY: this function has the instructions; the tile is one of `operands`.
            unsafe {
                match operands.job.members.len() {
                    1 => vectors::<1>(operands, tile, &rule),
                    2 => vectors::<2>(operands, tile, &rule),
                    3 => vectors::<3>(operands, tile, &rule),
                    _ => vectors::<4>(operands, tile, &rule),
                }
            }
        },
    );
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn vectors<const M: usize>(operands: &mut Operands<'_>, tile: &Tile, rule: &Rule) {
    // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the tile's.
    unsafe {
        match (tile.panel.width / LANES, tile.rows) {
            (1, 1) => block::<1, 1, 1>(operands, tile, rule),
            (1, _) => block::<1, ROWS, M>(operands, tile, rule),
            (2, 1) => block::<2, 1, 1>(operands, tile, rule),
            (2, _) => block::<2, ROWS, M>(operands, tile, rule),
            (3, 1) => block::<3, 1, 1>(operands, tile, rule),
            (3, _) => block::<3, ROWS, M>(operands, tile, rule),
            (_, 1) => block::<4, 1, 1>(operands, tile, rule),
            (_, _) => block::<4, ROWS, M>(operands, tile, rule),
        }
    }
}

/// `V` vectors of columns of `R` windows, `M` for each pixel.
///
/// # Safety
/// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R` rows.
#[target_feature(enable = "neon,dotprod")]
unsafe fn block<const V: usize, const R: usize, const M: usize>(
    operands: &mut Operands<'_>,
    tile: &Tile,
    rule: &Rule,
) {
    let panel = operands.packed.as_ptr().wrapping_add(tile.panel.start);
    let multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    let starts: [int32x4_t; V] = std::array::from_fn(|v| {
        // SAFETY: a panel begins with V vectors of starts, as `packing` says.
        unsafe { vld1q_s32(panel.add(4 * LANES * v).cast()) }
    });
    let mut sums = [starts; R];
    for &offset in &operands.job.offsets {
        let x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.base(r) + offset));
        // Four steps at a time, each of which reads its own lane; then the rest one by one.
        for sixteen in 0..steps / 4 {
            let x: [int8x16_t; R] = std::array::from_fn(|r| {
                // SAFETY: `Convolution::input_bytes` counts every window with its segments in whole steps.
                unsafe { vld1q_s8(x[r].add(16 * sixteen).cast()) }
            });
            // SAFETY: the panel has V vectors for each step of each segment.
            unsafe {
                step::<V, R, 0>(&mut sums, &mut weights, &x);
                step::<V, R, 1>(&mut sums, &mut weights, &x);
                step::<V, R, 2>(&mut sums, &mut weights, &x);
                step::<V, R, 3>(&mut sums, &mut weights, &x);
            }
        }
        for last in steps / 4 * 4..steps {
            let x: [int8x16_t; R] = std::array::from_fn(|r| {
                // SAFETY: as above.
                vreinterpretq_s8_s32(unsafe { vld1q_dup_s32(x[r].add(4 * last).cast()) })
            });
            // SAFETY: as above.
            unsafe { step::<V, R, 0>(&mut sums, &mut weights, &x) };
        }
    }
    // SAFETY: the multipliers follow the starts.
    let multipliers: [_; V] = unsafe { requantize::load(multipliers) };
    let rule = *rule;
    for pixel in 0..R / M {
        if pixel * M < tile.rows {
            let mut greatest = sums[pixel * M];
            for m in 1..M {
                for v in 0..V {
                    greatest[v] = vmaxq_s32(greatest[v], sums[pixel * M + m][v]);
                }
            }
            let out = operands.y.as_mut_ptr().wrapping_add(tile.out(pixel));
            // SAFETY: `Operands` has checked that the columns lie in the output.
            unsafe { write(rule.bytes(greatest, multipliers), out, tile.panel.columns) }
        }
    }
}

/// Adds the products of lane `L` of every pixel with the next weights.
///
/// # Safety
/// The processor has the dot product; there are V more vectors of weights.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn step<const V: usize, const R: usize, const L: usize>(
    sums: &mut [[int32x4_t; V]; R],
    weights: &mut *const u8,
    x: &[int8x16_t; R],
) {
    for v in 0..V {
        // SAFETY: the caller's promise.
        let w = unsafe { vld1q_s8(weights.add(4 * LANES * v).cast()) };
        for r in 0..R {
            sums[r][v] = dot::<L>(sums[r][v], w, x[r]);
        }
    }
    *weights = weights.wrapping_add(4 * LANES * V);
}

/// To each sum, four weights times the four elements of lane `L`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot<const L: usize>(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: `sdot` reads and writes only these registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            sum = inout(vreg) sum, w = in(vreg) w, x = in(vreg) x, lane = const L,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}
