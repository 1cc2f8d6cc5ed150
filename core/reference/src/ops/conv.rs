//! Convolution as a matrix product: (windows × depth) · (depth × filters), with the bias and the clamp done in place.
//!
//! It goes through the batch a few pictures at a time, so that the columns stay in the cache and are never handed back to
//! the kernel between steps; for the article's network that halves a training step.
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};

use edgemill_model::graph::{Clamp, Window};

use super::{Sweep, slice, with_elements};

/// `input` (batch × height × width × channel) under `window` with `weights` (filter × height × width × channel) and
/// `bias` (filter), held between the bounds of `clamp`. The gradient goes to all three.
///
/// # Errors
/// Shapes that do not belong together.
pub fn conv2d(
    input: &Tensor,
    weights: &Tensor,
    bias: &Tensor,
    window: &Window,
    dilation: [u32; 2],
    clamp: Clamp,
) -> Result<Tensor> {
    let (input, weights) = (input.contiguous()?, weights.contiguous()?);
    let sweep = Sweep::new(window, dilation, input.dims())?;
    let filters = bias.elem_count();
    weights.reshape((filters, sweep.depth()))?;
    input.apply_op3(&weights, &bias.contiguous()?, Conv2d { sweep, filters, clamp })
}

/// `input` (batch × values) by `weights` (unit × values) and `bias` (unit), held between the bounds of `clamp`: the
/// convolution of a picture of one pixel.
///
/// # Errors
/// Shapes that do not belong together.
pub fn dense(input: &Tensor, weights: &Tensor, bias: &Tensor, clamp: Clamp) -> Result<Tensor> {
    let (batch, values) = input.dims2()?;
    let pixel = input.reshape((batch, 1, 1, values))?;
    conv2d(&pixel, weights, bias, &Window::valid(1, 1), [1, 1], clamp)?.reshape((batch, ()))
}

/// Elements of the columns made at a time: half a megabyte, within the second-level cache.
const COLUMNS: usize = 1 << 17;

struct Conv2d {
    sweep: Sweep,
    filters: usize,
    clamp: Clamp,
}

