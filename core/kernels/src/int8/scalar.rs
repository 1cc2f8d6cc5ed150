//! The reference: what every other kernel must equal.
use super::Kernel;
use super::convolution::{Convolution, MAX_MEMBERS, MAX_ROWS, Operands, Tile};
use super::depthwise::{self as plain, Depthwise, Lanes};
use super::elementwise::Elementwise;
use super::packing::{Filter, Panels};
use super::rounding::Output;

/// Plain Rust, for any processor.
pub(super) struct Scalar;

const PANELS: Panels = Panels { widest: 8, grain: 8, step: 4 };

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

    fn depthwise_bytes(&self, job: &Depthwise) -> usize {
        plain::packed_bytes::<Channels, Channels>(job)
    }

    fn pack_depthwise(&self, job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
        plain::pack::<Channels, Channels>(job, filter, 0, out);
    }

    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
        // SAFETY: it needs no instructions of its own.
        unsafe { plain::run::<Channels, Channels>(job, packed, x, y) }
    }

    fn elementwise(&self, job: Elementwise<'_>) {
        job.run(0);
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
        if row < tile.rows { window(job, start, weights, &x[tile.base(row)..]) } else { start }
    });
    for (pixel, sums) in sums[..tile.rows].chunks_exact(job.members.len()).enumerate() {
        let out = &mut operands.y[tile.out(pixel)..][..tile.panel.columns];
        for (c, (y, &multiplier)) in out.iter_mut().zip(multipliers).enumerate() {
            let greatest = sums.iter().map(|sums| sums[c]).max().expect("a pixel has members");
            let element = job.output.element(greatest, f32::from_le_bytes(multiplier));
            *y = element.cast_unsigned();
        }
    }
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

/// Eight channels of a depthwise convolution.
struct Channels;

const WIDTH: usize = 8;

// SAFETY: arrays of eight are read and written, `count` elements of the output.
unsafe impl Lanes for Channels {
    const WIDTH: usize = WIDTH;
    const GROUP_BYTES: usize = 4 * WIDTH;
    type Rows = [[u8; WIDTH]; 4];
    type Sums = [i32; WIDTH];
    type Rule = Output;

    fn place(channel: usize) -> usize {
        channel
    }

    #[inline(always)]
    unsafe fn rule(output: Output) -> Output {
        output
    }

    #[inline(always)]
    unsafe fn rows<const H: usize>(x: [*const u8; 4]) -> Self::Rows {
        // SAFETY: each row has as many elements.
        x.map(|row| unsafe { row.cast::<[u8; WIDTH]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn starts(starts: *const u8) -> Self::Sums {
        // SAFETY: there are as many.
        unsafe { starts.cast::<Self::Sums>().read_unaligned() }.map(i32::from_le)
    }

    #[inline(always)]
    unsafe fn dot<const H: usize>(
        sums: Self::Sums,
        rows: Self::Rows,
        weights: *const u8,
    ) -> Self::Sums {
        // SAFETY: a group has four weights for each channel.
        let weights = unsafe { weights.cast::<[[u8; 4]; WIDTH]>().read_unaligned() };
        std::array::from_fn(|c| {
            let x = std::array::from_fn(|row| rows[row][c]);
            sums[c].wrapping_add(dot(x, weights[c]))
        })
    }

    #[inline(always)]
    unsafe fn store(
        output: &Output,
        sums: Self::Sums,
        multipliers: *const u8,
        out: *mut u8,
        count: usize,
    ) {
        for (c, sum) in sums.into_iter().enumerate().take(count) {
            // SAFETY: there are `WIDTH` multipliers, and `count` bytes of room.
            unsafe {
                let multiplier = multipliers.cast::<f32>().add(c).read_unaligned();
                *out.add(c) = output.element(sum, multiplier).cast_unsigned();
            }
        }
    }
}
