//! Tiles as AVX2 has them, of more pixels, since weights and elements are multiplied as they are.
use std::arch::x86_64::{
    __m256i, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_max_epi32, _mm256_set1_epi32,
};

use super::super::avx2::LANES;
use super::super::avx2::requantize::{Rule, write};
use super::super::tiles::tiles;
use crate::int8::convolution::{Operands, Tile};

tiles!("avx2,avxvnni", 6);

const fn elements(four: __m256i) -> __m256i {
    four
}

const fn weights(w: __m256i) -> __m256i {
    w
}

#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn dot(sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
    _mm256_dpbusd_avx_epi32(sums, x, w)
}
