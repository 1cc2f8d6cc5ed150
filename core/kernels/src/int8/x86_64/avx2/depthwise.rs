//! Each channel on its own: bytes of two rows are brought side by side and widened, so that one `vpmaddwd` takes two
//! taps.
use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm256_add_epi32,
    _mm256_cvtepu8_epi16, _mm256_loadu_si256, _mm256_madd_epi16,
};

use super::requantize::{Rule, write};
use crate::int8::depthwise::{self as plain, Depthwise, Lanes};
use crate::int8::rounding::Output;

const WIDTH: usize = 16;

/// 16 channels.
pub struct Channels;

#[target_feature(enable = "avx2")]
pub fn run(job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
    // SAFETY: this function has the instructions.
    unsafe { plain::run::<Channels, Channels>(job, packed, x, y) }
}

// SAFETY: reads and writes what the trait says and no more.
unsafe impl Lanes for Channels {
    const WIDTH: usize = WIDTH;
    const GROUP_BYTES: usize = 8 * WIDTH;
    /// Rows 0 and 1 of the first eight channels, of the others, then rows 2 and 3.
    type Rows = [[__m256i; 2]; 2];
    type Sums = [__m256i; 2];
    type Rule = Rule;

    fn place(channel: usize) -> usize {
        channel
    }

    /// 16-bit weights, as the rows stand.
    fn pack(channel: usize, weights: [u8; 4], out: &mut [u8]) {
        for (row, w) in weights.into_iter().enumerate() {
            let word = row / 2 * 2 * WIDTH + 2 * channel + row % 2;
            let wide = i16::from(w.cast_signed()).to_le_bytes();
            out[2 * word..][..2].copy_from_slice(&wide);
        }
    }

    #[inline(always)]
    unsafe fn rule(output: Output) -> Rule {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { Rule::new(output) }
    }

    #[inline(always)]
    unsafe fn rows<const H: usize>(x: [*const u8; 4]) -> Self::Rows {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let pair = |i: usize| {
                let (a, b) = (_mm_loadu_si128(x[i].cast()), _mm_loadu_si128(x[i + 1].cast()));
                let (low, high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
                [_mm256_cvtepu8_epi16(low), _mm256_cvtepu8_epi16(high)]
            };
            let first = pair(0);
            [first, if H > 2 { pair(2) } else { first }]
        }
    }

    #[inline(always)]
    unsafe fn starts(starts: *const u8) -> Self::Sums {
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|v| unsafe { _mm256_loadu_si256(starts.add(32 * v).cast()) })
    }

    #[inline(always)]
    unsafe fn dot<const H: usize>(
        sums: Self::Sums,
        rows: Self::Rows,
        weights: *const u8,
    ) -> Self::Sums {
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|v| unsafe {
            let two = |pair: usize| {
                let w = _mm256_loadu_si256(weights.add(4 * WIDTH * pair + 32 * v).cast());
                _mm256_madd_epi16(rows[pair][v], w)
            };
            let sum = _mm256_add_epi32(sums[v], two(0));
            if H > 2 { _mm256_add_epi32(sum, two(1)) } else { sum }
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
        unsafe { write(rule.bytes(sums, multipliers), out, count) }
    }
}
