//! Each channel on its own: the bytes of four rows are brought side by side, so that one `sdot` takes four taps.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vld1q_s8, vld1q_s32, vreinterpretq_s8_s16, vreinterpretq_s16_s8,
    vzip1q_s8, vzip1q_s16, vzip2q_s8, vzip2q_s16,
};
use std::arch::asm;

use super::super::requantize::{Multipliers, Rule, write, write_some};
use super::super::rows::{self, WIDTH};
use crate::int8::depthwise::{self as plain, Depthwise, Lanes};
use crate::int8::packing::Filter;
use crate::int8::rounding::Output;

/// 16 channels.
pub struct Channels;

pub fn packed_bytes(job: &Depthwise) -> usize {
    plain::packed_bytes::<Channels, Channels>(job)
}

pub fn pack(job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
    plain::pack::<Channels, Channels>(job, filter, 0, out);
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn run(job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
    plain::check::<Channels, Channels>(job, packed, x, y);
    let (from, to) = (x.as_ptr(), y.as_mut_ptr());
    // SAFETY: this function has the instructions; the three slices have been checked.
    unsafe {
        if !rows::run(job, BLOCK_BYTES, packed.as_ptr(), from, to, super::rows::run) {
            plain::run::<Channels, Channels>(job, packed, x, y);
        }
    }
}

/// A block's starts, its multipliers and its weights of a 3×3 window.
const BLOCK_BYTES: usize = 8 * WIDTH + 3 * 4 * WIDTH;

// SAFETY: reads and writes what the trait says and no more.
unsafe impl Lanes for Channels {
    const WIDTH: usize = WIDTH;
    const GROUP_BYTES: usize = 4 * WIDTH;
    type Rows = [int8x16_t; 4];
    type Sums = [int32x4_t; 4];
    type Rule = Rule;

    fn place(channel: usize) -> usize {
        channel
    }

    #[inline(always)]
    unsafe fn rule(output: Output) -> Rule {
        Rule::new(output)
    }

    #[inline(always)]
    unsafe fn rows<const H: usize>(x: [*const u8; 4]) -> Self::Rows {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let row = |i: usize| vld1q_s8(x[i.min(H - 1)].cast());
            let zip = |a, b| {
                let (a, b) = (vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b));
                [vzip1q_s16(a, b), vzip2q_s16(a, b)].map(|pair| vreinterpretq_s8_s16(pair))
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let [first, second] = zip(vzip1q_s8(a, b), vzip1q_s8(c, d));
            let [third, fourth] = zip(vzip2q_s8(a, b), vzip2q_s8(c, d));
            [first, second, third, fourth]
        }
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
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|v| unsafe {
            dot(sums[v], rows[v], vld1q_s8(weights.add(16 * v).cast()))
        })
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
                write::<4>(bytes, false, out);
            } else {
                write_some(bytes, out, count);
            }
        }
    }
}

/// To each sum, four products.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(sum: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: `sdot` reads and writes only these registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {x:v}.16b, {w:v}.16b",
            sum = inout(vreg) sum, x = in(vreg) x, w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}
