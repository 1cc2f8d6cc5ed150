//! Each channel on its own: the bytes of four rows are brought side by side, so that one `vpdpbusd` takes four taps.
use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpacklo_epi8,
    _mm_unpacklo_epi16, _mm256_castsi128_si256, _mm256_inserti128_si256, _mm512_castsi256_si512,
    _mm512_dpbusd_epi32, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_unpackhi_epi8,
    _mm512_unpackhi_epi16, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
};

use super::LANES;
use super::requantize::{Rule, natural, write, write_lane};
use crate::int8::depthwise::{self as plain, Depthwise, Lanes};
use crate::int8::rounding::Output;

pub const WIDE: usize = 64;
const NARROW: usize = 16;

/// 64 channels.
pub struct Wide;

/// 16 channels.
pub struct Narrow;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn run(job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
    // SAFETY: this function has the instructions.
    unsafe { plain::run::<Wide, Narrow>(job, packed, x, y) }
}

// SAFETY: reads and writes what the trait says and no more.
unsafe impl Lanes for Wide {
    const WIDTH: usize = WIDE;
    const GROUP_BYTES: usize = 4 * WIDE;
    type Rows = [__m512i; 4];
    type Sums = [__m512i; 4];
    type Rule = Rule;

    /// Unpacking works within lanes of 16 bytes, and so does the packing of [`Rule::bytes`].
    fn place(channel: usize) -> usize {
        let (lane, vector, element) = (channel / 16, channel % 16 / 4, channel % 4);
        16 * vector + 4 * lane + element
    }

    #[inline(always)]
    unsafe fn rule(output: Output) -> Rule {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { Rule::new(output) }
    }

    #[inline(always)]
    unsafe fn block_rule(output: Output, multipliers: *const u8) -> Rule {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { Rule::new(output).of(multipliers, Self::WIDTH / LANES) }
    }

    #[inline(always)]
    unsafe fn rows<const H: usize>(x: [*const u8; 4]) -> Self::Rows {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let row = |i: usize| _mm512_loadu_si512(x[i].cast());
            let (a, b) = (row(0), row(if H > 1 { 1 } else { 0 }));
            let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            if H <= 2 {
                return [
                    _mm512_unpacklo_epi16(low, low),
                    _mm512_unpackhi_epi16(low, low),
                    _mm512_unpacklo_epi16(high, high),
                    _mm512_unpackhi_epi16(high, high),
                ];
            }
            let (c, d) = (row(2), row(if H > 3 { 3 } else { 2 }));
            let (low_2, high_2) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(low, low_2),
                _mm512_unpackhi_epi16(low, low_2),
                _mm512_unpacklo_epi16(high, high_2),
                _mm512_unpackhi_epi16(high, high_2),
            ]
        }
    }

    #[inline(always)]
    unsafe fn starts(starts: *const u8) -> Self::Sums {
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|v| unsafe { _mm512_loadu_si512(starts.add(64 * v).cast()) })
    }

    #[inline(always)]
    unsafe fn dot<const H: usize>(
        sums: Self::Sums,
        rows: Self::Rows,
        weights: *const u8,
    ) -> Self::Sums {
        // SAFETY: the trait's promise, handed on by the caller.
        std::array::from_fn(|v| unsafe {
            let w = _mm512_loadu_si512(opaque(weights).add(64 * v).cast());
            _mm512_dpbusd_epi32(sums[v], rows[v], w)
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
        unsafe { write(rule.any_bytes(sums, multipliers), out, count) }
    }
}

// SAFETY: as above.
unsafe impl Lanes for Narrow {
    const WIDTH: usize = NARROW;
    const GROUP_BYTES: usize = 4 * NARROW;
    type Rows = __m512i;
    type Sums = __m512i;
    type Rule = Rule;

    fn place(channel: usize) -> usize {
        channel
    }

    #[inline(always)]
    unsafe fn rule(output: Output) -> Rule {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { Rule::new(output) }
    }

    #[inline(always)]
    unsafe fn block_rule(output: Output, multipliers: *const u8) -> Rule {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { Rule::new(output).of(multipliers, Self::WIDTH / LANES) }
    }

    #[inline(always)]
    unsafe fn rows<const H: usize>(x: [*const u8; 4]) -> __m512i {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let row = |i: usize| _mm_loadu_si128(x[i.min(H - 1)].cast());
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (low, high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
            let (low_2, high_2) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
            join([
                _mm_unpacklo_epi16(low, low_2),
                _mm_unpackhi_epi16(low, low_2),
                _mm_unpacklo_epi16(high, high_2),
                _mm_unpackhi_epi16(high, high_2),
            ])
        }
    }

    #[inline(always)]
    unsafe fn starts(starts: *const u8) -> __m512i {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { _mm512_loadu_si512(starts.cast()) }
    }

    #[inline(always)]
    unsafe fn dot<const H: usize>(sums: __m512i, rows: __m512i, weights: *const u8) -> __m512i {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { _mm512_dpbusd_epi32(sums, rows, _mm512_loadu_si512(weights.cast())) }
    }

    #[inline(always)]
    unsafe fn store(
        rule: &Rule,
        sums: __m512i,
        multipliers: *const u8,
        out: *mut u8,
        count: usize,
    ) {
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { write_lane(natural(rule.any_bytes([sums], multipliers)), 0, out, count) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn join([a, b, c, d]: [__m128i; 4]) -> __m512i {
    let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b);
    let high = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(c), d);
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

/// The same place. The compiler does not see that it is the same, so that it reads weights where they are used: kept over a
/// loop they would drive sums out of registers.
#[inline(always)]
fn opaque(mut weights: *const u8) -> *const u8 {
    // SAFETY: nothing is done.
    unsafe { asm!("/* {0} */", inout(reg) weights, options(readonly, nostack, preserves_flags)) }
    weights
}
