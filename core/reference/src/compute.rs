//! What each operation makes of real numbers.
use candle_core::{D, Device, Result, Tensor};
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction};

use crate::detect::detect;
use crate::moves;
use crate::ops::{average_pool2d, conv_transpose2d, conv2d, dense, depthwise, max_pool2d};

/// `op` of `inputs`, to the shape that the graph has inferred; `bias` where it is constant.
pub fn compute(
    op: &Op,
    inputs: &[&Tensor],
    bias: Option<&Tensor>,
    shape: &[usize],
) -> Result<Tensor> {
    let x = inputs[0];
    let bias = || {
        bias.or(inputs.get(2).copied())
            .ok_or_else(|| candle_core::Error::msg("a node with weights has a bias"))
    };
    match op {
        Op::Conv2d { window, dilation, groups, clamp } => {
            let (groups, operands) = (*groups as usize, [x, inputs[1], bias()?]);
            if groups > 1 && groups == x.dim(D::Minus1)? {
                return clamped(depthwise(operands, window, *dilation)?, *clamp);
            }
            in_groups(operands, groups, |[x, weights, bias]| {
                conv2d(x, weights, bias, window, *dilation, *clamp)
            })
        }
        Op::ConvTranspose2d { window, dilation, groups, clamp, .. } => {
            let size = [shape[1], shape[2]];
            let each = |[x, weights, bias]: [&Tensor; 3]| {
                conv_transpose2d(x, weights, bias, window, *dilation, size)
            };
            let spread = in_groups([x, inputs[1], bias()?], *groups as usize, each)?;
            clamped(spread, *clamp)
        }
        Op::Dense { clamp } => dense(x, inputs[1], bias()?, *clamp),
        Op::MatMul => mat_mul(x, inputs[1], shape),
        Op::MaxPool(window) => max_pool2d(x, window),
        Op::AveragePool(window) => average_pool2d(x, window),
        Op::Binary { function, clamp } => clamped(binary(*function, x, inputs[1], shape)?, *clamp),
        Op::Unary(function) => unary(*function, x),
        Op::Select => select([x, inputs[1], inputs[2]], shape),
        Op::Clamp(clamp) => clamped(x.clone(), *clamp),
        Op::Softmax => softmax(x),
        Op::LogSoftmax => log_softmax(x),
        Op::Reduce { by, axes } => reduce(x, *by, axes),
        Op::ArgMax { axis, least, last } => moves::arg_max(x, usize::from(*axis), *least, *last),
        Op::Resize { step, origin, .. } => moves::resize(x, shape, *step, *origin),
        Op::Concat { axis } => Tensor::cat(inputs, usize::from(*axis)),
        Op::Slice(spans) => moves::slice(x, spans),
        Op::Gather { axis, indices } => moves::gather(x, usize::from(*axis), indices.clone()),
        Op::Reshape(_) => x.reshape(shape),
        Op::Transpose(order) => {
            x.permute(order.iter().map(|&axis| axis.into()).collect::<Vec<_>>())?.contiguous()
        }
        Op::Tile(times) => x.repeat(times.iter().map(|&t| t as usize).collect::<Vec<_>>()),
        Op::Pad { borders, value } => moves::pad(x, borders, *value),
        // Real numbers stay what they are; the grid of the result rounds them.
        Op::Quantize | Op::Dequantize => Ok(x.clone()),
        Op::Cast => map(x, f32::trunc),
        Op::Detect(of) => detect(of, x, inputs[1], inputs[2]),
    }
}

/// Products of matrices to `shape`. The axes before them are made one, since more than two are not multiplied.
fn mat_mul(a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let Some(outer) = shape.len().checked_sub(2).filter(|&outer| outer > 2) else {
        return a.contiguous()?.broadcast_matmul(&b.contiguous()?);
    };
    let matrices = |x: &Tensor| {
        let sides = &x.dims()[x.rank() - 2..];
        let count: usize = shape[..outer].iter().product();
        let wide = x.broadcast_as([&shape[..outer], sides].concat())?;
        wide.reshape((count, sides[0], sides[1]))
    };
    matrices(a)?.matmul(&matrices(b)?)?.reshape(shape)
}

