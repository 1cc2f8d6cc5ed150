//! `smull`, `smlal` and `sadalp`. Two sums of each column stand side by side until the end.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_s32, vget_low_s8, vld1q_dup_s32, vld2q_dup_s32, vmlal_high_s8,
    vmlal_s8, vmull_high_s8, vmull_s8, vpadalq_s16, vpaddq_s32, vreinterpretq_s8_s32, vzip1q_s32,
    vzip2q_s32,
};

use super::super::loads;
use super::super::tiles::{self, LANES};
use super::super::windows::{Segments, Windows};
use super::tile;
use crate::int8::convolution::Operands;
use crate::int8::packing::Panels;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    // SAFETY: the caller's promise.
    unsafe { tiles::run::<Products>(operands) }
}

struct Products;

type Sums<const V: usize, const R: usize> = [[[int32x4_t; 2]; V]; R];

// SAFETY: only elements in whole steps of four are read, and whole panels.
unsafe impl Windows for Products {
    const PANELS: Panels = super::PANELS;
    const TALL: usize = 4;

    /// Beside each other as two sums of each column are.
    #[inline(always)]
    unsafe fn starts<const V: usize>(packed: *const u8) -> [[int32x4_t; 2]; V] {
        // SAFETY: a panel begins with what its sums start from.
        unsafe {
            let (none, starts) = (vdupq_n_s32(0), loads::words::<V>(packed));
            starts.map(|start| [vzip1q_s32(start, none), vzip2q_s32(start, none)])
        }
    }

    #[inline(always)]
    unsafe fn sums<const V: usize, const R: usize>(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; R],
    ) -> [[int32x4_t; V]; R] {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            if (V, R) == (2, 4) && segments.two_products_fit {
                let sums = tile::tile(segments, packed, x, std::array::from_fn(|r| windows[r]));
                std::array::from_fn(|r| std::array::from_fn(|v| sums[r][v]))
            } else {
                plain(segments, packed, x, windows)
            }
        }
    }
}

/// Any tile, else as `Windows::sums`.
#[inline(always)]
unsafe fn plain<const V: usize, const R: usize>(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; R],
) -> [[int32x4_t; V]; R] {
    let mut weights = packed.wrapping_add(8 * LANES * V);
    let steps = segments.elements.div_ceil(4);
    // SAFETY: as in `Windows::sums`.
    unsafe {
        let starts: [[int32x4_t; 2]; V] = segments.starts.cast::<[[int32x4_t; 2]; V]>().read();
        let mut sums: Sums<V, R> = [starts; R];
        for &offset in segments.offsets {
            let mut x = x.wrapping_add(offset);
            let mut left = steps;
            while segments.two_products_fit && left >= 2 {
                two_steps(&mut sums, weights, x, &windows);
                weights = weights.wrapping_add(8 * LANES * V);
                x = x.wrapping_add(8);
                left -= 2;
            }
            while left > 0 {
                step(&mut sums, weights, x, &windows);
                weights = weights.wrapping_add(4 * LANES * V);
                x = x.wrapping_add(4);
                left -= 1;
            }
        }
        sums.map(|row| row.map(|[a, b]| vpaddq_s32(a, b)))
    }
}

/// # Safety
/// There are V vectors of weights; each window has four more elements.
#[inline(always)]
unsafe fn step<const V: usize, const R: usize>(
    sums: &mut Sums<V, R>,
    weights: *const u8,
    x: *const u8,
    windows: &[usize; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let w: [int8x16_t; V] = loads::bytes(weights);
        for r in 0..R {
            let four = vreinterpretq_s8_s32(vld1q_dup_s32(x.add(windows[r]).cast()));
            for v in 0..V {
                let low = vmull_s8(vget_low_s8(w[v]), vget_low_s8(four));
                sums[r][v][0] = vpadalq_s16(sums[r][v][0], low);
                sums[r][v][1] = vpadalq_s16(sums[r][v][1], vmull_high_s8(w[v], four));
            }
        }
    }
}

/// Two steps at once, whose products are added in 16 bits.
///
/// # Safety
/// There are 2 V vectors of weights; each window has eight more elements.
#[inline(always)]
unsafe fn two_steps<const V: usize, const R: usize>(
    sums: &mut Sums<V, R>,
    weights: *const u8,
    x: *const u8,
    windows: &[usize; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let w: [int8x16_t; V] = loads::bytes(weights);
        let next: [int8x16_t; V] = loads::bytes(weights.wrapping_add(4 * LANES * V));
        for r in 0..R {
            let pair = vld2q_dup_s32(x.add(windows[r]).cast());
            let [four, four_next] = [pair.0, pair.1].map(|four| vreinterpretq_s8_s32(four));
            for v in 0..V {
                add_two(&mut sums[r][v], [w[v], next[v]], [four, four_next]);
            }
        }
    }
}

/// The products of two steps with one vector of columns.
#[inline(always)]
fn add_two(sums: &mut [int32x4_t; 2], [w, next]: [int8x16_t; 2], [x, x_next]: [int8x16_t; 2]) {
    // SAFETY: every 64-bit ARM has NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
        let low = vmlal_s8(low, vget_low_s8(next), vget_low_s8(x_next));
        let high = vmlal_high_s8(vmull_high_s8(w, x), next, x_next);
        sums[0] = vpadalq_s16(sums[0], low);
        sums[1] = vpadalq_s16(sums[1], high);
    }
}
