//! Tables of 256 bytes, at many bytes at once.
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm256_broadcastsi128_si256, _mm256_loadu_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_si256,
    _mm256_subs_epi8, _mm256_xor_si256, _mm512_broadcast_i32x4, _mm512_loadu_si512,
    _mm512_mask_blend_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_storeu_si512, _mm512_subs_epi8,
    _mm512_xor_si512,
};

/// `vpermi2b` looks into 128 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub fn translate_vbmi(table: &[u8; 256], x: &[u8], y: &mut [u8]) {
    // SAFETY: the table has four vectors.
    let [a, b, c, d] =
        std::array::from_fn(|i| unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * i).cast()) });
    each::<64>(table, x, y, |x, y| {
        // SAFETY: each has 64 bytes.
        unsafe {
            let at: __m512i = _mm512_loadu_si512(x.cast());
            let (low, high) =
                (_mm512_permutex2var_epi8(a, at, b), _mm512_permutex2var_epi8(c, at, d));
            let all = _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high);
            _mm512_storeu_si512(y.cast(), all);
        }
    });
}

/// As [`translate`], in wider vectors.
#[target_feature(enable = "avx512f,avx512bw")]
pub fn translate_wide(table: &[u8; 256], x: &[u8], y: &mut [u8]) {
    let rows = rows(table).map(|row| _mm512_broadcast_i32x4(row));
    let (sixteen, half) = (_mm512_set1_epi8(16), _mm512_set1_epi8(-128));
    each::<64>(table, x, y, |x, y| {
        // SAFETY: each has 64 bytes.
        let at = unsafe { _mm512_loadu_si512(x.cast()) };
        let mut at = [at, _mm512_xor_si512(at, half)];
        let mut all = _mm512_setzero_si512();
        for row in 0..8 {
            for side in 0..2 {
                let found = _mm512_shuffle_epi8(rows[8 * side + row], at[side]);
                all = _mm512_xor_si512(all, found);
                at[side] = _mm512_subs_epi8(at[side], sixteen);
            }
        }
        // SAFETY: each has 64 bytes.
        unsafe { _mm512_storeu_si512(y.cast(), all) }
    });
}

/// `vpshufb` looks into 16 bytes, and finds 0 where an index is negative: each half of the table is looked at in steps of
/// 16, every index 16 less than before. A row holds what it differs by from the row before, as that was found too.
#[target_feature(enable = "avx2")]
pub fn translate(table: &[u8; 256], x: &[u8], y: &mut [u8]) {
    let rows = rows(table).map(|row| _mm256_broadcastsi128_si256(row));
    let (sixteen, half) = (_mm256_set1_epi8(16), _mm256_set1_epi8(-128));
    each::<32>(table, x, y, |x, y| {
        // SAFETY: each has 32 bytes.
        let at: __m256i = unsafe { _mm256_loadu_si256(x.cast()) };
        let mut at = [at, _mm256_xor_si256(at, half)];
        let mut all = _mm256_setzero_si256();
        for row in 0..8 {
            for side in 0..2 {
                let found = _mm256_shuffle_epi8(rows[8 * side + row], at[side]);
                all = _mm256_xor_si256(all, found);
                at[side] = _mm256_subs_epi8(at[side], sixteen);
            }
        }
        // SAFETY: each has 32 bytes.
        unsafe { _mm256_storeu_si256(y.cast(), all) }
    });
}

/// Sixteen bytes each; those of a half from its second on as their differences from the one before.
#[inline]
#[target_feature(enable = "avx2")]
fn rows(table: &[u8; 256]) -> [__m128i; 16] {
    let byte = |at: usize| if at % 128 < 16 { table[at] } else { table[at] ^ table[at - 16] };
    std::array::from_fn(|row| {
        let bytes: [u8; 16] = std::array::from_fn(|i| byte(16 * row + i));
        // SAFETY: the array has the size of a vector.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    })
}

/// Calls `vector` with `N` bytes of both; the last are made together with some before them, few one by one.
#[inline(always)]
fn each<const N: usize>(
    table: &[u8; 256],
    x: &[u8],
    y: &mut [u8],
    vector: impl Fn(*const u8, *mut u8),
) {
    let count = y.len().min(x.len());
    if count < N {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = table[usize::from(x)];
        }
        return;
    }
    let last = count - N;
    for at in (0..last).step_by(N).chain([last]) {
        vector(x[at..][..N].as_ptr(), y[at..][..N].as_mut_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor that has the better instructions runs only those, so that the others are called by name.
    #[test]
    fn every_way_finds_the_same() {
        type Way = (bool, unsafe fn(&[u8; 256], &[u8], &mut [u8]));
        let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        let ways: [Way; 3] = [
            (is_x86_feature_detected!("avx2"), translate),
            (wide, translate_wide),
            (wide && is_x86_feature_detected!("avx512vbmi"), translate_vbmi),
        ];
        let mixed = |i: usize| (i * i * 7 + i * 31 + 5).to_le_bytes()[0];
        let table: [u8; 256] = std::array::from_fn(mixed);
        for count in [3, 32, 64, 77, 1000] {
            let x: Vec<u8> = (0..count).map(|i: usize| (i * 11).to_le_bytes()[0]).collect();
            let plain: Vec<u8> = x.iter().map(|&x| table[usize::from(x)]).collect();
            for (_, way) in ways.iter().filter(|(has, _)| *has) {
                let mut y = vec![0; count];
                // SAFETY: the processor has the instructions.
                unsafe { way(&table, &x, &mut y) }
                assert_eq!(y, plain, "{count} bytes");
            }
        }
    }
}
