//! NEON.
use std::arch::aarch64::{
    int32x4_t, uint8x8x3_t, uint8x16_t, vaddq_s32, vcombine_u16, vdupq_n_s32, vdupq_n_u32,
    vget_high_u8, vget_high_u16, vget_low_s16, vget_low_u8, vget_low_u16, vld1_u8, vld1q_s16,
    vld1q_u8, vmlal_high_s16, vmlal_n_u16, vmlal_s16, vmovl_u8, vpaddq_s32, vqrshrun_n_s32,
    vqtbl1q_u8, vreinterpretq_s16_u8, vreinterpretq_s32_s64, vreinterpretq_s64_s32, vrshrn_n_u32,
    vst1q_u16, vst3_u8, vtrn1q_s32, vtrn1q_s64, vtrn2q_s32, vtrn2q_s64,
};

use super::axis::WEIGHT_BITS;
use super::kernel::{self, groups};
use super::resample::{Columns, LANES, Rows, Samples};

/// Proof that the processor has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neon(());

/// Bytes of a row that are blended at once.
const WIDE: usize = 16;

impl Neon {
    pub fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub fn blend_rows(self, rows: &Rows<'_>, weights: &[i16], out: &mut [u16]) {
        // SAFETY: `self` proves the instructions.
        unsafe { blend_rows(rows, weights, out) }
    }

    pub fn blend_columns(self, columns: &Columns, row: &[u16], out: &mut [u16]) {
        // SAFETY: `self` proves the instructions; the caller has checked `row` and `out`.
        unsafe { blend_columns(columns, row, out) }
    }

    pub fn interleave(self, planes: [&[u8]; 3], out: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { interleave(planes, out) }
    }
}

#[target_feature(enable = "neon")]
fn blend_rows(rows: &Rows<'_>, weights: &[i16], out: &mut [u16]) {
    let whole = out.len() / WIDE;
    let (chunks, _) = out.as_chunks_mut::<WIDE>();
    for (i, chunk) in chunks.iter_mut().enumerate() {
        let mut sums = [vdupq_n_u32(0); 4];
        for (row, weight) in weights.iter().enumerate() {
            let (bytes, weight) = (load(rows.get(row), i), weight.cast_unsigned());
            let halves = [vmovl_u8(vget_low_u8(bytes)), vmovl_u8(vget_high_u8(bytes))];
            for (half, sums) in halves.into_iter().zip(sums.as_chunks_mut::<2>().0) {
                sums[0] = vmlal_n_u16(sums[0], vget_low_u16(half), weight);
                sums[1] = vmlal_n_u16(sums[1], vget_high_u16(half), weight);
            }
        }
        let narrow = sums.map(|sum| vrshrn_n_u32::<7>(sum));
        for (half, out) in narrow.as_chunks::<2>().0.iter().zip(chunk.as_chunks_mut::<8>().0) {
            // SAFETY: eight values are 16 bytes.
            unsafe { vst1q_u16(out.as_mut_ptr(), vcombine_u16(half[0], half[1])) };
        }
    }
    kernel::blend_rows(rows, weights, out, whole * WIDE);
}

