//! `smmla` multiplies two windows by two columns, eight elements deep: four sums of a vector.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vcombine_s8, vld1_s8, vld1q_dup_s64, vreinterpretq_s32_s64,
};
use std::arch::asm;

use super::super::loads;
use super::super::tiles::{self, LANES};
use super::super::windows::{self, Loops, Segments, Windows, window};
use super::tile;
use crate::int8::convolution::Operands;
use crate::int8::packing::Panels;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,i8mm")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    // SAFETY: the caller's promise.
    unsafe { tiles::run::<Matrices>(operands) }
}

struct Matrices;

// SAFETY: up to 16 bytes are read where at least one element is left, and whole panels.
unsafe impl Windows for Matrices {
    const PANELS: Panels = super::PANELS;
    const TALL: usize = 8;
    const PAIRED: bool = true;

    #[inline(always)]
    unsafe fn sums<const V: usize, const R: usize>(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; R],
    ) -> [[int32x4_t; V]; R] {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { windows::sums::<Self, V, R>(segments, packed, x, windows) }
    }
}

// SAFETY: as above.
unsafe impl Loops for Matrices {
    #[inline(always)]
    unsafe fn wide(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; 4],
    ) -> [[int32x4_t; 4]; 4] {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { tile::wide(segments, packed, x, windows) }
    }

    #[inline(always)]
    unsafe fn tall(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; 8],
    ) -> [[int32x4_t; 2]; 8] {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { tile::tall(segments, packed, x, windows) }
    }

    #[inline(always)]
    unsafe fn plain<const V: usize, const R: usize>(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; R],
    ) -> [[int32x4_t; V]; R] {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { plain(segments, packed, x, windows) }
    }
}

/// Sums of two windows and two columns each, of pairs of windows.
type Sums<const V: usize> = [[[int32x4_t; 2]; V]; 2];

/// Any tile of at most four windows, else as `Windows::sums`.
#[inline(always)]
unsafe fn plain<const V: usize, const R: usize>(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; R],
) -> [[int32x4_t; V]; R] {
    let mut weights = packed.wrapping_add(8 * LANES * V);
    // SAFETY: as in `Windows::sums`; a panel begins with what its sums start from.
    unsafe {
        let starts: [[int32x4_t; 2]; V] = std::array::from_fn(|v| {
            let pair = |i: usize| {
                let start = packed.add(4 * LANES * v + 8 * i);
                vreinterpretq_s32_s64(vld1q_dup_s64(start.cast()))
            };
            [pair(0), pair(1)]
        });
        let mut sums: Sums<V> = [starts; 2];
        for &offset in segments.offsets {
            let mut x = x.wrapping_add(offset);
            for _ in 0..segments.elements.div_ceil(8) {
                for (pair, sums) in sums.iter_mut().enumerate().take(R.div_ceil(2)) {
                    let eight = |r: usize| vld1_s8(x.add(windows[r.min(R - 1)]).cast());
                    let rows = vcombine_s8(eight(2 * pair), eight(2 * pair + 1));
                    for (v, sum) in sums.iter_mut().enumerate() {
                        let [a, b]: [int8x16_t; 2] = loads::bytes(weights.add(8 * LANES * v));
                        let [left, right] = *sum;
                        *sum = [multiply(left, rows, a), multiply(right, rows, b)];
                    }
                }
                weights = weights.wrapping_add(8 * LANES * V);
                x = x.wrapping_add(8);
            }
        }
        std::array::from_fn(|r| std::array::from_fn(|v| window(sums[r / 2][v], r % 2)))
    }
}

/// To the four sums, the products of two windows with two columns.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn multiply(sums: int32x4_t, rows: int8x16_t, columns: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: `smmla` reads and writes only these registers.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sums = inout(vreg) sums, rows = in(vreg) rows, columns = in(vreg) columns,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}
