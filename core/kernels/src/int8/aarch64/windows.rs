//! Sums of windows: what a kernel has to give, and what its loops have in common.
use std::arch::aarch64::{
    int32x4_t, vdupq_n_s32, vreinterpretq_s32_s64, vreinterpretq_s64_s32, vuzp1q_s64, vuzp2q_s64,
};

use super::lines::Line;
use crate::int8::packing::Panels;

/// A window's segments.
#[derive(Clone, Copy)]
pub struct Segments<'a> {
    /// Where each begins, in bytes from where the window does.
    pub offsets: &'a [usize],
    /// Elements of each.
    pub elements: usize,
    /// The products of two with any elements can be added in 16 bits.
    pub two_products_fit: bool,
    /// What [`Windows::starts`] has made.
    pub starts: *const int32x4_t,
}

/// Sums of windows.
///
/// # Safety
/// A function reads the panel that it is given and, of each window, its segments in whole steps and at most [`super::tiles::BEYOND`]
/// bytes more.
pub unsafe trait Windows {
    /// Its panels have at most four vectors.
    const PANELS: Panels;
    /// Windows of a tile of two vectors of columns, where a pixel is one window: four or eight.
    const TALL: usize;
    /// Of four windows and vectors, each two windows come as [`Pair`]s one after the other.
    const PAIRED: bool = false;

    /// Makes rows of at least four pixels of one member, of a panel of four vectors.
    const LINE: Option<unsafe fn(&Line<'_>)> = None;

    /// What the sums of every window start from, where that is not as `packed` has it.
    #[inline(always)]
    unsafe fn starts<const V: usize>(_packed: *const u8) -> [[int32x4_t; 2]; V] {
        // SAFETY: every 64-bit ARM has NEON.
        unsafe { [[vdupq_n_s32(0); 2]; V] }
    }

    /// `V` vectors of sums of `R` windows, which begin so many bytes from `x`. `packed` is a panel of `V` vectors.
    unsafe fn sums<const V: usize, const R: usize>(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; R],
    ) -> [[int32x4_t; V]; R];
}

/// Loops of a kernel whose panels have four vectors.
///
/// # Safety
/// As [`Windows`].
pub unsafe trait Loops {
    /// Four windows and a panel of four vectors.
    unsafe fn wide(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; 4],
    ) -> [[int32x4_t; 4]; 4];

    /// Eight windows and a panel of two vectors.
    unsafe fn tall(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; 8],
    ) -> [[int32x4_t; 2]; 8];

    /// Any other tile of at most four windows.
    unsafe fn plain<const V: usize, const R: usize>(
        segments: Segments<'_>,
        packed: *const u8,
        x: *const u8,
        windows: [usize; R],
    ) -> [[int32x4_t; V]; R];
}

/// [`Windows::sums`] of such a kernel.
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn sums<L: Loops, const V: usize, const R: usize>(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; R],
) -> [[int32x4_t; V]; R] {
    // SAFETY: the caller's promise.
    unsafe {
        match (V, R) {
            (4, 4) => {
                let sums = L::wide(segments, packed, x, std::array::from_fn(|r| windows[r]));
                std::array::from_fn(|r| std::array::from_fn(|v| sums[r][v]))
            }
            (2, 8) => {
                let sums = L::tall(segments, packed, x, std::array::from_fn(|r| windows[r]));
                std::array::from_fn(|r| std::array::from_fn(|v| sums[r][v]))
            }
            _ => L::plain(segments, packed, x, windows),
        }
    }
}

/// A loop over the segments of four windows, in `x0` to `x3`, whose sums of four vectors each are left in v16 to v31: 16 elements at a
/// time, and what is left.
macro_rules! four_windows {
    (($segments:ident, $packed:ident, $x:ident, $windows:ident, $sums:ident), [$sixteens:expr, $rest:expr],
     { $($more:tt)* }, $($line:expr),* $(,)?) => {
        std::arch::asm!(
            $($line,)*
            w = inout(reg) $packed => _,
            offsets = inout(reg) $segments.offsets.as_ptr() => _,
            segments = inout(reg) $segments.offsets.len() => _,
            sixteens = in(reg) $sixteens,
            rest = in(reg) $rest,
            x = in(reg) $x.wrapping_add($windows[0]),
            x1_ = in(reg) $windows[1].wrapping_sub($windows[0]),
            x2_ = in(reg) $windows[2].wrapping_sub($windows[0]),
            x3_ = in(reg) $windows[3].wrapping_sub($windows[0]),
            x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _, x3 = out(reg) _,
            left = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v16") $sums[0][0], out("v17") $sums[0][1], out("v18") $sums[0][2], out("v19") $sums[0][3],
            out("v20") $sums[1][0], out("v21") $sums[1][1], out("v22") $sums[1][2], out("v23") $sums[1][3],
            out("v24") $sums[2][0], out("v25") $sums[2][1], out("v26") $sums[2][2], out("v27") $sums[2][3],
            out("v28") $sums[3][0], out("v29") $sums[3][1], out("v30") $sums[3][2], out("v31") $sums[3][3],
            $($more)*
            options(readonly, nostack),
        )
    };
}

/// The same of eight windows, in `x0` to `x7`; the caller says how it has their sums.
macro_rules! eight_windows {
    (($segments:ident, $packed:ident, $x:ident, $windows:ident), [$sixteens:expr, $rest:expr],
     { $($more:tt)* }, $($line:expr),* $(,)?) => {
        std::arch::asm!(
            $($line,)*
            w = inout(reg) $packed => _,
            offsets = inout(reg) $segments.offsets.as_ptr() => _,
            segments = inout(reg) $segments.offsets.len() => _,
            sixteens = in(reg) $sixteens,
            rest = in(reg) $rest,
            x = in(reg) $x.wrapping_add($windows[0]),
            x1_ = in(reg) $windows[1].wrapping_sub($windows[0]), x2_ = in(reg) $windows[2].wrapping_sub($windows[0]), x3_ = in(reg) $windows[3].wrapping_sub($windows[0]), x4_ = in(reg) $windows[4].wrapping_sub($windows[0]),
            x5_ = in(reg) $windows[5].wrapping_sub($windows[0]), x6_ = in(reg) $windows[6].wrapping_sub($windows[0]), x7_ = in(reg) $windows[7].wrapping_sub($windows[0]),
            x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _, x3 = out(reg) _,
            x4 = out(reg) _, x5 = out(reg) _, x6 = out(reg) _, x7 = out(reg) _,
            left = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            $($more)*
            options(readonly, nostack),
        )
    };
}

pub(super) use {eight_windows, four_windows};

/// Sums of two columns of a window, then of the same columns of the next: eight columns.
pub type Pair = [int32x4_t; 4];

/// Four columns of one of two windows.
#[inline(always)]
pub fn window([a, b]: [int32x4_t; 2], number: usize) -> int32x4_t {
    // SAFETY: every 64-bit ARM has NEON.
    unsafe {
        let (a, b) = (vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b));
        vreinterpretq_s32_s64(if number == 0 { vuzp1q_s64(a, b) } else { vuzp2q_s64(a, b) })
    }
}