/// What the way back gives to each argument.
struct Gradients {
    input: Option<Vec<f32>>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Conv2d {
    /// Elements of one picture: of the input, of the columns, of the output.
    fn sizes(&self) -> [usize; 3] {
        let one = self.sweep.over(1);
        [one.input_len(), one.windows() * one.depth(), one.windows() * self.filters]
    }

    /// Pictures taken at a time.
    fn block(&self) -> usize {
        (COLUMNS / self.sizes()[1].max(1)).clamp(1, self.sweep.batch.max(1))
    }

    fn forward(&self, input: &[f32], weights: &[f32], bias: &[f32]) -> Result<Vec<f32>> {
        let [of_input, of_columns, of_output] = self.sizes();
        let (block, depth) = (self.block(), self.sweep.depth());
        let weights = CpuStorage::F32(weights.to_vec());
        let mut columns = vec![0.0; block * of_columns];
        let mut output = Vec::with_capacity(self.sweep.batch * of_output);
        for pictures in input.chunks(block * of_input) {
            let sweep = self.sweep.over(pictures.len() / of_input);
            sweep.im2col(pictures, &mut columns);
            let (left, right) =
                (Matrix::new(sweep.windows(), depth), Matrix::new(self.filters, depth));
            let (product, used) = multiply(columns, left, &weights, right.transposed())?;
            output.extend_from_slice(&product);
            columns = used;
        }
        self.finish(&mut output, bias);
        Ok(output)
    }

    fn finish(&self, output: &mut [f32], bias: &[f32]) {
        let Clamp { low, high } = self.clamp;
        for window in output.chunks_exact_mut(self.filters) {
            for (value, bias) in window.iter_mut().zip(bias) {
                *value = (*value + bias).clamp(low, high);
            }
        }
    }

    fn backward(
        &self,
        input: &[f32],
        weights: &[f32],
        output: &[f32],
        gradient: &[f32],
        to_input: bool,
    ) -> Result<Gradients> {
        let [of_input, of_columns, of_output] = self.sizes();
        let (block, depth) = (self.block(), self.sweep.depth());
        let mut to = Gradients {
            input: to_input.then(|| vec![0.0; input.len()]),
            weights: vec![0.0; weights.len()],
            bias: vec![0.0; self.filters],
        };
        let weights = CpuStorage::F32(weights.to_vec());
        let mut columns = vec![0.0; block * of_columns];
        for (at, pictures) in input.chunks(block * of_input).enumerate() {
            let sweep = self.sweep.over(pictures.len() / of_input);
            let results = at * block * of_output..(at * block + sweep.batch) * of_output;
            let before = self.unfinish(&output[results.clone()], &gradient[results], &mut to.bias);
            let by_filter = Matrix::new(sweep.windows(), self.filters);
            sweep.im2col(pictures, &mut columns);
            let right = CpuStorage::F32(columns);
            let (product, before) = multiply(
                before,
                by_filter.transposed(),
                &right,
                Matrix::new(sweep.windows(), depth),
            )?;
            columns = into_elements(right)?;
            add(&mut to.weights, &product);
            if let Some(pixels) = &mut to.input {
                let (product, _) =
                    multiply(before, by_filter, &weights, Matrix::new(self.filters, depth))?;
                sweep.col2im(&product, &mut pixels[at * block * of_input..]);
            }
        }
        Ok(to)
    }

    /// The gradient before the clamp; its sum over all windows is added to the bias's.
    fn unfinish(&self, output: &[f32], gradient: &[f32], to_bias: &mut [f32]) -> Vec<f32> {
        let Clamp { low, high } = self.clamp;
        let mut before = gradient.to_vec();
        let rows = before.chunks_exact_mut(self.filters).zip(output.chunks_exact(self.filters));
        for (gradients, outputs) in rows {
            for ((gradient, output), sum) in gradients.iter_mut().zip(outputs).zip(&mut *to_bias) {
                *gradient = if *output > low && *output < high { *gradient } else { 0.0 };
                *sum += *gradient;
            }
        }
        before
    }
}

/// Rows and columns of a matrix that lies row by row, and whether it is to be read column by column.
#[derive(Clone, Copy)]
struct Matrix {
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl Matrix {
    const fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, transposed: false }
    }

    const fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    const fn shape(self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    fn layout(self) -> Layout {
        let (rows, columns) = self.shape();
        let stride = if self.transposed { vec![1, rows] } else { vec![columns, 1] };
        Layout::new((rows, columns).into(), stride, 0)
    }
}

/// The product, and the left side given back.
fn multiply(
    left: Vec<f32>,
    left_shape: Matrix,
    right: &CpuStorage,
    right_shape: Matrix,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let ((rows, inner), (_, columns)) = (left_shape.shape(), right_shape.shape());
    let left = CpuStorage::F32(left);
    let size = (1, rows, columns, inner);
    let product = left.matmul(right, size, &left_shape.layout(), &right_shape.layout())?;
    Ok((into_elements(product)?, into_elements(left)?))
}

fn into_elements(storage: CpuStorage) -> Result<Vec<f32>> {
    match storage {
        CpuStorage::F32(elements) => Ok(elements),
        _ => candle_core::bail!("a layer works on f32"),
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

impl CustomOp3 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let output = self.forward(
            slice(input, input_layout)?,
            slice(weights, weights_layout)?,
            slice(bias, bias_layout)?,
        )?;
        let [height, width] = self.sweep.output;
        Ok((CpuStorage::F32(output), (self.sweep.batch, height, width, self.filters).into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weights: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        // The first layer's input is a picture: nobody asks for its gradient.
        let to_input = input.track_op();
        let to = with_elements(
            [input, weights, output, gradient],
            |[input, weights, output, gradient]| {
                self.backward(input, weights, output, gradient, to_input)
            },
        )??;
        let like = |values, tensor: &Tensor| Tensor::from_vec(values, tensor.shape(), &Device::Cpu);
        Ok((
            to.input.map(|values| like(values, input)).transpose()?,
            Some(like(to.weights, weights)?),
            Some(like(to.bias, bias)?),
        ))
    }
}
