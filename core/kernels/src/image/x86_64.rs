//! AVX2.
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_or_si128, _mm_setr_epi8, _mm_shuffle_epi8,
    _mm_storel_epi64, _mm_storeu_si128, _mm_unpacklo_epi64, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cvtepu8_epi16,
    _mm256_inserti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_packs_epi32, _mm256_packus_epi16, _mm256_packus_epi32, _mm256_permute2x128_si256,
    _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srai_epi32, _mm256_srli_epi16,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_unpackhi_epi8,
    _mm256_unpackhi_epi16, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi8,
    _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::axis::WEIGHT_BITS;
use super::colour;
use super::kernel::{self, Affine, Conversion, groups};
use super::resample::{Columns, LANES, Rows, Samples};

/// Proof that the processor has AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

/// Bytes of a row that are blended at once.
const WIDE: usize = 32;

impl Avx2 {
    pub fn new() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub fn blend_rows(self, rows: &Rows<'_>, weights: &[i16], out: &mut [u16]) {
        // SAFETY: `self` proves the instructions.
        unsafe { blend_rows(rows, weights, out) }
    }

    pub fn blend_columns(self, columns: &Columns, row: &[u16], out: &mut [u16]) {
        // SAFETY: `self` proves the instructions; the caller has checked `row` and `out`.
        unsafe { blend_columns(columns, row, out) }
    }

    pub fn convert(self, conversion: Conversion, from: &[u16], to: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { convert(conversion, from, to) }
    }

    pub fn interleave(self, planes: [&[u8]; 3], out: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { interleave(planes, out) }
    }

    pub fn reals(self, affine: &Affine, bytes: &[u8], out: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { reals(affine, bytes, out) }
    }
}

#[target_feature(enable = "avx2")]
fn blend_rows(rows: &Rows<'_>, weights: &[i16], out: &mut [u16]) {
    let whole = out.len() / WIDE;
    rows.check(weights.len(), out.len());
    let (first, stride) = (rows.get(0).as_ptr(), rows.stride());
    let chunks = out.as_chunks_mut::<WIDE>().0.iter_mut().enumerate();
    // SAFETY: it is one of `weights.len()` rows, and each has `out.len()` bytes.
    let at = |row: usize, i: usize| unsafe { load(first.wrapping_add(row * stride + i * WIDE)) };
    match *weights {
        [_] => chunks.for_each(|(i, chunk)| store(one(at(0, i)), chunk)),
        [a, b] if a > 0 && b > 0 => {
            let blend = two(a, b);
            chunks.for_each(|(i, chunk)| store(blend(at(0, i), at(1, i)), chunk));
        }
        _ => chunks.for_each(|(i, chunk)| store(several(|row| at(row, i), weights), chunk)),
    }
    kernel::blend_rows(rows, weights, out, whole * WIDE);
}

/// # Safety
/// There are 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(bytes: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(bytes.cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(blended: [__m256i; 2], out: &mut [u16; WIDE]) {
    for (half, vector) in out.as_chunks_mut::<16>().0.iter_mut().zip(blended) {
        // SAFETY: sixteen values are 32 bytes.
        unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), vector) };
    }
}

/// A weight of one.
#[inline]
#[target_feature(enable = "avx2")]
fn one(bytes: __m256i) -> [__m256i; 2] {
    let halves = [_mm256_castsi256_si128(bytes), high(bytes)];
    halves.map(|half| _mm256_slli_epi16::<7>(_mm256_cvtepu8_epi16(half)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn high(vector: __m256i) -> __m128i {
    _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1110>(vector))
}

/// Two weights that add up to one, neither 0: their upper seven bits and their lower seven each add up to at most
/// 128, so that a sum of two products stays within 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn two(weight_a: i16, weight_b: i16) -> impl Fn(__m256i, __m256i) -> [__m256i; 2] {
    let pair = |a: i16, b: i16| _mm256_set1_epi16(b << 8 | a);
    let upper = pair(weight_a >> 7, weight_b >> 7);
    let lower = pair(weight_a & 127, weight_b & 127);
    let half = _mm256_set1_epi16(1 << 6);
    move |a, b| {
        let blended = [_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)].map(|both| {
            let rest = _mm256_add_epi16(_mm256_maddubs_epi16(both, lower), half);
            _mm256_add_epi16(_mm256_maddubs_epi16(both, upper), _mm256_srli_epi16::<7>(rest))
        });
        in_order(blended[0], blended[1])
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn several(at: impl Fn(usize) -> __m256i, weights: &[i16]) -> [__m256i; 2] {
    let zero = _mm256_setzero_si256();
    let mut sums = [_mm256_set1_epi32(1 << 6); 4];
    for (i, pair) in weights.chunks(2).enumerate() {
        let (a, b) = (at(2 * i), if pair.len() == 2 { at(2 * i + 1) } else { zero });
        let weight_b = i32::from(pair.get(1).copied().unwrap_or_default());
        let both = _mm256_set1_epi32(weight_b << 16 | i32::from(pair[0]));
        let halves = [_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)];
        for (half, sums) in halves.iter().zip(sums.as_chunks_mut::<2>().0) {
            let words = [_mm256_unpacklo_epi8(*half, zero), _mm256_unpackhi_epi8(*half, zero)];
            for (words, sum) in words.into_iter().zip(sums) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(words, both));
            }
        }
    }
    let [a, b, c, d] = sums.map(|sum| _mm256_srli_epi32::<7>(sum));
    in_order(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d))
}

