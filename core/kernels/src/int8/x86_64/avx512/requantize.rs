//! The rounding rule on vectors.
use std::arch::x86_64::{
    __m512, __m512i, _mm_storeu_si128, _mm512_adds_epi16, _mm512_castsi512_si128,
    _mm512_cvtepi32_ps, _mm512_cvtps_epi32, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_storeu_epi8, _mm512_max_epu8, _mm512_min_epu8, _mm512_min_ps, _mm512_mul_ps,
    _mm512_packs_epi32, _mm512_packus_epi16, _mm512_permutexvar_epi32, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_ps, _mm512_storeu_si512,
};

use super::{FLIP, LANES};
use crate::int8::rounding::Output;

/// An [`Output`] in vectors.
#[derive(Clone, Copy)]
pub struct Rule {
    high_steps: __m512,
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
}

impl Rule {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub fn new(output: Output) -> Self {
        let [low, high] = output.limits(FLIP).map(|byte| _mm512_set1_epi8(byte.cast_signed()));
        Self {
            high_steps: _mm512_set1_ps(output.steps().1),
            zero_point: _mm512_set1_epi16(output.wide_zero_point(FLIP)),
            low,
            high,
        }
    }

    /// Bytes of `V` vectors of sums: lane by lane, each lane's four of the first vector, then of the second, …
    ///
    /// Numbers too great for 32 bits are cut before they are converted; those too small become the least of all. What
    /// is rounded first and clamped as bytes later is the same, as both bounds are whole numbers. `vcvtps2dq` rounds
    /// to nearest, ties to even, unless somebody has changed MXCSR, which Rust does not allow.
    ///
    /// # Safety
    /// `multipliers` points to `V` vectors.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn bytes<const V: usize>(
        &self,
        sums: [__m512i; V],
        multipliers: *const u8,
    ) -> __m512i {
        let nearest: [__m512i; V] = std::array::from_fn(|v| {
            // SAFETY: the caller's promise.
            let multiplier = unsafe { _mm512_loadu_ps(multipliers.cast::<f32>().add(LANES * v)) };
            let steps = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[v]), multiplier);
            _mm512_cvtps_epi32(_mm512_min_ps(steps, self.high_steps))
        });
        let pair = |a: usize, b: usize| {
            let (a, b) = (nearest[a.min(V - 1)], nearest[b.min(V - 1)]);
            _mm512_adds_epi16(_mm512_packs_epi32(a, b), self.zero_point)
        };
        let low = pair(0, 1);
        let bytes = _mm512_packus_epi16(low, if V > 2 { pair(2, 3) } else { low });
        _mm512_min_epu8(_mm512_max_epu8(bytes, self.low), self.high)
    }
}

/// Four bytes of each lane of each of `V` vectors, in the order of the vectors: where they lie lane by lane.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "all below 16")]
const fn order<const V: usize>() -> [i32; LANES] {
    let mut order = [0; LANES];
    let mut at = 0;
    while at < 4 * V {
        let (vector, lane) = (at / 4, at % 4);
        order[at] = (4 * lane + vector) as i32;
        at += 1;
    }
    order
}

/// Brings the bytes of `V` vectors into the order of the vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn natural<const V: usize>(bytes: __m512i) -> __m512i {
    let order = const { order::<V>() };
    // SAFETY: the array has the size of a vector.
    let order = unsafe { _mm512_loadu_si512(order.as_ptr().cast()) };
    _mm512_permutexvar_epi32(order, bytes)
}

/// Writes the first `count` bytes.
///
/// # Safety
/// `out` has room for `count` bytes, 1 to 64.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn write(bytes: __m512i, out: *mut u8, count: usize) {
    // SAFETY: the caller's promise; the mask leaves out what is beyond.
    unsafe {
        match count {
            64 => _mm512_storeu_si512(out.cast(), bytes),
            16 => _mm_storeu_si128(out.cast(), _mm512_castsi512_si128(bytes)),
            _ => _mm512_mask_storeu_epi8(out.cast(), u64::MAX >> (64 - count), bytes),
        }
    }
}
