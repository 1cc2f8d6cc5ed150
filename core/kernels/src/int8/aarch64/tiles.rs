//! What the kernels' convolutions have in common: the way over panels, rows and tiles, the greatest of several windows,
//! rounding and writing. A kernel only sums up windows.
use std::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_s8, vdupq_n_s32, vextq_s8, vmaxq_s32, vreinterpretq_s32_s64,
    vreinterpretq_s64_s32, vuzp1q_s64, vuzp2q_s64,
};

use super::lines::{Line, Rounding};
use super::requantize::{Multipliers, Rule, write, write_some};
use crate::int8::convolution::{Convolution, Operands};
use crate::int8::packing::Panels;

/// Columns of a vector of sums.
pub const LANES: usize = 4;

/// Pixels of the smallest tile that is one loop.
pub const LEAST_PIXELS: usize = 4;

/// Bytes that may be read beyond a segment in whole steps of four: 16 are read at once.
const BEYOND: usize = 12;

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
/// A function reads the panel that it is given and, of each window, its segments in whole steps and at most [`BEYOND`]
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

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions of `W`.
#[inline(always)]
pub unsafe fn run<W: Windows>(operands: &mut Operands<'_>) {
    let (job, has) = (operands.job, operands.x.len());
    assert!(!job.offsets.is_empty(), "a window has segments");
    if job.pixels() == 0 {
        return;
    }
    let reads = job.input_bytes().saturating_add(BEYOND);
    assert!(has >= reads, "{has} bytes in, {reads} needed");
    let rows = Rows::of(job);
    for panel in W::PANELS.cut(job.channels, job.offsets.len(), job.segment) {
        let block = Block {
            job,
            rule: Rule::new(job.output),
            packed: operands.packed.as_ptr().wrapping_add(panel.start),
            columns: panel.columns,
            x: operands.x.as_ptr(),
            y: operands.y.as_mut_ptr().wrapping_add(panel.first_column),
        };
        // SAFETY: the caller's promise; each arm's vectors are the panel's.
        unsafe {
            match panel.width / LANES {
                1 => block.members::<W, 1>(&rows),
                2 => block.members::<W, 2>(&rows),
                3 => block.members::<W, 3>(&rows),
                _ => block.members::<W, 4>(&rows),
            }
        }
    }
}

/// Rows of output pixels; a single one where they follow each other in memory.
struct Rows {
    height: usize,
    width: usize,
    /// Bytes from a row to the next, of the input and the output; then from a pixel to the next.
    row_steps: [usize; 2],
    pixel_steps: [usize; 2],
}

impl Rows {
    fn of(job: &Convolution) -> Self {
        let (height, width) = (job.height, job.width);
        let row_steps = [job.row_step, job.out_row_step];
        let pixel_steps = [job.column_step, job.pixel_step];
        if width == 1 {
            Self { height: 1, width: height, row_steps, pixel_steps: row_steps }
        } else if row_steps == pixel_steps.map(|step| step * width) {
            Self { height: 1, width: height * width, row_steps, pixel_steps }
        } else {
            Self { height, width, row_steps, pixel_steps }
        }
    }
}

/// A panel's columns of all pixels.
struct Block<'a> {
    job: &'a Convolution,
    rule: Rule,
    packed: *const u8,
    columns: usize,
    x: *const u8,
    y: *mut u8,
}

impl Block<'_> {
    #[inline(always)]
    unsafe fn members<W: Windows, const V: usize>(&self, rows: &Rows) {
        // SAFETY: the caller's promise.
        unsafe {
            match (self.job.members.len(), V == 2 && W::TALL == 8) {
                (1, _) if V == 4 && W::LINE.is_some() && rows.width >= 4 => self.lines::<W>(rows),
                (1, true) if rows.width >= 8 => self.rows::<W, V, 8, 1>(rows),
                (1, _) if rows.width >= 4 => self.rows::<W, V, 4, 1>(rows),
                (1, _) => self.rows::<W, V, 1, 1>(rows),
                (2, _) if rows.width >= 2 => self.rows::<W, V, 4, 2>(rows),
                (2, _) => self.rows::<W, V, 2, 2>(rows),
                (3, _) => self.rows::<W, V, 3, 3>(rows),
                (_, _) => self.rows::<W, V, 4, 4>(rows),
            }
        }
    }

    /// Rows as whole loops.
    ///
    /// # Safety
    /// As [`run`]; a row has at least four pixels, and the panel four vectors.
    unsafe fn lines<W: Windows>(&self, rows: &Rows) {
        let Some(run) = W::LINE else { return };
        let (job, packed) = (self.job, self.packed);
        // SAFETY: the caller's promise.
        let rounding = unsafe {
            Rounding::new(job.output, packed, job.offsets.len().saturating_mul(job.segment))
        };
        for row in 0..rows.height {
            let line = Line {
                segments: self.segments(std::ptr::null()),
                packed,
                x: self.x.wrapping_add(row * rows.row_steps[0] + job.members[0]),
                y: self.y.wrapping_add(row * rows.row_steps[1]),
                pixels: rows.width,
                steps: rows.pixel_steps,
                rounding: &rounding,
            };
            // SAFETY: the caller's promise.
            unsafe {
                if self.columns == 4 * LANES { run(&line) } else { line.some(self.columns, run) }
            }
        }
    }

    #[inline(always)]
    fn segments(&self, starts: *const int32x4_t) -> Segments<'_> {
        Segments {
            starts,
            offsets: &self.job.offsets,
            elements: self.job.segment,
            two_products_fit: self.job.two_products_fit,
        }
    }

    /// `R` windows at once, `M` for each pixel. Where a row's last pixels are fewer than a tile has, some are made twice.
    ///
    /// # Safety
    /// As [`run`]; a row has at least `R` ÷ `M` pixels.
    #[inline(always)]
    unsafe fn rows<W: Windows, const V: usize, const R: usize, const M: usize>(&self, rows: &Rows) {
        let pixels = R / M;
        // SAFETY: the caller's promise.
        let starts = unsafe { W::starts::<V>(self.packed) };
        let segments = self.segments(starts.as_ptr().cast());
        let store =
            Store { rule: self.rule, whole: self.columns == LANES * V, columns: self.columns };
        let packed = self.packed;
        let [input, output] = rows.pixel_steps;
        let windows: [usize; R] = std::array::from_fn(|r| r / M * input + self.job.members[r % M]);
        for row in 0..rows.height {
            let mut x = self.x.wrapping_add(row * rows.row_steps[0]);
            let mut y = self.y.wrapping_add(row * rows.row_steps[1]);
            let mut left = rows.width;
            loop {
                // SAFETY: the caller's promise; the pixels lie in the row. The multipliers follow the starts, as `packing`
                // says; `Operands` has checked the output.
                unsafe {
                    let sums = W::sums::<V, R>(segments, packed, x, windows);
                    store.tile::<W, V, R, M>(sums, packed.wrapping_add(4 * LANES * V), y, output);
                }
                left -= pixels;
                if left == 0 {
                    break;
                }
                // Back, where fewer are left than a tile has.
                let next = pixels - pixels.saturating_sub(left);
                left = left.max(pixels);
                x = x.wrapping_add(next * input);
                y = y.wrapping_add(next * output);
            }
        }
    }
}