/// From the order of unpacking, which is per half of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn in_order(low: __m256i, high: __m256i) -> [__m256i; 2] {
    [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)]
}

/// # Safety
/// The processor has AVX2; `row` and `out` are as long as `columns` says.
#[target_feature(enable = "avx2")]
unsafe fn blend_columns(columns: &Columns, row: &[u16], out: &mut [u16]) {
    // SAFETY: the caller's promise is handed on.
    unsafe {
        match columns.samples {
            Samples::Yuyv => {
                blend::<3>(columns, row, out, |[a, b, c, d]| [_mm256_add_epi32(a, b), c, d])
            }
            Samples::Rgb => blend::<3>(columns, row, out, |[a, b, c, _]| [a, b, c]),
            Samples::Chroma => blend::<2>(columns, row, out, |[a, b, c, d]| {
                [_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)]
            }),
            Samples::Single | Samples::YuyvLuma => blend::<1>(columns, row, out, |[a, b, c, d]| {
                [_mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d))]
            }),
        }
    }
}

/// # Safety
/// As [`blend_columns`]; `C` is the number of components.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn blend<const C: usize>(
    columns: &Columns,
    row: &[u16],
    out: &mut [u16],
    components: impl Fn([__m256i; 4]) -> [__m256i; C],
) {
    let order = bytes_of(columns.samples.order());
    let half = _mm256_set1_epi32(1 << (WEIGHT_BITS - 1));
    let (width, step) = (columns.starts.len(), columns.step());
    let mut weights = columns.weights.as_ptr();
    for group in 0..groups(columns) {
        let starts = &columns.starts[group * LANES..][..LANES];
        let mut sums = [_mm256_setzero_si256(); 4];
        for block in 0..columns.blocks {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the last window of the last pixel ends at `reach`, which `row` has; weights are eight for each
                // pixel and block, in the order they are read in.
                let (window, weight) = unsafe {
                    let at = |start: usize| row.as_ptr().add(start + block * step).cast();
                    let first = _mm256_broadcastsi128_si256(_mm_loadu_si128(at(starts[i])));
                    let second = _mm_loadu_si128(at(starts[i + 4]));
                    let weight = _mm256_loadu_si256(weights.cast());
                    weights = weights.add(16);
                    (_mm256_inserti128_si256::<1>(first, second), weight)
                };
                let window = _mm256_shuffle_epi8(window, order);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(window, weight));
            }
        }
        for (c, sum) in components(transposed(sums)).into_iter().enumerate() {
            let sum =
                _mm256_srai_epi32::<{ WEIGHT_BITS.cast_signed() }>(_mm256_add_epi32(sum, half));
            let words = _mm256_packus_epi32(sum, sum);
            let words = _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(words));
            let eight = &mut out[c * width + group * LANES..][..LANES];
            // SAFETY: eight values are 16 bytes.
            unsafe { _mm_storeu_si128(eight.as_mut_ptr().cast(), words) };
        }
    }
}

/// Of two-byte values, for a shuffle of bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes_of(order: [u8; 8]) -> __m256i {
    let bytes = order.map(|value| [2 * value, 2 * value + 1]);
    // SAFETY: they are 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// The four sums of pixels 0 and 4, 1 and 5, 2 and 6, 3 and 7 to each sum of pixels 0 to 7.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

#[target_feature(enable = "avx2")]
fn convert(conversion: Conversion, from: &[u16], to: &mut [u8]) {
    match conversion {
        Conversion::YuvToRgb => yuv_to_rgb(from, to),
        _ => kernel::convert(conversion, from, to),
    }
}

