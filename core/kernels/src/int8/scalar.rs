//! The reference: what every other kernel must equal.
use super::Kernel;
use super::convolution::{Convolution, Operands, Tile};
use super::packing::Panels;

/// Plain Rust, for any processor.
pub(super) struct Scalar;

const PANELS: Panels = Panels { widest: 8, grain: 8 };

impl Kernel for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn flip(&self) -> u8 {
        0
    }

    fn panels(&self) -> Panels {
        PANELS
    }

    fn convolve(&self, job: &Convolution, packed: &[u8], x: &[u8], y: &mut [u8]) {
        Operands::new(job, PANELS, packed, x, y).tiles(|_| 1, tile);
    }
}

fn tile(operands: &mut Operands<'_>, tile: &Tile) {
    let Operands { job, packed, x, y, .. } = operands;
    let words = packed[tile.panel.start..][..tile.panel.bytes].as_chunks::<4>().0;
    let (starts, words) = words.split_at(PANELS.widest);
    let (multipliers, words) = words.split_at(PANELS.widest);
    let mut sums: [i32; PANELS.widest] = std::array::from_fn(|c| i32::from_le_bytes(starts[c]));
    let mut weights = words.chunks_exact(PANELS.widest);
    for offset in &job.offsets {
        let window = &x[tile.bases[0] + offset..][..job.segment.next_multiple_of(4)];
        for (x, w) in window.as_chunks::<4>().0.iter().zip(&mut weights) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = sum.wrapping_add(dot(*x, *w));
            }
        }
    }
    let columns = sums.iter().zip(multipliers).take(tile.panel.columns);
    for (y, (&sum, &multiplier)) in y[tile.out..].iter_mut().zip(columns) {
        *y = job.output.element(sum, f32::from_le_bytes(multiplier)).cast_unsigned();
    }
}

fn dot(x: [u8; 4], w: [u8; 4]) -> i32 {
    let product = |i: usize| i32::from(x[i].cast_signed()) * i32::from(w[i].cast_signed());
    product(0) + product(1) + product(2) + product(3)
}
