//! Tiles of up to four vectors of columns, as many pixels as leave registers for the weights and one broadcast.
use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_max_epi32, _mm512_set1_epi32,
};

use super::LANES;
use super::requantize::{Rule, natural, write};
use crate::int8::convolution::{Operands, Tile};
use crate::int8::packing::Panel;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    let rule = Rule::new(operands.job.output);
    operands.tiles(rows, |operands, tile| {
        // SAFETY: this function has the instructions; the tile is one of `operands`.
        unsafe {
            match operands.job.members.len() {
                1 => vectors::<1>(operands, tile, &rule),
                2 => vectors::<2>(operands, tile, &rule),
                3 => vectors::<3>(operands, tile, &rule),
                _ => vectors::<4>(operands, tile, &rule),
            }
        }
    });
}

/// Windows of a tile.
fn rows(panel: Panel) -> usize {
    match panel.width / LANES {
        1 | 2 => 12,
        3 => 8,
        _ => 6,
    }
}

/// Picks the tile that wastes least; each pixel is made of `M` windows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn vectors<const M: usize>(operands: &mut Operands<'_>, tile: &Tile, rule: &Rule) {
    // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the tile's.
    unsafe {
        match (tile.panel.width / LANES, tile.rows) {
            (1, ..=4) => block::<1, 4, M>(operands, tile, rule),
            (1, _) => block::<1, 12, M>(operands, tile, rule),
            (2, ..=4) => block::<2, 4, M>(operands, tile, rule),
            (2, _) => block::<2, 12, M>(operands, tile, rule),
            (3, ..=4) => block::<3, 4, M>(operands, tile, rule),
            (3, _) => block::<3, 8, M>(operands, tile, rule),
            (_, 1) => block::<4, 1, M>(operands, tile, rule),
            (_, ..=4) => block::<4, 4, M>(operands, tile, rule),
            (_, _) => block::<4, 6, M>(operands, tile, rule),
        }
    }
}

/// `V` vectors of columns of `R` windows, `M` for each pixel.
///
/// # Safety
/// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn block<const V: usize, const R: usize, const M: usize>(
    operands: &mut Operands<'_>,
    tile: &Tile,
    rule: &Rule,
) {
    let panel = operands.packed.as_ptr().wrapping_add(tile.panel.start);
    let multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    // SAFETY: a panel begins with two vectors of V × 16 words, as `packing` says.
    let starts: [_; V] = std::array::from_fn(|v| unsafe { load(panel, v) });
    let mut sums = [starts; R];
    for &offset in &operands.job.offsets {
        let x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.bases[r] + offset));
        for step in 0..steps {
            // SAFETY: the panel has V vectors for each step of each segment.
            let w: [__m512i; V] = std::array::from_fn(|v| unsafe { load(weights, v) });
            weights = weights.wrapping_add(4 * LANES * V);
            for r in 0..R {
                // SAFETY: `Convolution::input_bytes` counts every window with its segments in whole steps.
                let four = unsafe { x[r].add(4 * step).cast::<i32>().read_unaligned() };
                let four = _mm512_set1_epi32(four);
                for v in 0..V {
                    sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], four, w[v]);
                }
            }
        }
    }
    for pixel in 0..R / M {
        if pixel * M < tile.rows {
            let mut greatest = sums[pixel * M];
            for m in 1..M {
                for v in 0..V {
                    greatest[v] = _mm512_max_epi32(greatest[v], sums[pixel * M + m][v]);
                }
            }
            let out = operands.y.as_mut_ptr().wrapping_add(tile.outs[pixel]);
            // SAFETY: the multipliers follow the starts; `Operands` has checked that the columns lie in the output.
            unsafe {
                let bytes = natural::<V>(rule.bytes(greatest, multipliers));
                write(bytes, out, tile.panel.columns);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(words: *const u8, v: usize) -> __m512i {
    // SAFETY: the caller's promise: there are more than v vectors.
    unsafe { _mm512_loadu_si512(words.add(4 * LANES * v).cast()) }
}