/// Sixteen pixels at a time, which rows are padded to.
#[target_feature(enable = "avx2")]
fn yuv_to_rgb(from: &[u16], to: &mut [u8]) {
    let width = from.len() / 3;
    let (y, (u, v)) = (&from[..width], from[width..].split_at(width));
    let (red, rest) = to[..3 * width].split_at_mut(width);
    let (green, blue) = rest.split_at_mut(width);
    let of = |a, b| _mm256_set1_epi32(b << 16 | a & 0xffff);
    let (by_v, by_u) = (of(colour::Y_GAIN, colour::RED_V), of(colour::Y_GAIN, colour::BLUE_U));
    let (green_v, green_u) = (of(colour::Y_GAIN, -colour::GREEN_V), of(0, -colour::GREEN_U));
    let (zero, half) = (_mm256_set1_epi16(128 << 7), _mm256_set1_epi32(1 << 19));
    for i in 0..width / 16 {
        let y = _mm256_sub_epi16(load_words(y, i), _mm256_set1_epi16(16 << 7));
        let u = _mm256_sub_epi16(load_words(u, i), zero);
        let v = _mm256_sub_epi16(load_words(v, i), zero);
        let (yu, yv) = (pairs(y, u), pairs(y, v));
        let narrow = |[low, high]: [__m256i; 2]| {
            let shifted = |sum| _mm256_srai_epi32::<20>(_mm256_add_epi32(sum, half));
            _mm256_packs_epi32(shifted(low), shifted(high))
        };
        let by = |words: [__m256i; 2], gains| words.map(|words| _mm256_madd_epi16(words, gains));
        let (from_v, from_u) = (by(yv, green_v), by(yu, green_u));
        let sums = [0, 1].map(|i: usize| _mm256_add_epi32(from_v[i], from_u[i]));
        store_bytes(narrow(by(yv, by_v)), i, red);
        store_bytes(narrow(sums), i, green);
        store_bytes(narrow(by(yu, by_u)), i, blue);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn pairs(a: __m256i, b: __m256i) -> [__m256i; 2] {
    [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[u16], index: usize) -> __m256i {
    let sixteen = &words[index * 16..][..16];
    // SAFETY: they are 32 bytes.
    unsafe { _mm256_loadu_si256(sixteen.as_ptr().cast()) }
}

/// Sixteen words, clamped to bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn store_bytes(words: __m256i, index: usize, out: &mut [u8]) {
    let bytes = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi16(words, words));
    let sixteen = &mut out[index * 16..][..16];
    // SAFETY: they are 16 bytes.
    unsafe { _mm_storeu_si128(sixteen.as_mut_ptr().cast(), _mm256_castsi256_si128(bytes)) };
}

/// The portable loop, compiled for wider vectors.
#[target_feature(enable = "avx2")]
fn reals(affine: &Affine, bytes: &[u8], out: &mut [u8]) {
    kernel::reals(affine, bytes, out);
}

#[target_feature(enable = "avx2")]
fn interleave([a, b, c]: [&[u8]; 3], out: &mut [u8]) {
    let eights = out.len() / 24;
    let eights = eights.min(a.len() / 8).min(b.len() / 8).min(c.len() / 8);
    let none = -1;
    let first = [
        _mm_setr_epi8(0, 8, none, 1, 9, none, 2, 10, none, 3, 11, none, 4, 12, none, 5),
        _mm_setr_epi8(
            none, none, 0, none, none, 1, none, none, 2, none, none, 3, none, none, 4, none,
        ),
    ];
    let second = [
        _mm_setr_epi8(13, none, 6, 14, none, 7, 15, none, -1, -1, -1, -1, -1, -1, -1, -1),
        _mm_setr_epi8(none, 5, none, none, 6, none, none, 7, -1, -1, -1, -1, -1, -1, -1, -1),
    ];
    for (i, pixels) in out.as_chunks_mut::<24>().0.iter_mut().take(eights).enumerate() {
        let (ab, c) = (_mm_unpacklo_epi64(load_eight(a, i), load_eight(b, i)), load_eight(c, i));
        let of = |order: [__m128i; 2]| {
            _mm_or_si128(_mm_shuffle_epi8(ab, order[0]), _mm_shuffle_epi8(c, order[1]))
        };
        // SAFETY: 16 and 8 of 24 bytes.
        unsafe {
            _mm_storeu_si128(pixels.as_mut_ptr().cast(), of(first));
            _mm_storel_epi64(pixels.as_mut_ptr().add(16).cast(), of(second));
        }
    }
    let done = eights * 8;
    kernel::interleave([&a[done..], &b[done..], &c[done..]], &mut out[done * 3..]);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_eight(bytes: &[u8], index: usize) -> __m128i {
    let eight = &bytes[index * 8..][..8];
    // SAFETY: they are 8 bytes.
    unsafe { std::arch::x86_64::_mm_loadl_epi64(eight.as_ptr().cast()) }
}
