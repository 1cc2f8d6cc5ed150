//! What a kernel can do at best.
use std::time::Instant;

use super::Kernel;
use super::convolution::{Convolution, SLACK};
use super::packing::Filter;
use super::rounding::Output;

/// Multiplications of a weight by an element that `kernel` makes in a microsecond when all that it reads is in the
/// nearest cache and nothing is left over: the best of several tries on this core.
#[must_use]
pub fn peak_macs_per_us(kernel: &dyn Kernel) -> f64 {
    const PIXELS: u16 = 12;
    const DEPTH: u16 = 480;
    const COLUMNS: u16 = 64;
    let [pixels, segment, channels] = [PIXELS, DEPTH, COLUMNS].map(usize::from);
    let job = Convolution {
        height: 1,
        width: pixels,
        row_step: 0,
        column_step: segment,
        members: vec![0],
        offsets: vec![0],
        segment,
        channels,
        pixel_step: channels,
        out_row_step: 0,
        output: Output::new(0, -128, 127),
        two_products_fit: true,
    };
    let weights = vec![1; segment * channels];
    let multipliers = |_| 1e-3;
    let (bias, zero_point) = (None, 0);
    let filter = Filter {
        weights: &weights,
        segments: 1,
        segment,
        bias,
        multipliers: &multipliers,
        zero_point,
    };
    let mut packed = vec![0; kernel.panels().packed_bytes(channels, 1, segment)];
    kernel.panels().pack(&filter, channels, kernel.flip(), &mut packed);
    let (x, mut y) = (vec![1; pixels * segment + SLACK], vec![0; pixels * channels]);
    let mut best = f64::MAX;
    for _ in 0..100 {
        let before = Instant::now();
        kernel.convolve(&job, &packed, &x, &mut y);
        best = best.min(before.elapsed().as_secs_f64() * 1e6);
    }
    let macs = f64::from(PIXELS) * f64::from(DEPTH) * f64::from(COLUMNS);
    macs / best.max(1e-3)
}
