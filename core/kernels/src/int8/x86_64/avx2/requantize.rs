//! The rounding rule on vectors.
use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_max_epu8, _mm_min_epu8, _mm_set1_epi8, _mm_storel_epi64,
    _mm_storeu_si128, _mm256_adds_epi16, _mm256_castsi256_si128, _mm256_cvtepi32_ps,
    _mm256_cvtps_epi32, _mm256_loadu_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permutevar8x32_epi32, _mm256_set1_epi16, _mm256_set1_ps,
    _mm256_setr_epi32,
};

use super::{FLIP, LANES};
use crate::int8::rounding::Output;

/// An [`Output`] in vectors.
#[derive(Clone, Copy)]
pub struct Rule {
    high_steps: __m256,
    zero_point: __m256i,
    low: __m128i,
    high: __m128i,
}

impl Rule {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn new(output: Output) -> Self {
        let [low, high] = output.limits(FLIP).map(|byte| _mm_set1_epi8(byte.cast_signed()));
        Self {
            high_steps: _mm256_set1_ps(output.steps().1),
            zero_point: _mm256_set1_epi16(output.wide_zero_point(FLIP)),
            low,
            high,
        }
    }

    /// Bytes of two vectors of sums.
    ///
    /// Numbers too great for 32 bits are cut before they are converted; those too small become the least of all. What
    /// is rounded first and clamped as bytes later is the same, as both bounds are whole numbers. `vcvtps2dq` rounds
    /// to nearest, ties to even, unless somebody has changed MXCSR, which Rust does not allow.
    ///
    /// # Safety
    /// `multipliers` points to as many vectors as there are different sums.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn bytes<const V: usize>(
        &self,
        sums: [__m256i; V],
        multipliers: *const u8,
    ) -> __m128i {
        let nearest: [__m256i; V] = std::array::from_fn(|v| {
            // SAFETY: the caller's promise.
            let multiplier = unsafe { _mm256_loadu_ps(multipliers.cast::<f32>().add(LANES * v)) };
            let steps = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[v]), multiplier);
            _mm256_cvtps_epi32(_mm256_min_ps(steps, self.high_steps))
        });
        let wide = _mm256_packs_epi32(nearest[0], nearest[V - 1]);
        let wide = _mm256_adds_epi16(wide, self.zero_point);
        let bytes = _mm256_packus_epi16(wide, wide);
        // Packing works within lanes: the first four of a vector are in the first lane, the rest in the other.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);
        let bytes = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, order));
        _mm_min_epu8(_mm_max_epu8(bytes, self.low), self.high)
    }
}

/// Writes the first `count` bytes.
///
/// # Safety
/// `out` has room for `count` bytes, at most 16.
#[inline]
#[target_feature(enable = "avx2")]
pub unsafe fn write(bytes: __m128i, out: *mut u8, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match count {
            16 => _mm_storeu_si128(out.cast(), bytes),
            8 => _mm_storel_epi64(out.cast(), bytes),
            _ => write_some(bytes, out, count),
        }
    }
}

/// As [`write`], byte by byte. Apart from it, so that loops over pixels stay small enough to be unrolled: only then do
/// sums stay in registers.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx2")]
unsafe fn write_some(bytes: __m128i, out: *mut u8, count: usize) {
    let mut all = [0_u8; 16];
    // SAFETY: the array has the size of a vector; the caller's promise.
    unsafe {
        _mm_storeu_si128(all.as_mut_ptr().cast(), bytes);
        out.copy_from_nonoverlapping(all.as_ptr(), count);
    }
}
