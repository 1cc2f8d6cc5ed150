//! AVX2: `vpmaddwd` adds two products of 16-bit numbers. (`vpmaddubsw` would saturate.) Four neighbouring bytes are
//! widened as the even two and the odd two.
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_cvtepi32_ps, _mm256_cvtps_epi32,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_max_epi32, _mm256_max_ps,
    _mm256_min_ps, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_slli_epi16, _mm256_srai_epi16, _mm256_srli_epi16, _mm256_storeu_si256,
};

use super::super::Kernel;
use super::super::convolution::{Convolution, Operands, Tile};
use super::super::packing::Panels;

/// Columns of a vector.
const LANES: usize = 8;
const PANELS: Panels = Panels { widest: 2 * LANES, grain: LANES };
const FLIP: u8 = 0x80;

/// Proof that the processor has AVX2.
pub(super) struct Avx2(());

impl Avx2 {
    pub fn new() -> Option<&'static Self> {
        is_x86_feature_detected!("avx2").then_some(&Self(()))
    }
}

impl Kernel for Avx2 {
    fn name(&self) -> &'static str {
        "x86_64-avx2"
    }

    fn flip(&self) -> u8 {
        FLIP
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

#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
unsafe fn block<const V: usize, const R: usize>(operands: &mut Operands<'_>, tile: &Tile) {
    let panel = operands.packed[tile.panel.start..][..tile.panel.bytes].as_ptr();
    let multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    let low = _mm256_set1_epi16(0xFF);
    // SAFETY: a panel begins with two vectors of V × 8 words, as `packing` says.
    let starts: [_; V] = std::array::from_fn(|v| unsafe { load(panel, v) });
    let mut sums = [starts; R];
    for &offset in &operands.job.offsets {
        let x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.bases[r] + offset));
        for step in 0..steps {
            // SAFETY: the panel has V vectors for each step of each segment.
            let w: [__m256i; V] = std::array::from_fn(|v| unsafe { load(weights, v) });
            weights = weights.wrapping_add(4 * LANES * V);
            let even = w.map(|w| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)));
            let odd = w.map(|w| _mm256_srai_epi16::<8>(w));
            for r in 0..R {
                // SAFETY: `Convolution::input_bytes` counts every window with its segments in whole steps.
                let four = unsafe { x[r].add(4 * step).cast::<i32>().read_unaligned() };
                let four = _mm256_set1_epi32(four);
                let (x_even, x_odd) = (_mm256_and_si256(four, low), _mm256_srli_epi16::<8>(four));
                for v in 0..V {
                    let products = _mm256_add_epi32(
                        _mm256_madd_epi16(x_even, even[v]),
                        _mm256_madd_epi16(x_odd, odd[v]),
                    );
                    sums[r][v] = _mm256_add_epi32(sums[r][v], products);
                }
            }
        }
    }
    let mut words = [[[0; LANES]; V]; R];
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the array has the size of a vector.
            unsafe { _mm256_storeu_si256(words[r][v].as_mut_ptr().cast(), sums[r][v]) };
        }
    }
    let job = operands.job;
    operands.pixels(tile, &words, |sums, out| {
        // SAFETY: the multipliers follow the starts, one for each word of a row.
        unsafe { store(sums, multipliers, job, out) };
    });
}

/// Applies the rounding rule to the greatest of the members' sums and writes the columns that there are. Sums come
/// by way of memory, since a loop over a row of registers would keep them all in memory during the sums. `vcvtps2dq` rounds to
/// nearest, ties to even, unless somebody has changed MXCSR, which Rust does not allow.
///
/// # Safety
/// The processor has AVX2; there are as many multipliers as sums of a window.
#[target_feature(enable = "avx2")]
unsafe fn store<const V: usize>(
    members: &[[[i32; LANES]; V]],
    multipliers: *const u8,
    job: &Convolution,
    out: &mut [u8],
) {
    let (low, high) = job.output.steps();
    let (low, high) = (_mm256_set1_ps(low), _mm256_set1_ps(high));
    let zero_point = _mm256_set1_epi32(job.output.zero_point() + i32::from(FLIP));
    for (v, out) in out.chunks_mut(LANES).enumerate() {
        // SAFETY: each array has the size of a vector.
        let sums = |member: &[[i32; LANES]; V]| unsafe { load(member[v].as_ptr().cast(), 0) };
        let sum = members[1..]
            .iter()
            .fold(sums(&members[0]), |greatest, member| _mm256_max_epi32(greatest, sums(member)));
        // SAFETY: the caller gives as many multipliers.
        let multiplier = unsafe { _mm256_loadu_ps(multipliers.cast::<f32>().add(LANES * v)) };
        let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), multiplier);
        let steps = _mm256_min_ps(_mm256_max_ps(steps, low), high);
        let words = _mm256_add_epi32(_mm256_cvtps_epi32(steps), zero_point);
        let mut elements = [[0_u8; 4]; LANES];
        // SAFETY: the array has the size of a vector.
        unsafe { _mm256_storeu_si256(elements.as_mut_ptr().cast(), words) };
        for (out, [lowest, ..]) in out.iter_mut().zip(elements) {
            *out = lowest;
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(words: *const u8, v: usize) -> __m256i {
    // SAFETY: the caller's promise: there are more than v vectors.
    unsafe { _mm256_loadu_si256(words.add(4 * LANES * v).cast()) }
}
