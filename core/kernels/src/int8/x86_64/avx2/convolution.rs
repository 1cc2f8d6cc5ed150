//! Four neighbouring bytes are widened as the even two and the odd two.
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_max_epi32, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_slli_epi16, _mm256_srai_epi16,
    _mm256_srli_epi16,
};

use super::super::tiles::tiles;
use super::LANES;
use super::requantize::{Rule, write};
use crate::int8::convolution::{Operands, Tile};

tiles!("avx2", 4);

#[inline]
#[target_feature(enable = "avx2")]
fn elements(four: __m256i) -> [__m256i; 2] {
    [_mm256_and_si256(four, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16::<8>(four)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn weights(w: __m256i) -> [__m256i; 2] {
    [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)), _mm256_srai_epi16::<8>(w)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot(sums: __m256i, x: [__m256i; 2], w: [__m256i; 2]) -> __m256i {
    let [even, odd] = [_mm256_madd_epi16(x[0], w[0]), _mm256_madd_epi16(x[1], w[1])];
    _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
}
