//! Tiles of up to four vectors of columns, as many pixels as leave registers for the weights and one broadcast.
use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_max_epi32, _mm512_set1_epi32,
};

use super::LANES;
use super::requantize::{ONES, Rule, write, write_half, write_lane};
use crate::int8::convolution::{Operands, Tile};
use crate::int8::packing::Panel;

/// Runs all tiles.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn run(operands: &mut Operands<'_>) {
    let general = Rule::new(operands.job.output);
    let (mut panel, mut rule) = (usize::MAX, general);
    operands.tiles(rows, |operands, tile| {
        if tile.panel.start != panel {
            panel = tile.panel.start;
            let multipliers = operands.packed[panel + 4 * tile.panel.width..].as_ptr();
            // SAFETY: this function has the instructions; a panel has as many multipliers as columns.
            rule = unsafe { general.of(multipliers, tile.panel.width / LANES) };
        }
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
    let mut multipliers = panel.wrapping_add(4 * LANES * V);
    let mut weights = multipliers.wrapping_add(4 * LANES * V);
    let steps = operands.job.segment.div_ceil(4);
    // SAFETY: a panel begins with two vectors of V × 16 words, as `packing` says.
    let starts: [_; V] = std::array::from_fn(|v| unsafe { load(panel, v) });
    let mut sums = [starts; R];
    for &offset in &operands.job.offsets {
        let x: [*const u8; R] =
            std::array::from_fn(|r| operands.x.as_ptr().wrapping_add(tile.base(r) + offset));
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
    let mut greatest: [[__m512i; V]; R] = std::array::from_fn(|pixel| {
        let member = |m: usize, v: usize| sums[(pixel * M + m).min(R - 1)][v];
        std::array::from_fn(|v| {
            (1..M).fold(member(0, v), |most, m| _mm512_max_epi32(most, member(m, v)))
        })
    });
    // As many pixels as fill a vector of bytes are rounded at a time.
    let at_once = 4 / V;
    let groups = (R / M).div_ceil(at_once);
    let pixel = |group: usize, i: usize| (group * at_once + i).min(R / M - 1);
    if rule.cuts {
        // SAFETY: the multipliers follow the starts.
        greatest = unsafe { rule.cut(greatest, multipliers) };
        multipliers = ONES.as_ptr().cast();
    }
    // SAFETY: as above.
    let bytes: [__m512i; R] = unsafe {
        rule.bytes_of::<R, V>(groups, multipliers, |group, i| greatest[pixel(group, i / V)][i % V])
    };
    let columns = tile.panel.columns;
    for pixel in 0..R / M {
        if pixel * M < tile.rows {
            let bytes = bytes[pixel / at_once];
            let out = operands.y.as_mut_ptr().wrapping_add(tile.out(pixel));
            // SAFETY: `Operands` has checked that the columns lie in the output.
            unsafe {
                match V {
                    1 => write_lane(bytes, pixel % 4, out, columns),
                    2 => write_half(bytes, pixel % 2, out, columns),
                    _ => write(bytes, out, columns),
                }
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
