//! Pooling by the greatest value.
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::{Sweep, Window, slice, with_elements};

/// The greatest value under each window, per channel, of `input` (batch × height × width × channel); what lies outside the
/// picture does not count. The gradient goes to the first of equals.
///
/// # Errors
/// Another rank, or a window that does not fit.
pub fn max_pool2d(input: &Tensor, window: Window) -> Result<Tensor> {
    let input = input.contiguous()?;
    let sweep = Sweep::new(window, input.dims())?;
    input.apply_op1(MaxPool2d { sweep })
}

struct MaxPool2d {
    sweep: Sweep,
}

impl MaxPool2d {
    fn forward(&self, input: &[f32]) -> Vec<f32> {
        let channels = self.sweep.channels;
        let mut output = vec![f32::NEG_INFINITY; self.sweep.windows() * channels];
        self.sweep.for_each_run(|window, _, pixel, count| {
            let greatest = &mut output[window * channels..(window + 1) * channels];
            for values in input[pixel * channels..(pixel + count) * channels].chunks_exact(channels)
            {
                for (greatest, value) in greatest.iter_mut().zip(values) {
                    *greatest = greatest.max(*value);
                }
            }
        });
        output
    }

    fn backward(&self, input: &[f32], output: &[f32], gradient: &[f32]) -> Vec<f32> {
        let channels = self.sweep.channels;
        let mut to_input = vec![0.0; input.len()];
        // What is left to hand out: 0 once a window's first greatest value has been found.
        let mut left = gradient.to_vec();
        self.sweep.for_each_run(|window, _, pixel, count| {
            let row = window * channels..(window + 1) * channels;
            let (greatest, left) = (&output[row.clone()], &mut left[row]);
            let run = pixel * channels..(pixel + count) * channels;
            let pixels = input[run.clone()].chunks_exact(channels);
            for (values, sums) in pixels.zip(to_input[run].chunks_exact_mut(channels)) {
                for (((value, sum), greatest), left) in
                    values.iter().zip(sums).zip(greatest).zip(left.iter_mut())
                {
                    let share = if value == greatest { *left } else { 0.0 };
                    *sum += share;
                    *left -= share;
                }
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
        let [height, width] = self.sweep.output;
        let output = self.forward(slice(input, layout)?);
        Ok((CpuStorage::F32(output), (self.sweep.batch, height, width, self.sweep.channels).into()))
    }

    fn bwd(&self, input: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let to_input = with_elements([input, output, gradient], |[input, output, gradient]| {
            self.backward(input, output, gradient)
        })?;
        Ok(Some(Tensor::from_vec(to_input, input.shape(), &Device::Cpu)?))
    }
}
