//! Layers without a gradient: nothing that is trained has them.
use candle_core::{Device, Result, Tensor};
use edgemill_model::graph::Window;

use super::{Sweep, with_elements};

/// `input` (batch × height × width × channel) with `weights` (filter × height × width × 1) and `bias` (filter), each
/// channel by its own filters.
///
/// # Errors
/// Shapes that do not belong together.
pub fn depthwise(operands: [&Tensor; 3], window: &Window, dilation: [u32; 2]) -> Result<Tensor> {
    let [input, weights, bias] = operands;
    let sweep = Sweep::new(window, dilation, input.dims())?;
    let (filters, channels) = (bias.elem_count(), sweep.channels);
    let by_tap = weights.reshape((filters, ()))?.t()?.contiguous()?;
    let output = with_elements([input, &by_tap, bias], |[input, weights, bias]| {
        let mut output = bias.repeat(sweep.windows());
        sweep.for_each_run(|at, tap, pixel, count| {
            let sums = &mut output[at * filters..(at + 1) * filters];
            for step in 0..count {
                let x = &input[(pixel + step) * channels..(pixel + step + 1) * channels];
                let w = &weights[(tap + step) * filters..(tap + step + 1) * filters];
                multiply_add(sums, x, w);
            }
        });
        output
    })?;
    let [height, width] = sweep.output;
    Tensor::from_vec(output, (sweep.batch, height, width, filters), &Device::Cpu)
}

/// Adds x × w to the sums; there may be several filters for each channel.
fn multiply_add(sums: &mut [f32], x: &[f32], w: &[f32]) {
    if sums.len() == x.len() {
        for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
            *sum += x * w;
        }
        return;
    }
    let each = sums.len() / x.len();
    for ((sums, x), w) in sums.chunks_exact_mut(each).zip(x).zip(w.chunks_exact(each)) {
        sums.iter_mut().zip(w).for_each(|(sum, w)| *sum += x * w);
    }
}

/// `input` (batch × height × width × channel) spread with `weights` (filter × height × width × channel) over a picture
/// of `size`, to which `bias` (filter) is added.
///
/// # Errors
/// Shapes that do not belong together.
pub fn conv_transpose2d(
    input: &Tensor,
    weights: &Tensor,
    bias: &Tensor,
    window: &Window,
    dilation: [u32; 2],
    size: [usize; 2],
) -> Result<Tensor> {
    let (batch, height, width, channels) = input.dims4()?;
    let (filters, taps_down, taps_right, _) = weights.dims4()?;
    let depth = taps_down * taps_right * filters;
    let weights = weights.permute((1, 2, 0, 3))?.reshape((depth, channels))?;
    let pixels = input.contiguous()?.reshape((batch * height * width, channels))?;
    let spread = pixels.matmul(&weights.t()?.contiguous()?)?;
    let output = with_elements([&spread, bias], |[spread, bias]| {
        let mut output = bias.repeat(batch * size[0] * size[1]);
        for (pixel, taps) in spread.chunks_exact(depth).enumerate() {
            let (x, rest) = (pixel % width, pixel / width);
            let (y, picture) = (rest % height, rest / height);
            for (tap, values) in taps.chunks_exact(filters).enumerate() {
                let place = [(y, tap / taps_right), (x, tap % taps_right)];
                let Some([row, column]) = landing(place, window, dilation, size) else { continue };
                let at = ((picture * size[0] + row) * size[1] + column) * filters;
                for (sum, value) in output[at..at + filters].iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
        output
    })?;
    Tensor::from_vec(output, (batch, size[0], size[1], filters), &Device::Cpu)
}

/// Where a tap of a pixel falls, unless it is cut off; vertical and horizontal.
fn landing(
    place: [(usize, usize); 2],
    window: &Window,
    dilation: [u32; 2],
    size: [usize; 2],
) -> Option<[usize; 2]> {
    let cut = [window.rows[0], window.columns[0]];
    let along = |axis: usize| {
        let (pixel, tap) = place[axis];
        let at = pixel * window.stride[axis] as usize + tap * dilation[axis] as usize;
        at.checked_sub(cut[axis] as usize).filter(|&at| at < size[axis])
    };
    Some([along(0)?, along(1)?])
}
