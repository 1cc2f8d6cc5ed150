//! The inner loops of preparing a picture, for one kind of processor each; all give the same bits.
use super::axis::WEIGHT_BITS;
use super::colour;
use super::resample::{Columns, LANES, Rows};

/// A processor's instructions for pictures. Only a processor that has them gets a value of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(super::x86_64::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(super::aarch64::Neon),
}

/// How components become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// Every component as it is.
    Whole,
    /// Y U V of limited range to R G B.
    YuvToRgb,
    /// Y of limited range to grey.
    LumaToGrey,
    /// R G B to grey.
    RgbToGrey,
}

impl Kernel {
    /// Those that this processor can run, fastest first; the scalar reference is always last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        kernels.extend(super::x86_64::Avx2::new().map(|avx2| Self(Kind::Avx2(avx2))));
        #[cfg(target_arch = "aarch64")]
        kernels.extend(super::aarch64::Neon::new().map(|neon| Self(Kind::Neon(neon))));
        kernels.push(Self(Kind::Scalar));
        kernels
    }

    /// The fastest of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Architecture and instructions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "x86_64-avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "aarch64-neon",
        }
    }

    /// Each sum of bytes and weights, with 7 fractional bits.
    pub(super) fn blend_rows(self, rows: &Rows<'_>, weights: &[i16], out: &mut [u16]) {
        match self.0 {
            Kind::Scalar => blend_rows(rows, weights, out, 0),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.blend_rows(rows, weights, out),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(neon) => neon.blend_rows(rows, weights, out),
        }
    }

    /// Each component of each padded pixel, with 7 fractional bits, one component after the other.
    ///
    /// # Panics
    /// If `row` or `out` is shorter than `columns` says.
    pub(super) fn blend_columns(self, columns: &Columns, row: &[u16], out: &mut [u16]) {
        assert!(row.len() >= columns.reach, "a row ends before the last window");
        assert!(out.len() >= columns.starts.len() * columns.samples.components());
        match self.0 {
            Kind::Scalar => blend_columns(columns, row, out),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.blend_columns(columns, row, out),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(neon) => neon.blend_columns(columns, row, out),
        }
    }

    /// Components that lie one after the other to bytes that do.
    pub(super) fn convert(self, conversion: Conversion, from: &[u16], to: &mut [u8]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.convert(conversion, from, to),
            _ => convert(conversion, from, to),
        }
    }

    /// Three planes of bytes to pixels; as many as `out` has room for.
    pub(super) fn interleave(self, planes: [&[u8]; 3], out: &mut [u8]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.interleave(planes, out),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(neon) => neon.interleave(planes, out),
            Kind::Scalar => interleave(planes, out),
        }
    }

    /// Bytes to little-endian f32, byte × gain + offset; gains and offsets repeat with every [`PATTERN`] bytes.
    pub(super) fn reals(self, affine: &Affine, bytes: &[u8], out: &mut [u8]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.reals(affine, bytes, out),
            _ => reals(affine, bytes, out),
        }
    }
}

/// Bytes after which one, two or three channels begin anew, and a whole number of vectors.
pub(super) const PATTERN: usize = 24;

/// The real value of a byte, by its place.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub gains: [f32; PATTERN],
    pub offsets: [f32; PATTERN],
}

/// From the byte at `start` on.
pub(super) fn blend_rows(rows: &Rows<'_>, weights: &[i16], out: &mut [u16], start: usize) {
    for (i, out) in out.iter_mut().enumerate().skip(start) {
        let products =
            weights.iter().enumerate().map(|(r, &w)| i32::from(rows.get(r)[i]) * i32::from(w));
        *out = low16((products.sum::<i32>() + (1 << 6)) >> 7);
    }
}

fn blend_columns(columns: &Columns, row: &[u16], out: &mut [u16]) {
    let (width, order) = (columns.starts.len(), columns.samples.order());
    for (pixel, &start) in columns.starts.iter().enumerate() {
        let mut sums = [0; 3];
        for block in 0..columns.blocks {
            let window = &row[start + block * columns.step()..][..8];
            let weights = &columns.weights[columns.weights_at(pixel, block)..][..8];
            let products = order.iter().zip(weights);
            for (i, (&value, &weight)) in products.enumerate() {
                let component = columns.samples.sums().get(i / 2).copied().unwrap_or_default();
                sums[component] += i32::from(window[usize::from(value)]) * i32::from(weight);
            }
        }
        for (component, sum) in sums.iter().take(columns.samples.components()).enumerate() {
            let half = 1 << (WEIGHT_BITS - 1);
            out[component * width + pixel] = low16((sum + half) >> WEIGHT_BITS);
        }
    }
}

#[inline(always)]
pub(super) fn convert(conversion: Conversion, from: &[u16], to: &mut [u8]) {
    let width = from.len() / 3;
    match conversion {
        Conversion::Whole => {
            from.iter().zip(to).for_each(|(&value, byte)| *byte = colour::whole(value));
        }
        Conversion::LumaToGrey => {
            from.iter().zip(to).for_each(|(&value, byte)| *byte = colour::grey_of(value));
        }
        Conversion::YuvToRgb => {
            let (y, (u, v)) = (&from[..width], from[width..].split_at(width));
            let (red, rest) = to.split_at_mut(width);
            let (green, blue) = rest.split_at_mut(width);
            for i in 0..width {
                [red[i], green[i], blue[i]] = colour::rgb_of([y[i], u[i], v[i]]);
            }
        }
        Conversion::RgbToGrey => {
            let (red, (green, blue)) = (&from[..width], from[width..].split_at(width));
            for i in 0..width {
                to[i] = colour::luma([red[i], green[i], blue[i]].map(colour::whole));
            }
        }
    }
}

#[inline(always)]
pub(super) fn interleave(planes: [&[u8]; 3], out: &mut [u8]) {
    let [a, b, c] = planes;
    for (pixel, ((a, b), c)) in out.as_chunks_mut::<3>().0.iter_mut().zip(a.iter().zip(b).zip(c)) {
        *pixel = [*a, *b, *c];
    }
}

#[inline(always)]
pub(super) fn reals(affine: &Affine, bytes: &[u8], out: &mut [u8]) {
    let real = |i: usize, byte: u8| f32::from(byte) * affine.gains[i] + affine.offsets[i];
    let (chunks, rest) = bytes.as_chunks::<PATTERN>();
    let (wide, narrow) = out.split_at_mut(chunks.len() * PATTERN * 4);
    for (out, bytes) in wide.as_chunks_mut::<{ PATTERN * 4 }>().0.iter_mut().zip(chunks) {
        let mut reals = [0.0_f32; PATTERN];
        for i in 0..PATTERN {
            reals[i] = real(i, bytes[i]);
        }
        for (out, real) in out.as_chunks_mut::<4>().0.iter_mut().zip(reals) {
            *out = real.to_le_bytes();
        }
    }
    for (i, (out, &byte)) in narrow.as_chunks_mut::<4>().0.iter_mut().zip(rest).enumerate() {
        *out = real(i, byte).to_le_bytes();
    }
}

/// Groups of pixels that [`Columns`] are padded to.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn groups(columns: &Columns) -> usize {
    columns.starts.len() / LANES
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 255 with 7 fractional bits, never negative"
)]
fn low16(value: i32) -> u16 {
    value as u16
}
