//! 16 elements of a window are read at once, a lane of four for each step.
use std::arch::aarch64::{int8x16_t, int32x4_t, vld1q_s8};
use std::arch::asm;

use super::super::lines::Line;
use super::super::loads;
use super::super::tiles::{self, LANES};
use super::super::windows::{self, Loops, Segments, Windows};
use super::{lines, tile};
use crate::int8::convolution::Operands;
use crate::int8::packing::Panels;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    // SAFETY: the caller's promise.
    unsafe { tiles::run::<Dots>(operands) }
}

struct Dots;

// SAFETY: 16 bytes are read where at least one step of four elements is left, and whole panels.
unsafe impl Windows for Dots {
    const PANELS: Panels = super::PANELS;
    const TALL: usize = 8;
    const LINE: Option<unsafe fn(&Line<'_>)> = Some(lines::run);

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
unsafe impl Loops for Dots {
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
    let (sixteens, rest) = (steps / 4, steps % 4);
    // SAFETY: as in `Windows::sums`; a panel begins with what its sums start from.
    unsafe {
        let mut sums: [[int32x4_t; V]; R] = std::array::from_fn(|_| loads::words(packed));
        for &offset in segments.offsets {
            let mut x = x.wrapping_add(offset);
            for _ in 0..sixteens {
                let rows: [int8x16_t; R] =
                    std::array::from_fn(|r| vld1q_s8(x.add(windows[r]).cast()));
                step::<V, R, 0>(&mut sums, &mut weights, &rows);
                step::<V, R, 1>(&mut sums, &mut weights, &rows);
                step::<V, R, 2>(&mut sums, &mut weights, &rows);
                step::<V, R, 3>(&mut sums, &mut weights, &rows);
                x = x.wrapping_add(16);
            }
            if rest > 0 {
                let rows: [int8x16_t; R] =
                    std::array::from_fn(|r| vld1q_s8(x.add(windows[r]).cast()));
                step::<V, R, 0>(&mut sums, &mut weights, &rows);
                if rest > 1 {
                    step::<V, R, 1>(&mut sums, &mut weights, &rows);
                }
                if rest > 2 {
                    step::<V, R, 2>(&mut sums, &mut weights, &rows);
                }
            }
        }
        sums
    }
}

/// Adds the products of lane `L` of every window with the next weights.
///
/// # Safety
/// The processor has the dot product; there are V more vectors of weights.
#[inline(always)]
unsafe fn step<const V: usize, const R: usize, const L: usize>(
    sums: &mut [[int32x4_t; V]; R],
    weights: &mut *const u8,
    x: &[int8x16_t; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let w: [int8x16_t; V] = loads::bytes(*weights);
        *weights = weights.wrapping_add(4 * LANES * V);
        for r in 0..R {
            for v in 0..V {
                sums[r][v] = dot::<L>(sums[r][v], w[v], x[r]);
            }
        }
    }
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
