//! `smull` and `sadalp`. Two sums of each column stand side by side until the end.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vdupq_n_s32, vget_low_s8, vld1q_dup_s32, vld1q_s8, vld1q_s32,
    vmaxq_s32, vmlal_high_s8, vmlal_s8, vmull_high_s8, vmull_s8, vpadalq_s16, vpaddq_s32,
    vreinterpretq_s8_s32,
};

use super::LANES;
use super::requantize::{self, Rule, write};
use crate::int8::convolution::{Operands, Tile};

/// Windows of a tile: three leave registers for all that a step needs, where pixels are not made of two or four.
const fn rows(members: usize) -> usize {
    if members.is_multiple_of(2) { 4 } else { 3 }
}

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    let rule = Rule::new(operands.job.output);
    let members = operands.job.members.len();
    operands.tiles(
        |_| rows(members),
        |operands, tile| {
            // SAFETY: this function has the instructions; the tile is one of `operands`.
            unsafe {
                match members {
                    1 => vectors::<3, 1>(operands, tile, &rule),
                    2 => vectors::<4, 2>(operands, tile, &rule),
                    3 => vectors::<3, 3>(operands, tile, &rule),
                    _ => vectors::<4, 4>(operands, tile, &rule),
                }
            }
        },
    );
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn vectors<const R: usize, const M: usize>(
    operands: &mut Operands<'_>,
    tile: &Tile,
    rule: &Rule,
) {
    // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the tile's.
    unsafe {
        match (tile.panel.width / LANES, tile.rows) {
            (1, 1) => block::<1, 1, 1>(operands, tile, rule),
            (1, _) => block::<1, R, M>(operands, tile, rule),
            (_, 1) => block::<2, 1, 1>(operands, tile, rule),
            (_, _) => block::<2, R, M>(operands, tile, rule),
        }
    }
}

/// `V` vectors of columns of `R` windows, `M` for each pixel.
///
/// # Safety
/// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R` rows.
#[target_feature(enable = "neon")]
unsafe fn block<const V: usize, const R: usize, const M: usize>(
    operands: &mut Operands<'_>,
    tile: &Tile,
    rule: &Rule,
) {
    let panel = operands.packed.as_ptr().wrapping_add(tile.panel.start);
    let multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    let mut sums = [[[vdupq_n_s32(0); 2]; V]; R];
    for &offset in &operands.job.offsets {
        let mut x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.base(r) + offset));
        let mut left = steps;
        // SAFETY: the panel has V vectors for each step of each segment; `Convolution::input_bytes` counts every window
        // with its segments in whole steps.
        unsafe {
            if operands.job.two_products_fit {
                while left >= 2 {
                    two_steps(&mut sums, weights, &mut x);
                    weights = weights.wrapping_add(8 * LANES * V);
                    left -= 2;
                }
            }
            while left > 0 {
                step(&mut sums, weights, &mut x);
                weights = weights.wrapping_add(4 * LANES * V);
                left -= 1;
            }
        }
    }
    let starts: [int32x4_t; V] = std::array::from_fn(|v| {
        // SAFETY: a panel begins with V vectors of starts, as `packing` says.
        unsafe { vld1q_s32(panel.cast::<i32>().add(LANES * v)) }
    });
    let sum = |r: usize, v: usize| {
        let [a, b]: [int32x4_t; 2] = sums[r][v];
        vaddq_s32(vpaddq_s32(a, b), starts[v])
    };
    // SAFETY: the multipliers follow the starts.
    let multipliers: [_; V] = unsafe { requantize::load(multipliers) };
    let rule = *rule;
    for pixel in 0..R / M {
        if pixel * M < tile.rows {
            let mut greatest: [int32x4_t; V] = std::array::from_fn(|v| sum(pixel * M, v));
            for m in 1..M {
                for v in 0..V {
                    greatest[v] = vmaxq_s32(greatest[v], sum(pixel * M + m, v));
                }
            }
            let out = operands.y.as_mut_ptr().wrapping_add(tile.out(pixel));
            // SAFETY: `Operands` has checked that the columns lie in the output.
            unsafe { write(rule.bytes(greatest, multipliers), out, tile.panel.columns) }
        }
    }
}

type Sums<const V: usize, const R: usize> = [[[int32x4_t; 2]; V]; R];

/// # Safety
/// There are V vectors of weights; each row has four more elements.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn step<const V: usize, const R: usize>(
    sums: &mut Sums<V, R>,
    weights: *const u8,
    x: &mut [*const u8; R],
) {
    for r in 0..R {
        // SAFETY: the caller's promise.
        let four = unsafe { quad(&mut x[r]) };
        for v in 0..V {
            // SAFETY: the caller's promise.
            let w = unsafe { load(weights, v) };
            let low = vmull_s8(vget_low_s8(w), vget_low_s8(four));
            sums[r][v][0] = vpadalq_s16(sums[r][v][0], low);
            sums[r][v][1] = vpadalq_s16(sums[r][v][1], vmull_high_s8(w, four));
        }
    }
}

/// Two steps at once, whose products are added in 16 bits.
///
/// # Safety
/// There are 2 V vectors of weights; each row has eight more elements.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two_steps<const V: usize, const R: usize>(
    sums: &mut Sums<V, R>,
    weights: *const u8,
    x: &mut [*const u8; R],
) {
    // SAFETY: the caller's promise.
    let x: [_; R] = std::array::from_fn(|r| unsafe { [quad(&mut x[r]), quad(&mut x[r])] });
    for v in 0..V {
        // SAFETY: the caller's promise.
        let (w, next) = unsafe { (load(weights, v), load(weights, V + v)) };
        for r in 0..R {
            let [four, four_next] = x[r];
            let low = vmull_s8(vget_low_s8(w), vget_low_s8(four));
            let low = vmlal_s8(low, vget_low_s8(next), vget_low_s8(four_next));
            let high = vmlal_high_s8(vmull_high_s8(w, four), next, four_next);
            sums[r][v][0] = vpadalq_s16(sums[r][v][0], low);
            sums[r][v][1] = vpadalq_s16(sums[r][v][1], high);
        }
    }
}

/// The next four elements, four times.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn quad(x: &mut *const u8) -> int8x16_t {
    // SAFETY: the caller's promise.
    let four = unsafe { vld1q_dup_s32(x.cast()) };
    *x = x.wrapping_add(4);
    vreinterpretq_s8_s32(four)
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(weights: *const u8, v: usize) -> int8x16_t {
    // SAFETY: the caller's promise.
    unsafe { vld1q_s8(weights.add(4 * LANES * v).cast()) }
}
