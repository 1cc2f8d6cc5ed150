//! Each channel on its own: `smlal` on elements and weights that have been widened to 16 bits.
use std::arch::aarch64::{
    int16x8_t, int32x4_t, vget_low_s16, vld1_s8, vld1q_s16, vld1q_s32, vmlal_high_s16, vmlal_s16,
    vmovl_s8,
};

use super::super::requantize::{Multipliers, Rule, write, write_some};
use super::super::rows;
use super::rows::BLOCK_BYTES;
use crate::int8::depthwise::{self as plain, Depthwise, Lanes};
use crate::int8::packing::Filter;
use crate::int8::rounding::Output;

const WIDTH: usize = 8;

/// Eight channels.
pub struct Channels;

/// The first of the packed bytes says whether they are for rows of 3×3 windows, with weights of which none is -128, so that
/// the products of two can be added in 16 bits; what is packed follows.
const HEADER: usize = 16;

pub fn packed_bytes(job: &Depthwise) -> usize {
    let apart = plain::packed_bytes::<Channels, Channels>(job);
    HEADER.saturating_add(apart.max(rows::blocks(job).saturating_mul(BLOCK_BYTES)))
}

pub fn pack(job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
    let (header, out) = out.split_at_mut(HEADER);
    let blocks = rows::blocks(job);
    let as_rows = blocks > 0 && !filter.weights.contains(&0x80);
    header.fill(as_rows.into());
    if as_rows {
        super::rows::pack(job, filter, blocks, out);
    } else {
        plain::pack::<Channels, Channels>(job, filter, 0, out);
    }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon")]
pub unsafe fn run(job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
    assert!(packed.len() >= packed_bytes(job), "{} bytes of weights", packed.len());
    let (header, packed) = packed.split_at(HEADER);
    plain::check::<Channels, Channels>(job, packed, x, y);
    let (from, to) = (x.as_ptr(), y.as_mut_ptr());
    // SAFETY: this function has the instructions; the three slices have been checked.
    unsafe {
        if header[0] == 0
            || !rows::run(job, BLOCK_BYTES, packed.as_ptr(), from, to, super::rows::run)
        {
            plain::run::<Channels, Channels>(job, packed, x, y);
        }
    }
}

// SAFETY: reads and writes what the trait says and no more.
unsafe impl Lanes for Channels {
    const WIDTH: usize = WIDTH;
    const GROUP_BYTES: usize = 8 * WIDTH;
    type Rows = [int16x8_t; 4];
    type Sums = [int32x4_t; 2];
    type Rule = Rule;

    fn place(channel: usize) -> usize {
        channel
    }

    /// 16-bit weights, row by row.
    fn pack(channel: usize, weights: [u8; 4], out: &mut [u8]) {
        for (row, w) in weights.into_iter().enumerate() {
            let wide = i16::from(w.cast_signed()).to_le_bytes();
            out[2 * (WIDTH * row + channel)..][..2].copy_from_slice(&wide);
        }
    }

    #[inline(always)]
    unsafe fn rule(output: Output) -> Rule {
        Rule::new(output)
    }

    #[inline(always)]
    unsafe fn rows<const H: usize>(x: [*const u8; 4]) -> Self::Rows {
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|i| unsafe { vmovl_s8(vld1_s8(x[i.min(H - 1)].cast())) })
    }

    #[inline(always)]
    unsafe fn starts(starts: *const u8) -> Self::Sums {
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|v| unsafe { vld1q_s32(starts.cast::<i32>().add(4 * v)) })
    }

    #[inline(always)]
    unsafe fn dot<const H: usize>(
        sums: Self::Sums,
        rows: Self::Rows,
        weights: *const u8,
    ) -> Self::Sums {
        let [mut low, mut high] = sums;
        for (row, x) in rows.into_iter().enumerate().take(H) {
            // SAFETY: the trait's promise, handed on by the caller.
            unsafe {
                let w = vld1q_s16(weights.cast::<i16>().add(WIDTH * row));
                low = vmlal_s16(low, vget_low_s16(x), vget_low_s16(w));
                high = vmlal_high_s16(high, x, w);
            }
        }
        [low, high]
    }

    #[inline(always)]
    unsafe fn store(
        rule: &Rule,
        sums: Self::Sums,
        multipliers: *const u8,
        out: *mut u8,
        count: usize,
    ) {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let bytes = rule.bytes(sums, Multipliers::load(multipliers).0);
            let bytes = if rule.clamps { rule.clamp(bytes) } else { bytes };
            if count == WIDTH {
                write::<2>(bytes, false, out);
            } else {
                write_some(bytes, out, count);
            }
        }
    }
}
