//! The one resampling routine: separable, in fixed point. Along each axis, exact area averaging where the
//! picture shrinks and bilinear interpolation (half-pixel centres, edges repeated) where it grows.
//!
//! Weights have 16 fractional bits and add up to exactly one. Rows are blended first, in the frame's own bytes,
//! then columns. Results have 8 fractional bits.
use super::{MAX_SIDE, PixelFormat, Rect};

const WEIGHT_BITS: u32 = 16;
const ONE: u32 = 1 << WEIGHT_BITS;

/// For each output element, where its input elements begin and what each weighs.
struct Axis {
    taps: Vec<Tap>,
    weights: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    /// Of the weights, in `Axis::weights`.
    start: usize,
    count: usize,
}

impl Axis {
    /// From `length` input elements, the first of which is `start`, to `out` of them.
    fn new(start: usize, length: usize, out: usize) -> Self {
        debug_assert!(length <= MAX_SIDE && out <= MAX_SIDE);
        let mut axis = Self { taps: Vec::with_capacity(out), weights: Vec::new() };
        for o in 0..out {
            if out <= length {
                axis.push_area(start, length, out, o);
            } else {
                axis.push_bilinear(start, length, out, o);
            }
        }
        axis
    }

    /// In units of 1/out of an input element, input i covers [i·out, (i+1)·out) and output o covers
    /// [o·length, (o+1)·length). Running sums are rounded, so that the weights add up to one.
    fn push_area(&mut self, start: usize, length: usize, out: usize, o: usize) {
        let (low, high) = (o * length, (o + 1) * length);
        let first = low / out;
        let last = (high - 1) / out;
        let share = |edge: usize| {
            let covered = (edge.clamp(low, high) - low) << WEIGHT_BITS;
            weight((covered + length / 2) / length)
        };
        let weights = (first..=last).map(|i| share((i + 1) * out) - share(i * out));
        self.push(start + first, weights);
    }

    /// The centre of output o lies at (2o+1)·length/(2·out) − 1/2 among the input's centres.
    fn push_bilinear(&mut self, start: usize, length: usize, out: usize, o: usize) {
        let at = ((2 * o + 1) * length).saturating_sub(out);
        let (first, rest) = (at / (2 * out), at % (2 * out));
        if first + 1 >= length {
            return self.push(start + length - 1, [ONE]);
        }
        let second = weight(((rest << WEIGHT_BITS) + out) / (2 * out));
        self.push(start + first, [ONE - second, second]);
    }

    fn push(&mut self, first: usize, weights: impl IntoIterator<Item = u32>) {
        let start = self.weights.len();
        self.weights.extend(weights);
        self.taps.push(Tap { first, start, count: self.weights.len() - start });
    }

    /// The same axis over elements that stand for two neighbours each: chroma of a YUYV row.
    fn paired(&self) -> Self {
        let mut paired = Self { taps: Vec::new(), weights: Vec::new() };
        for &tap in &self.taps {
            let (first, last) = (tap.first / 2, (tap.first + tap.count - 1) / 2);
            let mut sums = vec![0; last - first + 1];
            for (i, w) in self.weights(tap).iter().enumerate() {
                sums[(tap.first + i) / 2 - first] += w;
            }
            paired.push(first, sums);
        }
        paired
    }

    fn weights(&self, tap: Tap) -> &[u32] {
        &self.weights[tap.start..tap.start + tap.count]
    }

    /// Counts input elements from `origin`.
    fn relative_to(mut self, origin: usize) -> Self {
        for tap in &mut self.taps {
            tap.first -= origin;
        }
        self
    }
}

fn weight(value: usize) -> u32 {
    u32::try_from(value).expect("a weight is at most one")
}

/// One of the interleaved quantities of a row: luma, red, …
struct Component {
    /// Of its first byte, from the start of the bytes that are read.
    offset: usize,
    /// Bytes from one to the next.
    step: usize,
    axis: Axis,
}

impl Component {
    fn blend_columns(&self, row: &[u16], tap: Tap) -> u16 {
        let mut at = self.offset + tap.first * self.step;
        // At most 255·2⁸·2¹⁶ + 2¹⁵, which is below 2³².
        let mut sum = 1 << (WEIGHT_BITS - 1);
        for weight in self.axis.weights(tap) {
            sum += u32::from(row[at]) * weight;
            at += self.step;
        }
        low16(sum >> WEIGHT_BITS)
    }
}

/// Which components of a frame are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Y, U, V or R, G, B or luma.
    All,
    /// Y of YUYV.
    Luma,
}

/// Resamples a region of a frame, one output row at a time, without allocating.
pub(super) struct Resampler {
    rows: Axis,
    components: Vec<Component>,
    /// Bytes of an input row that are read.
    from: usize,
    sums: Vec<u32>,
    blended: Vec<u16>,
    wide: bool,
}

