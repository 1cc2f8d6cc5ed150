//! How loops of assembly round: what is known of all sums of a panel spares instructions.
use std::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, vabsq_f32, vaddq_f32, vaddq_s32, vcvtq_f32_s32, vdupq_n_f32,
    vdupq_n_s8, vdupq_n_s16, vdupq_n_s32, vmaxq_f32, vmaxvq_f32, vminq_f32, vminvq_f32, vmulq_f32,
    vreinterpretq_s8_f32, vreinterpretq_s8_s16,
};

use super::loads;
use super::requantize::{Multipliers, WHOLE};
use super::tiles::LANES;
use crate::int8::rounding::Output;

/// Columns of a panel of four vectors.
pub const COLUMNS: usize = 4 * LANES;

/// How sums of a panel become bytes.
pub struct Rounding {
    /// As vectors: what is added to a real number to round it, to the whole numbers, the least and the greatest element.
    pub vectors: [int8x16_t; 4],
    /// What sums start from.
    pub starts: [int32x4_t; 4],
    /// −[`FIRST_WHOLE`] × multipliers.
    pub minus: [float32x4_t; 4],
    /// [`Self::FITS`], [`Self::ADDS`], [`Self::CLAMPS`], [`Self::POSITIVE`].
    pub how: usize,
}

/// 2²³: its bits, plus a whole number below, are those of the sum of both.
const FIRST_WHOLE: f32 = 8_388_608.0;

impl Rounding {
    /// Every sum times its multiplier fits into 16 bits: no number has to be cut before it is narrowed.
    const FITS: usize = 1;
    /// Something is added to the whole numbers.
    const ADDS: usize = 2;
    /// Fewer elements may come out than a byte has.
    const CLAMPS: usize = 4;
    /// No sum below 0 counts. Sums start [`FIRST_WHOLE`]'s bits higher, so that they are real numbers as they stand. A sum
    /// below 0 is then half as far from 0, which makes the same element.
    const POSITIVE: usize = 8;

    /// What spares a loop that adds nothing to whole numbers, and has no bounds, some of its work.
    pub const fn ease(&self) -> Ease {
        if self.how == Self::FITS {
            Ease::Fits
        } else if self.how == Self::FITS | Self::POSITIVE {
            Ease::Positive
        } else {
            Ease::None
        }
    }

    /// Of sums of so many elements.
    ///
    /// # Safety
    /// `packed` is a panel of four vectors.
    pub unsafe fn new(output: Output, packed: *const u8, elements: usize) -> Self {
        // SAFETY: the caller's promise.
        let bounds = unsafe { Bounds::of(packed, elements) };
        let fits = bounds.steps < 32_000.0;
        let positive = fits
            && bounds.sum < FIRST_WHOLE
            && bounds.multiplier >= 0.0
            && output.low() == output.zero_point();
        let zero_point = output.wide_zero_point(0);
        // What is added before it is rounded must be even, else ties would go to the odd numbers.
        let before = if fits { zero_point & !1 } else { 0 };
        let clamps = (output.low(), output.high()) != (-128, 127);
        let flags = [
            (fits, Self::FITS),
            (before != zero_point, Self::ADDS),
            (clamps, Self::CLAMPS),
            (positive, Self::POSITIVE),
        ];
        let [low, high] = output.limits(0).map(u8::cast_signed);
        let how = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).sum();
        // SAFETY: the caller's promise; every 64-bit ARM has NEON.
        unsafe {
            let higher = if positive { FIRST_WHOLE.to_bits().cast_signed() } else { 0 };
            let higher = vdupq_n_s32(higher);
            let multipliers = Multipliers::<4>::load(packed.wrapping_add(4 * COLUMNS)).0;
            Self {
                vectors: [
                    vreinterpretq_s8_f32(vdupq_n_f32(WHOLE + f32::from(before))),
                    vreinterpretq_s8_s16(vdupq_n_s16(zero_point - before)),
                    vdupq_n_s8(low),
                    vdupq_n_s8(high),
                ],
                starts: loads::words(packed).map(|start| vaddq_s32(start, higher)),
                minus: multipliers.map(|m| vmulq_f32(m, vdupq_n_f32(-FIRST_WHOLE))),
                how,
            }
        }
    }
}

/// See [`Rounding::ease`].
pub enum Ease {
    /// Numbers have to be cut, something is added, or there are bounds.
    None,
    /// As [`Rounding::FITS`].
    Fits,
    /// As [`Rounding::POSITIVE`]: sums start from [`Rounding::starts`].
    Positive,
}

/// Of all columns of a panel.
struct Bounds {
    /// What no sum exceeds, nor falls below with a minus before it.
    sum: f32,
    /// The same of a sum times its multiplier.
    steps: f32,
    /// The least.
    multiplier: f32,
}

impl Bounds {
    /// # Safety
    /// `packed` is a panel of four vectors.
    #[expect(clippy::cast_precision_loss, reason = "far above what fits where it is not exact")]
    unsafe fn of(packed: *const u8, elements: usize) -> Self {
        // SAFETY: the caller's promise; every 64-bit ARM has NEON.
        unsafe {
            let products = vdupq_n_f32(elements as f32 * 128.0 * 128.0);
            let multipliers = Multipliers::<4>::load(packed.wrapping_add(4 * COLUMNS)).0;
            let sums = loads::words::<4>(packed)
                .map(|start| vaddq_f32(vabsq_f32(vcvtq_f32_s32(start)), products));
            let steps: [float32x4_t; 4] =
                std::array::from_fn(|v| vmulq_f32(sums[v], multipliers[v]));
            let [sum, steps] = [sums, steps]
                .map(|[a, b, c, d]| vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, b), vmaxq_f32(c, d))));
            let [a, b, c, d] = multipliers;
            let multiplier = vminvq_f32(vminq_f32(vminq_f32(a, b), vminq_f32(c, d)));
            Self { sum, steps, multiplier }
        }
    }
}
