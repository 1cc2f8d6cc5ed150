//! The rounding rule on vectors.
use std::arch::aarch64::{
    float32x4_t, int8x16_t, int16x8_t, int32x4_t, vcombine_s8, vcvtnq_s32_f32, vcvtq_f32_s32,
    vdupq_n_s8, vdupq_n_s16, vextq_s8, vget_low_s8, vgetq_lane_s32, vld1q_f32, vld4q_dup_s64,
    vmaxq_s8, vminq_s8, vmulq_f32, vqaddq_s16, vqmovn_high_s16, vqmovn_high_s32, vqmovn_s16,
    vqmovn_s32, vreinterpretq_f32_s64, vreinterpretq_s8_s16, vreinterpretq_s16_s8,
    vreinterpretq_s32_s8, vreinterpretq_s64_s8, vst1_s8, vst1q_lane_s64, vst1q_s8, vuzp1q_s16,
    vuzp2q_s16,
};

use super::tiles::LANES;
use super::windows::Pair;
use crate::int8::rounding::Output;

/// Where it is added, a real number below 2²² is rounded, ties to even: no fractional bit is left.
pub const WHOLE: f32 = 12_582_912.0;

/// An [`Output`] in vectors.
#[derive(Clone, Copy)]
pub struct Rule {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
    /// Fewer elements may come out than a byte has.
    pub clamps: bool,
}

impl Rule {
    #[inline(always)]
    pub fn new(output: Output) -> Self {
        let [low, high] = output.limits(0);
        // SAFETY: every 64-bit ARM has NEON.
        unsafe {
            let [low, high] = [low, high].map(|byte| vdupq_n_s8(byte.cast_signed()));
            let zero_point = vdupq_n_s16(output.wide_zero_point(0));
            Self { zero_point, low, high, clamps: (output.low(), output.high()) != (-128, 127) }
        }
    }

    /// Bytes of `V` vectors of sums, not clamped yet. `fcvtns` and every narrowing stop at the least and the greatest
    /// number, so that clamping last is the same as clamping first: both bounds are whole numbers.
    #[inline(always)]
    pub fn bytes<const V: usize>(
        &self,
        sums: [int32x4_t; V],
        multipliers: [float32x4_t; V],
    ) -> int8x16_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe {
            let nearest =
                |v: usize| vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums[v]), multipliers[v]));
            let pair = |v: usize| {
                let low = vqmovn_s32(nearest(v));
                let both = vqmovn_high_s32(low, nearest((v + 1).min(V - 1)));
                vqaddq_s16(both, self.zero_point)
            };
            let low = vqmovn_s16(pair(0));
            if V > 2 { vqmovn_high_s16(low, pair(2)) } else { vcombine_s8(low, low) }
        }
    }

    /// Bytes of 16 columns of four windows, which come as pairs: each two columns are kept together until they are bytes.
    ///
    /// # Safety
    /// There are 16 multipliers.
    #[inline(always)]
    pub unsafe fn paired_bytes(&self, pairs: [Pair; 4], multipliers: *const u8) -> [int8x16_t; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let twice: [[float32x4_t; 4]; 2] = std::array::from_fn(|half| {
                let four = vld4q_dup_s64(multipliers.cast::<i64>().add(4 * half));
                [four.0, four.1, four.2, four.3].map(|two| vreinterpretq_f32_s64(two))
            });
            let both = |pair: usize| {
                let low = vreinterpretq_s16_s8(self.bytes(pairs[2 * pair], twice[0]));
                let high = vreinterpretq_s16_s8(self.bytes(pairs[2 * pair + 1], twice[1]));
                [vuzp1q_s16(low, high), vuzp2q_s16(low, high)].map(|own| vreinterpretq_s8_s16(own))
            };
            let ([a, b], [c, d]) = (both(0), both(1));
            [a, b, c, d]
        }
    }

    /// Zero point, least and greatest element, for loops that read them.
    #[inline(always)]
    pub fn vectors(&self) -> [int8x16_t; 3] {
        // SAFETY: every 64-bit ARM has NEON.
        [unsafe { vreinterpretq_s8_s16(self.zero_point) }, self.low, self.high]
    }

    /// What the least and the greatest element leave of them.
    #[inline(always)]
    pub fn clamp(&self, bytes: int8x16_t) -> int8x16_t {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { vminq_s8(vmaxq_s8(bytes, self.low), self.high) }
    }
}

/// `V` vectors of multipliers.
pub struct Multipliers<const V: usize>(pub [float32x4_t; V]);

impl<const V: usize> Multipliers<V> {
    /// # Safety
    /// There are as many.
    #[inline(always)]
    pub unsafe fn load(multipliers: *const u8) -> Self {
        // SAFETY: the caller's promise.
        Self(std::array::from_fn(|v| unsafe {
            vld1q_f32(multipliers.cast::<f32>().add(LANES * v))
        }))
    }
}

/// Writes as many bytes as `V` vectors of sums make, where `upper` is, the upper half.
///
/// # Safety
/// `out` has room for them.
#[inline(always)]
pub unsafe fn write<const V: usize>(bytes: int8x16_t, upper: bool, out: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        match V {
            4 => vst1q_s8(out.cast(), bytes),
            2 if upper => vst1q_lane_s64::<1>(out.cast(), vreinterpretq_s64_s8(bytes)),
            2 => vst1_s8(out.cast(), vget_low_s8(bytes)),
            _ => write_some(bytes, out, LANES * V),
        }
    }
}

/// Writes the first `count` bytes. Apart from its callers, so that loops over pixels stay small enough to be unrolled: only
/// then do sums stay in registers.
///
/// # Safety
/// `out` has room for `count` bytes, at most 16.
#[cold]
#[inline(never)]
pub unsafe fn write_some(bytes: int8x16_t, out: *mut u8, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut rest, mut out) = (bytes, out);
        if count & 8 != 0 {
            vst1_s8(out.cast(), vget_low_s8(rest));
            rest = vextq_s8::<8>(rest, rest);
            out = out.add(8);
        }
        if count & 4 != 0 {
            out.cast::<i32>().write_unaligned(vgetq_lane_s32::<0>(vreinterpretq_s32_s8(rest)));
            rest = vextq_s8::<4>(rest, rest);
            out = out.add(4);
        }
        let last = vgetq_lane_s32::<0>(vreinterpretq_s32_s8(rest)).to_le_bytes();
        for (i, byte) in last.into_iter().enumerate().take(count % 4) {
            *out.add(i) = byte;
        }
    }
}
