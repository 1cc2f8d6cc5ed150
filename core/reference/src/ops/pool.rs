//! Pooling by the greatest value and by the mean.
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use edgemill_model::graph::Window;

use super::{Sweep, slice, with_elements};

/// The greatest value under each window, per channel, of `input` (batch × height × width × channel); what lies outside the
/// picture does not count. The gradient goes to the first of equals.
///
/// # Errors
/// Another rank, or a window that does not fit.
pub fn max_pool2d(input: &Tensor, window: &Window) -> Result<Tensor> {
    let input = input.contiguous()?;
    let sweep = Sweep::new(window, [1, 1], input.dims())?;
    input.apply_op1(MaxPool2d(sweep))
}

/// The mean over that part of each window that lies in the picture, per channel, of `input` (batch × height × width ×
/// channel).
///
/// # Errors
/// Another rank, or a window that does not fit.
pub fn average_pool2d(input: &Tensor, window: &Window) -> Result<Tensor> {
    let input = input.contiguous()?;
    let sweep = Sweep::new(window, [1, 1], input.dims())?;
    input.apply_op1(AveragePool2d(sweep))
}

/// Calls `pixel(window, pixel)` with the first element of both for each pixel under each window, in order.
fn for_each_pixel(sweep: &Sweep, mut pixel: impl FnMut(usize, usize)) {
    let channels = sweep.channels;
    sweep.for_each_run(|window, _, first, count| {
        for at in first..first + count {
            pixel(window * channels, at * channels);
        }
    });
}

fn output_shape(sweep: &Sweep) -> Shape {
    let [height, width] = sweep.output;
    (sweep.batch, height, width, sweep.channels).into()
}

struct MaxPool2d(Sweep);

impl MaxPool2d {
    fn forward(&self, input: &[f32]) -> Vec<f32> {
        let channels = self.0.channels;
        let mut output = vec![f32::NEG_INFINITY; self.0.windows() * channels];
        for_each_pixel(&self.0, |window, pixel| {
            let values = &input[pixel..pixel + channels];
            for (greatest, value) in output[window..window + channels].iter_mut().zip(values) {
                *greatest = greatest.max(*value);
            }
        });
        output
    }

    fn backward(&self, input: &[f32], output: &[f32], gradient: &[f32]) -> Vec<f32> {
        let channels = self.0.channels;
        let mut to_input = vec![0.0; input.len()];
        // What is left to hand out: 0 once a window's first greatest value has been found.
        let mut left = gradient.to_vec();
        for_each_pixel(&self.0, |window, pixel| {
            let (of_window, of_pixel) = (window..window + channels, pixel..pixel + channels);
            let found = input[of_pixel.clone()].iter().zip(&output[of_window.clone()]);
            let sums = to_input[of_pixel].iter_mut().zip(&mut left[of_window]);
            for ((value, greatest), (sum, left)) in found.zip(sums) {
                let share = if value == greatest { *left } else { 0.0 };
                *sum += share;
                *left -= share;
            }
        });
        to_input
    }
}

impl CustomOp1 for MaxPool2d {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let output = self.forward(slice(input, layout)?);
        Ok((CpuStorage::F32(output), output_shape(&self.0)))
    }

    fn bwd(&self, input: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let to_input = with_elements([input, output, gradient], |[input, output, gradient]| {
            self.backward(input, output, gradient)
        })?;
        Ok(Some(Tensor::from_vec(to_input, input.shape(), &Device::Cpu)?))
    }
}

struct AveragePool2d(Sweep);

impl AveragePool2d {
    /// For each element of the output, 1 divided by the pixels its window covers.
    #[expect(clippy::cast_precision_loss, reason = "a window has fewer than 2²⁴ pixels")]
    fn shares(&self) -> Vec<f32> {
        let mut pixels = vec![0_usize; self.0.windows()];
        self.0.for_each_run(|window, _, _, count| pixels[window] += count);
        let of_window =
            |&pixels: &usize| std::iter::repeat_n(1.0 / pixels.max(1) as f32, self.0.channels);
        pixels.iter().flat_map(of_window).collect()
    }

    fn forward(&self, input: &[f32]) -> Vec<f32> {
        let channels = self.0.channels;
        let mut output = vec![0.0; self.0.windows() * channels];
        for_each_pixel(&self.0, |window, pixel| {
            let values = &input[pixel..pixel + channels];
            for (sum, value) in output[window..window + channels].iter_mut().zip(values) {
                *sum += value;
            }
        });
        for (sum, share) in output.iter_mut().zip(self.shares()) {
            *sum *= share;
        }
        output
    }

    fn backward(&self, input_len: usize, gradient: &[f32]) -> Vec<f32> {
        let channels = self.0.channels;
        let mut to_input = vec![0.0; input_len];
        let shares = self.shares();
        for_each_pixel(&self.0, |window, pixel| {
            let of_window = window..window + channels;
            let given = gradient[of_window.clone()].iter().zip(&shares[of_window]);
            for (sum, (gradient, share)) in to_input[pixel..pixel + channels].iter_mut().zip(given)
            {
                *sum += gradient * share;
            }
        });
        to_input
    }
}

impl CustomOp1 for AveragePool2d {
    fn name(&self) -> &'static str {
        "average-pool2d"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let output = self.forward(slice(input, layout)?);
        Ok((CpuStorage::F32(output), output_shape(&self.0)))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let length = input.elem_count();
        let to_input = with_elements([gradient], |[gradient]| self.backward(length, gradient))?;
        Ok(Some(Tensor::from_vec(to_input, input.shape(), &Device::Cpu)?))
    }
}
