//! The reference: what every other kernel must equal.
use super::Kernel;
use super::convolution::{Convolution, MAX_MEMBERS, MAX_ROWS, Operands, Tile};
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
        Operands::new(job, PANELS, packed, x, y).tiles(|_| MAX_MEMBERS, tile);
    }
}

type Sums = [i32; PANELS.widest];

fn tile(operands: &mut Operands<'_>, tile: &Tile) {
    let words = operands.packed[tile.panel.start..][..tile.panel.bytes].as_chunks::<4>().0;
    let (starts, words) = words.split_at(PANELS.widest);
    let (multipliers, weights) = words.split_at(PANELS.widest);
    let (job, x) = (operands.job, operands.x);
    let sums: [Sums; MAX_ROWS] = std::array::from_fn(|row| {
        let start = std::array::from_fn(|c| i32::from_le_bytes(starts[c]));
        if row < tile.rows { window(job, start, weights, &x[tile.bases[row]..]) } else { start }
    });
    operands.pixels(tile, &sums, |sums, out| {
        for (c, (y, &multiplier)) in out.iter_mut().zip(multipliers).enumerate() {
            let greatest = sums.iter().map(|sums| sums[c]).max().expect("a pixel has members");
            let element = job.output.element(greatest, f32::from_le_bytes(multiplier));
            *y = element.cast_unsigned();
        }
    });
}

fn window(job: &Convolution, mut sums: Sums, weights: &[[u8; 4]], x: &[u8]) -> Sums {
    let mut weights = weights.chunks_exact(PANELS.widest);
    for offset in &job.offsets {
        let segment = &x[*offset..][..job.segment.next_multiple_of(4)];
        for (x, w) in segment.as_chunks::<4>().0.iter().zip(&mut weights) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = sum.wrapping_add(dot(*x, *w));
            }
        }
    }
    sums
}

fn dot(x: [u8; 4], w: [u8; 4]) -> i32 {
    let product = |i: usize| i32::from(x[i].cast_signed()) * i32::from(w[i].cast_signed());
    product(0) + product(1) + product(2) + product(3)
}
