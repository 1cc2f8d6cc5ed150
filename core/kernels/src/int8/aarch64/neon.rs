//! NEON without the dot product: `smull` and `sadalp`. Two sums of each column stand side by side until the end.
use std::arch::aarch64::{
    int8x16_t, vaddq_s32, vcombine_s32, vcvtnq_s32_f32, vcvtq_f32_s32, vdup_n_s32, vdupq_n_f32,
    vdupq_n_s32, vget_low_s8, vld1q_f32, vld1q_s8, vld1q_s32, vmaxq_f32, vmaxq_s32, vminq_f32,
    vmull_high_s8, vmull_s8, vmulq_f32, vpadalq_s16, vpaddq_s32, vreinterpret_s8_s32,
    vreinterpretq_s8_s32, vst1q_s32,
};

use super::super::Kernel;
use super::super::convolution::{Convolution, Operands, Tile};
use super::super::packing::Panels;

/// Columns of a vector of sums.
pub(super) const LANES: usize = 4;
const PANELS: Panels = Panels { widest: 2 * LANES, grain: LANES };

/// Proof that the processor has NEON.
pub(super) struct Neon(());

impl Neon {
    pub fn new() -> Option<&'static Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(&Self(()))
    }
}

impl Kernel for Neon {
    fn name(&self) -> &'static str {
        "aarch64-neon"
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

#[target_feature(enable = "neon")]
unsafe fn run(operands: &mut Operands<'_>, tile: &Tile) {
    // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the tile's.
    unsafe {
        match (tile.panel.width / LANES, tile.rows) {
            (1, 1) => block::<1, 1>(operands, tile),
            (1, _) => block::<1, 4>(operands, tile),
            (_, 1) => block::<2, 1>(operands, tile),
            (_, _) => block::<2, 4>(operands, tile),
        }
    }
}

/// `V` vectors of columns of `R` pixels.
///
/// # Safety
/// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R` rows.
#[target_feature(enable = "neon")]
unsafe fn block<const V: usize, const R: usize>(operands: &mut Operands<'_>, tile: &Tile) {
    let panel = operands.packed[tile.panel.start..][..tile.panel.bytes].as_ptr();
    let multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    let mut sums = [[[vdupq_n_s32(0); 2]; V]; R];
    for &offset in &operands.job.offsets {
        let x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.bases[r] + offset));
        for step in 0..steps {
            let w: [int8x16_t; V] = std::array::from_fn(|v| {
                // SAFETY: the panel has V vectors for each step of each segment.
                unsafe { vld1q_s8(weights.add(4 * LANES * v).cast()) }
            });
            weights = weights.wrapping_add(4 * LANES * V);
            for r in 0..R {
                // SAFETY: `Convolution::input_bytes` counts every window with its segments in whole steps.
                let four = unsafe { x[r].add(4 * step).cast::<i32>().read_unaligned() };
                let low = vdup_n_s32(four);
                let four = vreinterpretq_s8_s32(vcombine_s32(low, low));
                for v in 0..V {
                    let products = vmull_s8(vget_low_s8(w[v]), vreinterpret_s8_s32(low));
                    sums[r][v][0] = vpadalq_s16(sums[r][v][0], products);
                    sums[r][v][1] = vpadalq_s16(sums[r][v][1], vmull_high_s8(w[v], four));
                }
            }
        }
    }
    let mut words = [[[0; LANES]; V]; R];
    for r in 0..R {
        for v in 0..V {
            let sum = vpaddq_s32(sums[r][v][0], sums[r][v][1]);
            // SAFETY: a panel begins with V vectors of starts, as `packing` says; the array has the size of a vector.
            unsafe {
                let start = vld1q_s32(panel.add(4 * LANES * v).cast());
                vst1q_s32(words[r][v].as_mut_ptr(), vaddq_s32(start, sum));
            }
        }
    }
    let job = operands.job;
    operands.pixels(tile, &words, |sums, out| {
        // SAFETY: the multipliers follow the starts, one for each word of a row.
        unsafe { store(sums, multipliers, job, out) };
    });
}

/// Applies the rounding rule to the greatest of the members' sums and writes the columns that there are. Sums come
/// by way of memory, since a loop over a row of registers would keep them all in memory during the sums.
///
/// # Safety
/// The processor has NEON; there are as many multipliers as sums of a window.
#[target_feature(enable = "neon")]
pub(super) unsafe fn store<const V: usize>(
    members: &[[[i32; LANES]; V]],
    multipliers: *const u8,
    job: &Convolution,
    out: &mut [u8],
) {
    let (low, high) = job.output.steps();
    let (low, high) = (vdupq_n_f32(low), vdupq_n_f32(high));
    let zero_point = vdupq_n_s32(job.output.zero_point());
    for (v, out) in out.chunks_mut(LANES).enumerate() {
        // SAFETY: each array has the size of a vector.
        let sums = |member: &[[i32; LANES]; V]| unsafe { vld1q_s32(member[v].as_ptr()) };
        let sum = members[1..]
            .iter()
            .fold(sums(&members[0]), |greatest, member| vmaxq_s32(greatest, sums(member)));
        // SAFETY: the caller gives as many multipliers.
        let multiplier = unsafe { vld1q_f32(multipliers.cast::<f32>().add(LANES * v)) };
        let steps = vmulq_f32(vcvtq_f32_s32(sum), multiplier);
        let steps = vminq_f32(vmaxq_f32(steps, low), high);
        let words = vaddq_s32(vcvtnq_s32_f32(steps), zero_point);
        let mut elements = [[0_u8; 4]; LANES];
        // SAFETY: the array has the size of a vector.
        unsafe { vst1q_s32(elements.as_mut_ptr().cast(), words) };
        for (out, [lowest, ..]) in out.iter_mut().zip(elements) {
            *out = lowest;
        }
    }
}