impl Resampler {
    /// From `region` of a frame of `format` to `width` × `height`; all sides within `MAX_SIDE`.
    pub fn new(
        format: PixelFormat,
        wanted: Wanted,
        region: Rect,
        width: usize,
        height: usize,
    ) -> Self {
        // A pair of YUYV pixels is read whole.
        let grain = if format == PixelFormat::Yuyv { 2 } else { 1 };
        let left = region.x / grain * grain;
        let right = (region.x + region.width).next_multiple_of(grain);
        let bytes = (right - left) * format.pixel_bytes();
        let axis = || Axis::new(region.x, region.width, width).relative_to(left);
        let component = |offset, step, axis| Component { offset, step, axis };
        let components = match (format, wanted) {
            (PixelFormat::Yuyv, Wanted::Luma) => vec![component(0, 2, axis())],
            (PixelFormat::Yuyv, Wanted::All) => vec![
                component(0, 2, axis()),
                component(1, 4, axis().paired()),
                component(3, 4, axis().paired()),
            ],
            (PixelFormat::Grey, _) => vec![component(0, 1, axis())],
            (PixelFormat::Rgb24, _) => (0..3).map(|c| component(c, 3, axis())).collect(),
        };
        Self {
            rows: Axis::new(region.y, region.height, height),
            components,
            from: left * format.pixel_bytes(),
            sums: vec![0; bytes],
            blended: vec![0; bytes],
            wide: wide_vectors(),
        }
    }

    /// Components of a pixel that [`Self::row`] writes.
    pub fn components(&self) -> usize {
        self.components.len()
    }

    /// Writes row `y` of the output: for each pixel its components, with 8 fractional bits. `bytes` is the whole
    /// frame, its rows `stride` bytes apart; the caller has checked that it is large enough.
    pub fn row(&mut self, bytes: &[u8], stride: usize, y: usize, out: &mut [u16]) {
        self.blend_rows(bytes, stride, y);
        let count = self.components.len();
        for (c, component) in self.components.iter().enumerate() {
            for (tap, out) in component.axis.taps.iter().zip(out[c..].iter_mut().step_by(count)) {
                *out = component.blend_columns(&self.blended, *tap);
            }
        }
    }

    fn blend_rows(&mut self, bytes: &[u8], stride: usize, y: usize) {
        let tap = self.rows.taps[y];
        let length = self.sums.len();
        self.sums.fill(1 << (WEIGHT_BITS - 9));
        for (i, &weight) in self.rows.weights(tap).iter().enumerate() {
            let start = (tap.first + i) * stride + self.from;
            accumulate(&mut self.sums, &bytes[start..start + length], weight, self.wide);
        }
        for (narrow, sum) in self.blended.iter_mut().zip(&self.sums) {
            *narrow = low16(sum >> (WEIGHT_BITS - 8));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most 255 with 8 fractional bits")]
fn low16(value: u32) -> u16 {
    value as u16
}

/// sums += row × weight.
fn accumulate(sums: &mut [u32], row: &[u8], weight: u32, wide: bool) {
    #[cfg(target_arch = "x86_64")]
    if wide {
        // SAFETY: `wide` comes from `wide_vectors`, which found AVX2.
        return unsafe { accumulate_avx2(sums, row, weight) };
    }
    let _ = wide;
    accumulate_portable(sums, row, weight);
}

#[inline(always)]
fn accumulate_portable(sums: &mut [u32], row: &[u8], weight: u32) {
    for (sum, &byte) in sums.iter_mut().zip(row) {
        *sum += u32::from(byte) * weight;
    }
}

/// The portable loop, compiled for wider vectors; integers, hence the same bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn accumulate_avx2(sums: &mut [u32], row: &[u8], weight: u32) {
    accumulate_portable(sums, row, weight);
}

#[cfg(target_arch = "x86_64")]
fn wide_vectors() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn wide_vectors() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_one_and_stay_inside() {
        for (start, length, out) in
            [(0, 1, 1), (3, 7, 7), (0, 640, 32), (5, 33, 32), (2, 10, 96), (0, 1, 9), (1, 997, 3)]
        {
            let axis = Axis::new(start, length, out);
            assert_eq!(axis.taps.len(), out);
            for &tap in &axis.taps {
                let name = format!("{start} {length} {out}");
                assert_eq!(axis.weights(tap).iter().sum::<u32>(), ONE, "{name}");
                assert!(tap.first >= start && tap.first + tap.count <= start + length, "{name}");
            }
        }
    }

    #[test]
    fn an_unchanged_size_is_unchanged() {
        let bytes: Vec<u8> = (0..12 * 5).map(|i| i * 4).collect();
        let mut same = Resampler::new(PixelFormat::Rgb24, Wanted::All, Rect::whole(4, 5), 4, 5);
        let mut out = [0; 12];
        for y in 0..5 {
            same.row(&bytes, 12, y, &mut out);
            let row: Vec<u16> = bytes[y * 12..][..12].iter().map(|&b| u16::from(b) << 8).collect();
            assert_eq!(out[..], row[..]);
        }
    }
}
