//! The rounding rule on vectors.
use std::arch::x86_64::{
    __m512, __m512i, _CMP_NLT_UQ, _mm_storeu_si128, _mm256_storeu_si256, _mm512_adds_epi16,
    _mm512_castsi512_si128, _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_extracti32x4_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_max_epu8, _mm512_min_epu8, _mm512_min_ps,
    _mm512_mul_ps, _mm512_packs_epi32, _mm512_packus_epi16, _mm512_permutexvar_epi32,
    _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_ps, _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::{FLIP, LANES};
use crate::int8::rounding::Output;

/// An [`Output`] in vectors, for the multipliers of one panel or block.
#[derive(Clone, Copy)]
pub struct Rule {
    high_steps: __m512,
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
    /// Whether bytes are steps from the zero point, up to the greatest byte: as after most rectifiers.
    plain: bool,
    /// Whether a sum, multiplied, may not fit into 32 bits.
    pub cuts: bool,
}

impl Rule {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub fn new(output: Output) -> Self {
        let limits = output.limits(FLIP);
        let [low, high] = limits.map(|byte| _mm512_set1_epi8(byte.cast_signed()));
        Self {
            high_steps: _mm512_set1_ps(output.steps().1),
            zero_point: _mm512_set1_epi16(output.wide_zero_point(FLIP)),
            low,
            high,
            plain: limits == [0, u8::MAX] && output.wide_zero_point(FLIP) == 0,
            cuts: true,
        }
    }

    /// The same for `vectors` of multipliers: where all are below 1, no sum grows.
    ///
    /// # Safety
    /// `multipliers` points to so many.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn of(self, multipliers: *const u8, vectors: usize) -> Self {
        let one = _mm512_set1_ps(1.0);
        let cuts = (0..vectors).any(|v| {
            // SAFETY: the caller's promise.
            let multiplier = unsafe { _mm512_loadu_ps(multipliers.cast::<f32>().add(LANES * v)) };
            _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(multiplier, one) != 0
        });
        Self { cuts, ..self }
    }

    /// Bytes of `N` vectors of sums, of which the i-th is multiplied by the (i mod `V`)-th vector of multipliers: lane by
    /// lane, each lane's four of the first vector, then of the second, …
    ///
    /// Numbers too great for 32 bits are to have been cut; those too small become the least of all. What is
    /// rounded first and clamped as bytes later is the same, as both bounds are whole numbers. `vcvtps2dq` rounds to
    /// nearest, ties to even, unless somebody has changed MXCSR, which Rust does not allow.
    ///
    /// # Safety
    /// `multipliers` points to `V` vectors.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn bytes<const N: usize, const V: usize, const PLAIN: bool>(
        &self,
        sums: [__m512i; N],
        multipliers: *const u8,
    ) -> __m512i {
        let nearest: [__m512i; N] = std::array::from_fn(|i| {
            // SAFETY: the caller's promise.
            _mm512_cvtps_epi32(unsafe { steps(sums[i], multipliers, i % V) })
        });
        let pair = |a: usize, b: usize| {
            let wide = _mm512_packs_epi32(nearest[a.min(N - 1)], nearest[b.min(N - 1)]);
            if PLAIN { wide } else { _mm512_adds_epi16(wide, self.zero_point) }
        };
        let low = pair(0, 1);
        let bytes = _mm512_packus_epi16(low, if N > 2 { pair(2, 3) } else { low });
        if PLAIN {
            return bytes;
        }
        _mm512_min_epu8(_mm512_max_epu8(bytes, self.low), self.high)
    }

    /// As [`Self::bytes`], in the order of the vectors, of the first `groups` groups of vectors: `sum` names a group's
    /// i-th.
    ///
    /// # Safety
    /// As there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn bytes_of<const G: usize, const V: usize>(
        &self,
        groups: usize,
        multipliers: *const u8,
        sum: impl Fn(usize, usize) -> __m512i,
    ) -> [__m512i; G] {
        // What is decided outside lets the compiler keep all sums in registers.
        // SAFETY: the caller's promise.
        unsafe {
            if self.plain {
                self.groups::<G, V, true>(groups, multipliers, sum)
            } else {
                self.groups::<G, V, false>(groups, multipliers, sum)
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn groups<const G: usize, const V: usize, const PLAIN: bool>(
        &self,
        groups: usize,
        multipliers: *const u8,
        sum: impl Fn(usize, usize) -> __m512i,
    ) -> [__m512i; G] {
        std::array::from_fn(|group| {
            // SAFETY: the caller's promise.
            unsafe {
                match V {
                    _ if group >= groups => _mm512_setzero_si512(),
                    3 => {
                        natural(self.bytes::<3, V, PLAIN>(
                            std::array::from_fn(|i| sum(group, i)),
                            multipliers,
                        ))
                    }
                    _ => {
                        natural(self.bytes::<4, V, PLAIN>(
                            std::array::from_fn(|i| sum(group, i)),
                            multipliers,
                        ))
                    }
                }
            }
        })
    }

    /// As [`Self::bytes`], of any sums.
    ///
    /// # Safety
    /// As there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn any_bytes<const V: usize>(
        &self,
        sums: [__m512i; V],
        multipliers: *const u8,
    ) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe {
            if self.cuts {
                let [sums] = self.cut([sums], multipliers);
                self.bytes::<V, V, false>(sums, ONES.as_ptr().cast())
            } else if self.plain {
                self.bytes::<V, V, true>(sums, multipliers)
            } else {
                self.bytes::<V, V, false>(sums, multipliers)
            }
        }
    }

    /// Where sums may be too great: what they come to, to be multiplied by [`ONES`].
    ///
    /// # Safety
    /// `multipliers` points to `V` vectors, at most four.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn cut<const V: usize, const R: usize>(
        &self,
        sums: [[__m512i; V]; R],
        multipliers: *const u8,
    ) -> [[__m512i; V]; R] {
        sums.map(|sums| {
            std::array::from_fn(|v| {
                // SAFETY: the caller's promise.
                let steps = unsafe { steps(sums[v], multipliers, v) };
                _mm512_cvtps_epi32(_mm512_min_ps(steps, self.high_steps))
            })
        })
    }
}