/// How sums of a panel are written.
#[derive(Clone, Copy)]
struct Store {
    rule: Rule,
    /// All columns of the panel.
    whole: bool,
    columns: usize,
}

impl Store {
    /// The greatest of `M` windows each, rounded and written, `step` bytes from one pixel to the next.
    ///
    /// # Safety
    /// There are `V` vectors of multipliers, and room for every pixel's columns.
    #[inline(always)]
    unsafe fn tile<W: Windows, const V: usize, const R: usize, const M: usize>(
        &self,
        sums: [[int32x4_t; V]; R],
        multipliers: *const u8,
        y: *mut u8,
        step: usize,
    ) {
        let pixels = R / M;
        let two = two_at_once::<V, R, M>();
        // SAFETY: the caller's promise; every 64-bit ARM has NEON.
        unsafe {
            let bytes = if W::PAIRED && (V, R) == (4, 4) {
                let pairs = std::array::from_fn(|r| std::array::from_fn(|v| sums[r][v]));
                if M == 1 {
                    let bytes = self.rule.paired_bytes(pairs, multipliers);
                    std::array::from_fn(|r| bytes[r])
                } else {
                    let apart = apart(pairs);
                    let sums = std::array::from_fn(|r| std::array::from_fn(|v| apart[r][v]));
                    self.bytes::<V, R, M>(&sums, multipliers)
                }
            } else {
                self.bytes::<V, R, M>(&sums, multipliers)
            };
            if self.whole && !self.rule.clamps {
                for pixel in 0..pixels {
                    write::<V>(bytes[pixel], two && pixel % 2 == 1, y.wrapping_add(pixel * step));
                }
            } else if self.whole {
                for pixel in 0..pixels {
                    let bytes = self.rule.clamp(bytes[pixel]);
                    write::<V>(bytes, two && pixel % 2 == 1, y.wrapping_add(pixel * step));
                }
            } else {
                for pixel in 0..pixels {
                    let own = bytes[pixel];
                    let own = if two && pixel % 2 == 1 { vextq_s8::<8>(own, own) } else { own };
                    write_some(self.rule.clamp(own), y.wrapping_add(pixel * step), self.columns);
                }
            }
        }
    }

    /// Bytes of each pixel, not clamped yet; where [`two_at_once`], of a pixel and the next.
    ///
    /// # Safety
    /// There are `V` vectors of multipliers.
    #[inline(always)]
    unsafe fn bytes<const V: usize, const R: usize, const M: usize>(
        &self,
        sums: &[[int32x4_t; V]; R],
        multipliers: *const u8,
    ) -> [int8x16_t; R] {
        // SAFETY: the caller's promise; every 64-bit ARM has NEON.
        unsafe {
            let m = Multipliers::<V>::load(multipliers).0;
            let mut bytes = [vdupq_n_s8(0); R];
            for pixel in 0..R / M {
                bytes[pixel] = if two_at_once::<V, R, M>() {
                    let a = greatest::<V, R, M>(sums, pixel / 2 * 2);
                    let b = greatest::<V, R, M>(sums, pixel / 2 * 2 + 1);
                    self.rule
                        .bytes([a[0], a[V - 1], b[0], b[V - 1]], [m[0], m[V - 1], m[0], m[V - 1]])
                } else {
                    self.rule.bytes(greatest::<V, R, M>(sums, pixel), m)
                };
            }
            bytes
        }
    }
}

/// Whether two pixels of eight columns are rounded as one of 16.
const fn two_at_once<const V: usize, const R: usize, const M: usize>() -> bool {
    V == 2 && (R / M).is_multiple_of(2)
}

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

/// The greatest sums of a pixel's windows.
#[inline(always)]
fn greatest<const V: usize, const R: usize, const M: usize>(
    sums: &[[int32x4_t; V]; R],
    pixel: usize,
) -> [int32x4_t; V] {
    let mut greatest = sums[pixel * M];
    for m in 1..M {
        for v in 0..V {
            // SAFETY: every 64-bit ARM has NEON.
            greatest[v] = unsafe { vmaxq_s32(greatest[v], sums[pixel * M + m][v]) };
        }
    }
    greatest
}
