//! The rounding rule on vectors.
use std::arch::aarch64::{
    float32x4_t, int8x16_t, int16x8_t, int32x4_t, vcombine_s8, vcvtnq_s32_f32, vcvtq_f32_s32,
    vdupq_n_s8, vdupq_n_s16, vget_low_s8, vld1q_f32, vmaxq_s8, vminq_s8, vmulq_f32, vqaddq_s16,
    vqmovn_high_s32, vqmovn_s16, vqmovn_s32, vst1_s8, vst1q_s8,
};

use super::LANES;
use crate::int8::rounding::Output;

/// An [`Output`] in vectors.
#[derive(Clone, Copy)]
pub struct Rule {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
}

impl Rule {
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn new(output: Output) -> Self {
        let [low, high] = output.limits(0).map(|byte| vdupq_n_s8(byte.cast_signed()));
        Self { zero_point: vdupq_n_s16(output.wide_zero_point(0)), low, high }
    }

    /// Bytes of `V` vectors of sums. `fcvtns` and every narrowing stop at the least and the greatest number, so that
    /// clamping last is the same as clamping first: both bounds are whole numbers.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn bytes<const V: usize>(
        &self,
        sums: [int32x4_t; V],
        multipliers: [float32x4_t; V],
    ) -> int8x16_t {
        let nearest: [int32x4_t; V] = std::array::from_fn(|v| {
            vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums[v]), multipliers[v]))
        });
        let pair = |a: usize, b: usize| {
            let low = vqmovn_s32(nearest[a.min(V - 1)]);
            let both = vqmovn_high_s32(low, nearest[b.min(V - 1)]);
            vqmovn_s16(vqaddq_s16(both, self.zero_point))
        };
        let low = pair(0, 1);
        let bytes = vcombine_s8(low, if V > 2 { pair(2, 3) } else { low });
        vminq_s8(vmaxq_s8(bytes, self.low), self.high)
    }
}

/// `V` vectors of multipliers.
///
/// # Safety
/// `multipliers` points to as many.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn load<const V: usize>(multipliers: *const u8) -> [float32x4_t; V] {
    // SAFETY: the caller's promise.
    std::array::from_fn(|v| unsafe { vld1q_f32(multipliers.cast::<f32>().add(LANES * v)) })
}

/// Writes the first `count` bytes.
///
/// # Safety
/// `out` has room for `count` bytes, at most 16.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn write(bytes: int8x16_t, out: *mut u8, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match count {
            16 => vst1q_s8(out.cast(), bytes),
            8 => vst1_s8(out.cast(), vget_low_s8(bytes)),
            _ => write_some(bytes, out, count),
        }
    }
}

/// As [`write`], byte by byte. Apart from it, so that loops over pixels stay small enough to be unrolled: only then do
/// sums stay in registers.
#[cold]
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn write_some(bytes: int8x16_t, out: *mut u8, count: usize) {
    let mut all = [0_u8; 16];
    // SAFETY: the array has the size of a vector; the caller's promise.
    unsafe {
        vst1q_s8(all.as_mut_ptr().cast(), bytes);
        out.copy_from_nonoverlapping(all.as_ptr(), count);
    }
}