/// Four vectors of multipliers that change nothing.
pub const ONES: &[f32; 4 * LANES] = &[1.0; 4 * LANES];

/// Sums by the v-th vector of multipliers.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn steps(sums: __m512i, multipliers: *const u8, v: usize) -> __m512 {
    // SAFETY: the caller's promise: there are more than v vectors.
    let multiplier = unsafe { _mm512_loadu_ps(multipliers.cast::<f32>().add(LANES * v)) };
    _mm512_mul_ps(_mm512_cvtepi32_ps(sums), multiplier)
}

/// Where each lane's four bytes of each of four vectors go, so that a vector's lie side by side.
const ORDER: [i32; LANES] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// Brings bytes that lie lane by lane into the order of the vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn natural(bytes: __m512i) -> __m512i {
    // SAFETY: the array has the size of a vector.
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
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
        if count == 64 {
            _mm512_storeu_si512(out.cast(), bytes);
        } else {
            _mm512_mask_storeu_epi8(out.cast(), u64::MAX >> (64 - count), bytes);
        }
    }
}

/// Writes the first `count` bytes of the lower half, or of the upper.
///
/// # Safety
/// `out` has room for `count` bytes, 1 to 32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn write_half(bytes: __m512i, half: usize, out: *mut u8, count: usize) {
    // SAFETY: the caller's promise; the mask leaves out what is beyond.
    unsafe {
        match (count, half) {
            (32, 0) => _mm256_storeu_si256(out.cast(), _mm512_castsi512_si256(bytes)),
            (32, _) => _mm256_storeu_si256(out.cast(), _mm512_extracti64x4_epi64::<1>(bytes)),
            _ => write_from(bytes, 32 * half, out, count),
        }
    }
}

/// Writes the first `count` bytes of a lane.
///
/// # Safety
/// `out` has room for `count` bytes, 1 to 16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn write_lane(bytes: __m512i, lane: usize, out: *mut u8, count: usize) {
    // SAFETY: the caller's promise; the mask leaves out what is beyond.
    unsafe {
        match (count, lane) {
            (16, 0) => _mm_storeu_si128(out.cast(), _mm512_castsi512_si128(bytes)),
            (16, 1) => _mm_storeu_si128(out.cast(), _mm512_extracti32x4_epi32::<1>(bytes)),
            (16, 2) => _mm_storeu_si128(out.cast(), _mm512_extracti32x4_epi32::<2>(bytes)),
            (16, _) => _mm_storeu_si128(out.cast(), _mm512_extracti32x4_epi32::<3>(bytes)),
            _ => write_from(bytes, 16 * lane, out, count),
        }
    }
}

/// Writes `count` bytes from byte `first` on: without bringing them to the vector's beginning, by a mask.
///
/// # Safety
/// `out` has room for `count` bytes; the vector has as many from there on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn write_from(bytes: __m512i, first: usize, out: *mut u8, count: usize) {
    let mask = (u64::MAX >> (64 - count)) << first;
    // SAFETY: the caller's promise; nothing is written where the mask has no bit.
    unsafe { _mm512_mask_storeu_epi8(out.wrapping_sub(first).cast(), mask, bytes) }
}