#[inline]
#[target_feature(enable = "neon")]
fn load(row: &[u8], chunk: usize) -> uint8x16_t {
    let bytes = &row[chunk * WIDE..][..WIDE];
    // SAFETY: they are 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// # Safety
/// The processor has NEON; `row` and `out` are as long as `columns` says.
#[target_feature(enable = "neon")]
unsafe fn blend_columns(columns: &Columns, row: &[u16], out: &mut [u16]) {
    let add = |a, b| vaddq_s32(a, b);
    // SAFETY: the caller's promise is handed on.
    unsafe {
        match columns.samples {
            Samples::Yuyv => blend::<3>(columns, row, out, |[a, b, c, d]| [add(a, b), c, d]),
            Samples::Rgb => blend::<3>(columns, row, out, |[a, b, c, _]| [a, b, c]),
            Samples::Chroma => blend::<2>(columns, row, out, |[a, b, c, d]| [add(a, b), add(c, d)]),
            Samples::Single | Samples::YuyvLuma => {
                blend::<1>(columns, row, out, |[a, b, c, d]| [add(add(a, b), add(c, d))])
            }
        }
    }
}

/// # Safety
/// As [`blend_columns`]; `C` is the number of components.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn blend<const C: usize>(
    columns: &Columns,
    row: &[u16],
    out: &mut [u16],
    components: impl Fn([int32x4_t; 4]) -> [int32x4_t; C],
) {
    let (width, step) = (columns.starts.len(), columns.step());
    let order = columns.samples.order().map(|value| [2 * value, 2 * value + 1]);
    // SAFETY: they are 16 bytes.
    let order = unsafe { vld1q_u8(order.as_ptr().cast()) };
    for group in 0..groups(columns) {
        let mut halves = [[vdupq_n_s32(0); C]; 2];
        for (half, sums) in halves.iter_mut().enumerate() {
            let pixels: [int32x4_t; 4] = std::array::from_fn(|i| {
                let pixel = group * LANES + half * 4 + i;
                let start = columns.starts[pixel];
                let mut sums = [vdupq_n_s32(0); 2];
                for block in 0..columns.blocks {
                    let weights = &columns.weights[columns.weights_at(pixel, block)..][..8];
                    // SAFETY: the last window of the last pixel ends at `reach`, which `row` has; eight weights are 16
                    // bytes.
                    let (window, weights) = unsafe {
                        let window = row.as_ptr().add(start + block * step);
                        (vld1q_u8(window.cast()), vld1q_s16(weights.as_ptr()))
                    };
                    let window = vreinterpretq_s16_u8(vqtbl1q_u8(window, order));
                    sums[0] = vmlal_s16(sums[0], vget_low_s16(window), vget_low_s16(weights));
                    sums[1] = vmlal_high_s16(sums[1], window, weights);
                }
                vpaddq_s32(sums[0], sums[1])
            });
            *sums = components(transposed(pixels));
        }
        for c in 0..C {
            let [low, high] =
                halves.map(|half| vqrshrun_n_s32::<{ WEIGHT_BITS.cast_signed() }>(half[c]));
            let eight = &mut out[c * width + group * LANES..][..LANES];
            // SAFETY: eight values are 16 bytes.
            unsafe { vst1q_u16(eight.as_mut_ptr(), vcombine_u16(low, high)) };
        }
    }
}

/// Four sums of four pixels to each sum of the four.
#[inline]
#[target_feature(enable = "neon")]
fn transposed([a, b, c, d]: [int32x4_t; 4]) -> [int32x4_t; 4] {
    let wide = |v: int32x4_t| vreinterpretq_s64_s32(v);
    let (ab, cd) = (wide(vtrn1q_s32(a, b)), wide(vtrn1q_s32(c, d)));
    let (ab_odd, cd_odd) = (wide(vtrn2q_s32(a, b)), wide(vtrn2q_s32(c, d)));
    [vtrn1q_s64(ab, cd), vtrn1q_s64(ab_odd, cd_odd), vtrn2q_s64(ab, cd), vtrn2q_s64(ab_odd, cd_odd)]
        .map(|v| vreinterpretq_s32_s64(v))
}

#[target_feature(enable = "neon")]
fn interleave([a, b, c]: [&[u8]; 3], out: &mut [u8]) {
    let eights = out.len() / 24;
    let eights = eights.min(a.len() / 8).min(b.len() / 8).min(c.len() / 8);
    for (i, pixels) in out.as_chunks_mut::<24>().0.iter_mut().take(eights).enumerate() {
        let eight = |plane: &[u8]| {
            let bytes = &plane[i * 8..][..8];
            // SAFETY: they are 8 bytes.
            unsafe { vld1_u8(bytes.as_ptr()) }
        };
        // SAFETY: three times eight are 24 bytes.
        unsafe { vst3_u8(pixels.as_mut_ptr(), uint8x8x3_t(eight(a), eight(b), eight(c))) };
    }
    let done = eights * 8;
    kernel::interleave([&a[done..], &b[done..], &c[done..]], &mut out[done * 3..]);
}
