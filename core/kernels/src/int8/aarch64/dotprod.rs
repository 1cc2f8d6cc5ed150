//! NEON with the dot product: `sdot` adds four products to each of four sums. Its intrinsic is not stable in the Rust
//! we build with; the instruction is.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_s32, vld1q_s8, vld1q_s32, vreinterpretq_s8_s32, vst1q_s32,
};
use std::arch::asm;

use super::super::Kernel;
use super::super::convolution::{Convolution, Operands, Tile};
use super::super::packing::Panels;
use super::neon::{LANES, store};

const PANELS: Panels = Panels { widest: 4 * LANES, grain: LANES };

/// Proof that the processor has NEON and its dot product.
pub(super) struct DotProd(());

impl DotProd {
    pub fn new() -> Option<&'static Self> {
        let has = std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("dotprod");
        has.then_some(&Self(()))
    }
}

impl Kernel for DotProd {
    fn name(&self) -> &'static str {
        "aarch64-neon-dotprod"
    }

    fn flip(&self) -> u8 {
        0
    }

    fn panels(&self) -> Panels {
        PANELS
    }

    fn convolve(&self, job: &Convolution, packed: &[u8], x: &[u8], y: &mut [u8]) {
        Operands::new(job, PANELS, packed, x, y).tiles(
            |_| 4,
            |operands, tile| {
                // SAFETY: `self` proves the instructions; `Operands` has checked the memory, and the tile is its own.
                unsafe { run(operands, tile) }
            },
        );
    }
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn run(operands: &mut Operands<'_>, tile: &Tile) {
    // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the tile's.
    unsafe {
        match (tile.panel.width / LANES, tile.rows) {
            (1, 1) => block::<1, 1>(operands, tile),
            (1, _) => block::<1, 4>(operands, tile),
            (2, 1) => block::<2, 1>(operands, tile),
            (2, _) => block::<2, 4>(operands, tile),
            (3, 1) => block::<3, 1>(operands, tile),
            (3, _) => block::<3, 4>(operands, tile),
            (_, 1) => block::<4, 1>(operands, tile),
            (_, _) => block::<4, 4>(operands, tile),
        }
    }
}

/// `V` vectors of columns of `R` pixels.
///
/// # Safety
/// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R` rows.
#[target_feature(enable = "neon,dotprod")]
unsafe fn block<const V: usize, const R: usize>(operands: &mut Operands<'_>, tile: &Tile) {
    let panel = operands.packed[tile.panel.start..][..tile.panel.bytes].as_ptr();
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
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.bases[r] + offset));
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
                let four = unsafe { x[r].add(4 * last).cast::<i32>().read_unaligned() };
                vreinterpretq_s8_s32(vdupq_n_s32(four))
            });
            // SAFETY: as above.
            unsafe { step::<V, R, 0>(&mut sums, &mut weights, &x) };
        }
    }
    let mut words = [[[0; LANES]; V]; R];
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the array has the size of a vector.
            unsafe { vst1q_s32(words[r][v].as_mut_ptr(), sums[r][v]) };
        }
    }
    let job = operands.job;
    operands.pixels(tile, &words, |sums, out| {
        // SAFETY: the multipliers follow the starts, one for each word of a row.
        unsafe { store(sums, multipliers, job, out) };
    });
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
