//! AVX-512 with VNNI: `vpdpbusd` adds four products of an unsigned and a signed byte to each of 16 sums.
use std::arch::x86_64::{
    __m512i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_mask_storeu_epi8, _mm512_add_epi32,
    _mm512_cvt_roundps_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_epi32, _mm512_max_ps, _mm512_min_ps,
    _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_si512,
};

use super::super::Kernel;
use super::super::convolution::{Convolution, Operands, Tile};
use super::super::packing::{Panel, Panels};

/// Columns of a vector.
const LANES: usize = 16;
const PANELS: Panels = Panels { widest: 4 * LANES, grain: LANES };
const FLIP: u8 = 0x80;

/// Proof that the processor has AVX-512 F, BW, VL and VNNI.
pub(super) struct Avx512Vnni(());

impl Avx512Vnni {
    pub fn new() -> Option<&'static Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(&Self(()))
    }
}

impl Kernel for Avx512Vnni {
    fn name(&self) -> &'static str {
        "x86_64-avx512vnni"
    }

    fn flip(&self) -> u8 {
        FLIP
    }

    fn panels(&self) -> Panels {
        PANELS
    }

    fn convolve(&self, job: &Convolution, packed: &[u8], x: &[u8], y: &mut [u8]) {
        Operands::new(job, PANELS, packed, x, y).tiles(rows, |operands, tile| {
            // SAFETY: `self` proves the instructions; `Operands` has checked the memory, and the tile is its own.
            unsafe { run(operands, tile) }
        });
    }
}

/// As many pixels as leave registers for the sums, the weights and one broadcast.
fn rows(panel: Panel) -> usize {
    match panel.width / LANES {
        1 => 14,
        2 => 12,
        3 => 8,
        _ => 6,
    }
}

/// Picks the tile that wastes least.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn run(operands: &mut Operands<'_>, tile: &Tile) {
    // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the tile's.
    unsafe {
        match (tile.panel.width / LANES, tile.rows) {
            (1, 1) => block::<1, 1>(operands, tile),
            (1, ..=4) => block::<1, 4>(operands, tile),
            (1, ..=8) => block::<1, 8>(operands, tile),
            (1, _) => block::<1, 14>(operands, tile),
            (2, 1) => block::<2, 1>(operands, tile),
            (2, ..=4) => block::<2, 4>(operands, tile),
            (2, ..=8) => block::<2, 8>(operands, tile),
            (2, _) => block::<2, 12>(operands, tile),
            (3, 1) => block::<3, 1>(operands, tile),
            (3, ..=4) => block::<3, 4>(operands, tile),
            (3, _) => block::<3, 8>(operands, tile),
            (_, 1) => block::<4, 1>(operands, tile),
            (_, ..=3) => block::<4, 3>(operands, tile),
            (_, _) => block::<4, 6>(operands, tile),
        }
    }
}

/// `V` vectors of columns of `R` pixels.
///
/// # Safety
/// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn block<const V: usize, const R: usize>(operands: &mut Operands<'_>, tile: &Tile) {
    let panel = operands.packed[tile.panel.start..][..tile.panel.bytes].as_ptr();
    let multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    // SAFETY: a panel begins with two vectors of V × 16 words, as `packing` says.
    let starts: [_; V] = std::array::from_fn(|v| unsafe { load(panel, v) });
    let mut sums = [starts; R];
    for &offset in &operands.job.offsets {
        let x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.bases[r] + offset));
        for step in 0..steps {
            // SAFETY: the panel has V vectors for each step of each segment.
            let w: [__m512i; V] = std::array::from_fn(|v| unsafe { load(weights, v) });
            weights = weights.wrapping_add(4 * LANES * V);
            for r in 0..R {
                // SAFETY: `Convolution::input_bytes` counts every window with its segments in whole steps.
                let four = unsafe { x[r].add(4 * step).cast::<i32>().read_unaligned() };
                let four = _mm512_set1_epi32(four);
                for v in 0..V {
                    sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], four, w[v]);
                }
            }
        }
    }
    let mut words = [[[0; LANES]; V]; R];
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the array has the size of a vector.
            unsafe { _mm512_storeu_si512(words[r][v].as_mut_ptr().cast(), sums[r][v]) };
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
/// The processor has the instructions; there are as many multipliers as sums of a window.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn store<const V: usize>(
    members: &[[[i32; LANES]; V]],
    multipliers: *const u8,
    job: &Convolution,
    out: &mut [u8],
) {
    let (low, high) = job.output.steps();
    let (low, high) = (_mm512_set1_ps(low), _mm512_set1_ps(high));
    let zero_point = _mm512_set1_epi32(job.output.zero_point() + i32::from(FLIP));
    for (v, out) in out.chunks_mut(LANES).enumerate() {
        // SAFETY: each array has the size of a vector.
        let sums = |member: &[[i32; LANES]; V]| unsafe { load(member[v].as_ptr().cast(), 0) };
        let sum = members[1..]
            .iter()
            .fold(sums(&members[0]), |greatest, member| _mm512_max_epi32(greatest, sums(member)));
        // SAFETY: the caller gives as many multipliers.
        let multiplier = unsafe { _mm512_loadu_ps(multipliers.cast::<f32>().add(LANES * v)) };
        let steps = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), multiplier);
        let steps = _mm512_min_ps(_mm512_max_ps(steps, low), high);
        let nearest =
            _mm512_cvt_roundps_epi32::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(steps);
        let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(nearest, zero_point));
        let mask = u16::MAX >> (LANES - out.len());
        // SAFETY: the mask leaves out what is beyond `out`.
        unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr().cast(), mask, bytes) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(words: *const u8, v: usize) -> __m512i {
    // SAFETY: the caller's promise: there are more than v vectors.
    unsafe { _mm512_loadu_si512(words.add(4 * LANES * v).cast()) }
}
