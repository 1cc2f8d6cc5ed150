//! The greatest of several windows, rounding and writing.
use std::arch::aarch64::{int8x16_t, int32x4_t, vextq_s8, vmaxq_s32};

use super::requantize::{Multipliers, Rule, write, write_some};
use super::tiles::LANES;
use super::windows::{Pair, Windows, window};

/// How sums of a panel are written.
#[derive(Clone, Copy)]
pub struct Store {
    pub rule: Rule,
    /// Of the panel.
    pub columns: usize,
    /// Windows of a pixel.
    pub members: usize,
}

impl Store {
    /// The greatest of each pixel's windows, rounded and written, `step` bytes from one pixel to the next.
    ///
    /// # Safety
    /// There are `V` vectors of multipliers, and room for every pixel's columns; members are 1, 2 or `R`, which is not
    /// above 4 where they are several.
    #[inline(always)]
    pub unsafe fn tile<W: Windows, const V: usize, const R: usize>(
        &self,
        sums: [[int32x4_t; V]; R],
        multipliers: *const u8,
        y: *mut u8,
        step: usize,
    ) {
        let paired = W::PAIRED && (V, R) == (4, 4);
        // SAFETY: the caller's promise.
        unsafe {
            if self.members == 1 {
                let bytes = if paired {
                    let bytes = self.rule.paired_bytes(as_pairs(&sums), multipliers);
                    std::array::from_fn(|r| bytes[r])
                } else {
                    self.bytes(&sums, multipliers)
                };
                return self.write::<V, R>(bytes, y, step);
            }
            let sums = if paired {
                let apart = apart(as_pairs(&sums));
                std::array::from_fn(|r| std::array::from_fn(|v| apart[r][v]))
            } else {
                sums
            };
            let window = |r: usize| sums[r.min(R - 1)];
            let halves = [greater(window(0), window(1)), greater(window(2), window(3))];
            if self.members == 2 {
                self.write::<V, 2>(self.bytes(&halves, multipliers), y, step);
            } else {
                let all = [greater(halves[0], halves[1])];
                self.write::<V, 1>(self.bytes(&all, multipliers), y, step);
            }
        }
    }

    /// Bytes of `N` pixels.
    ///
    /// # Safety
    /// `y` has room for their columns.
    #[inline(always)]
    unsafe fn write<const V: usize, const N: usize>(
        &self,
        bytes: [int8x16_t; N],
        y: *mut u8,
        step: usize,
    ) {
        let upper = |pixel: usize| two_at_once::<V, N>() && pixel % 2 == 1;
        let out = |pixel: usize| y.wrapping_add(pixel * step);
        // SAFETY: the caller's promise; every 64-bit ARM has NEON.
        unsafe {
            match (self.columns == LANES * V, self.rule.clamps) {
                (true, false) => {
                    for (pixel, own) in bytes.into_iter().enumerate() {
                        write::<V>(own, upper(pixel), out(pixel));
                    }
                }
                (true, true) => {
                    for (pixel, own) in bytes.into_iter().enumerate() {
                        write::<V>(self.rule.clamp(own), upper(pixel), out(pixel));
                    }
                }
                (false, _) => {
                    for (pixel, own) in bytes.into_iter().enumerate() {
                        let own = if upper(pixel) { vextq_s8::<8>(own, own) } else { own };
                        write_some(self.rule.clamp(own), out(pixel), self.columns);
                    }
                }
            }
        }
    }

    /// Bytes of each pixel, not clamped yet; where [`two_at_once`], of a pixel and the next.
    ///
    /// # Safety
    /// There are `V` vectors of multipliers.
    #[inline(always)]
    unsafe fn bytes<const V: usize, const N: usize>(
        &self,
        sums: &[[int32x4_t; V]; N],
        multipliers: *const u8,
    ) -> [int8x16_t; N] {
        // SAFETY: the caller's promise.
        let m = unsafe { Multipliers::<V>::load(multipliers).0 };
        std::array::from_fn(|pixel| {
            if two_at_once::<V, N>() {
                let (a, b) = (sums[pixel / 2 * 2], sums[pixel / 2 * 2 + 1]);
                self.rule.bytes([a[0], a[V - 1], b[0], b[V - 1]], [m[0], m[V - 1], m[0], m[V - 1]])
            } else {
                self.rule.bytes(sums[pixel], m)
            }
        })
    }
}

/// Whether two pixels of eight columns are rounded as one of 16.
const fn two_at_once<const V: usize, const N: usize>() -> bool {
    V == 2 && N.is_multiple_of(2)
}

/// The sums of four windows and vectors, as what they are: [`Pair`]s.
#[inline(always)]
fn as_pairs<const V: usize, const R: usize>(sums: &[[int32x4_t; V]; R]) -> [Pair; 4] {
    std::array::from_fn(|r| std::array::from_fn(|v| sums[r][v]))
}

/// Sums of each of four windows.
#[inline(always)]
fn apart(pairs: [Pair; 4]) -> [[int32x4_t; 4]; 4] {
    std::array::from_fn(|r| {
        std::array::from_fn(|v| {
            let (pair, at) = (pairs[r / 2 * 2 + v / 2], v % 2 * 2);
            window([pair[at], pair[at + 1]], r % 2)
        })
    })
}

/// The greater of each two sums.
#[inline(always)]
pub fn greater<const V: usize>(a: [int32x4_t; V], b: [int32x4_t; V]) -> [int32x4_t; V] {
    // SAFETY: every 64-bit ARM has NEON.
    std::array::from_fn(|v| unsafe { vmaxq_s32(a[v], b[v]) })
}