/// Each group of filters sees its own group of channels.
fn in_groups(
    [x, weights, bias]: [&Tensor; 3],
    groups: usize,
    each: impl Fn([&Tensor; 3]) -> Result<Tensor>,
) -> Result<Tensor> {
    if groups == 1 {
        return each([x, weights, bias]);
    }
    let (channels, filters) = (x.dim(D::Minus1)? / groups, weights.dim(0)? / groups);
    let group = |g: usize| {
        let x = x.narrow(D::Minus1, g * channels, channels)?;
        let of = |tensor: &Tensor| tensor.narrow(0, g * filters, filters);
        each([&x, &of(weights)?, &of(bias)?])
    };
    let groups = (0..groups).map(group).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&groups, D::Minus1)
}

fn clamped(x: Tensor, clamp: Clamp) -> Result<Tensor> {
    if clamp == Clamp::NONE { Ok(x) } else { x.clamp(clamp.low, clamp.high) }
}

/// Exponentials along the innermost axis divided by their sum; the greatest is taken off first, so that none overflows.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let exponentials = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let below = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    below.broadcast_sub(&below.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

fn unary(function: Function, x: &Tensor) -> Result<Tensor> {
    map(x, |element| function.apply(element))
}

fn map(x: &Tensor, f: impl Fn(f32) -> f32) -> Result<Tensor> {
    let mut elements = x.flatten_all()?.to_vec1::<f32>()?;
    elements.iter_mut().for_each(|element| *element = f(*element));
    Tensor::from_vec(elements, x.shape(), &Device::Cpu)
}

fn binary(function: Pair, a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Tensor> {
    match function {
        Pair::Add => a.broadcast_add(b),
        Pair::Sub => a.broadcast_sub(b),
        Pair::Mul => a.broadcast_mul(b),
        Pair::Div => a.broadcast_div(b),
        _ => {
            let (mut a, b) = (spread(a, shape)?, spread(b, shape)?);
            a.iter_mut().zip(b).for_each(|(a, b)| *a = function.apply(*a, b));
            Tensor::from_vec(a, shape, &Device::Cpu)
        }
    }
}

fn select([condition, a, b]: [&Tensor; 3], shape: &[usize]) -> Result<Tensor> {
    let (condition, mut a, b) = (spread(condition, shape)?, spread(a, shape)?, spread(b, shape)?);
    for ((a, b), condition) in a.iter_mut().zip(b).zip(condition) {
        *a = if condition == 0.0 { b } else { *a };
    }
    Tensor::from_vec(a, shape, &Device::Cpu)
}

/// The elements, repeated to `shape`.
fn spread(x: &Tensor, shape: &[usize]) -> Result<Vec<f32>> {
    x.broadcast_as(shape)?.flatten_all()?.to_vec1()
}

fn reduce(x: &Tensor, by: Reduction, axes: &[u8]) -> Result<Tensor> {
    let axes: Vec<usize> = axes.iter().map(|&axis| axis.into()).collect();
    let count: usize = axes.iter().map(|&axis| x.dims()[axis]).product();
    let each = |f: &dyn Fn(&Tensor, usize) -> Result<Tensor>| {
        axes.iter().try_fold(x.clone(), |x, &axis| f(&x, axis))
    };
    match by {
        Reduction::Sum => x.sum_keepdim(axes),
        Reduction::Mean => x.sum_keepdim(axes)?.affine(1.0 / count as f64, 0.0),
        Reduction::Max => each(&|x, axis| x.max_keepdim(axis)),
        Reduction::Min => each(&|x, axis| x.min_keepdim(axis)),
        Reduction::Product => each(&|x, axis| {
            let parts = (0..x.dims()[axis]).map(|at| x.narrow(axis, at, 1));
            parts.reduce(|a, b| a? * b?).expect("an axis has an element")
        }),
    }
}
