//! Up to four vectors with one instruction.
use std::arch::aarch64::{
    int8x16_t, int8x16x2_t, int8x16x3_t, int8x16x4_t, int32x4_t, vld1q_s8, vld1q_s8_x2,
    vld1q_s8_x3, vld1q_s8_x4, vreinterpretq_s32_s8,
};

/// `V` vectors that lie side by side, at most four.
///
/// # Safety
/// There are as many.
#[inline(always)]
pub unsafe fn bytes<const V: usize>(from: *const u8) -> [int8x16_t; V] {
    let from = from.cast::<i8>();
    // SAFETY: the caller's promise.
    let four = unsafe {
        match V {
            1 => [vld1q_s8(from); 4],
            2 => {
                let int8x16x2_t(a, b) = vld1q_s8_x2(from);
                [a, b, a, b]
            }
            3 => {
                let int8x16x3_t(a, b, c) = vld1q_s8_x3(from);
                [a, b, c, a]
            }
            _ => {
                let int8x16x4_t(a, b, c, d) = vld1q_s8_x4(from);
                [a, b, c, d]
            }
        }
    };
    std::array::from_fn(|v| four[v])
}

/// As [`bytes`], of four 32-bit numbers each.
///
/// # Safety
/// As [`bytes`].
#[inline(always)]
pub unsafe fn words<const V: usize>(from: *const u8) -> [int32x4_t; V] {
    // SAFETY: the caller's promise; every 64-bit ARM has NEON.
    unsafe { bytes(from).map(|vector| vreinterpretq_s32_s8(vector)) }
}
