//! Runs a graph in real numbers.
use candle_core::{D, Device, Tensor};
use edgemill_model::graph::{Clamp, Graph, Node, Op, Source, Value, ValueId, Window};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::constant;
use crate::ops::{average_pool2d, conv2d, dense, max_pool2d};

/// A graph whose constants are candle's.
///
/// Every value is held as the real numbers that it stands for: the constants of an int8 graph are multiplied by their
/// scales, and what an int8 node gives is rounded to its grid, to the nearest, ties to even. So a float graph runs as
/// it is, and an int8 graph as its arithmetic would be with an accumulator of real numbers.
pub struct Reference {
    steps: Vec<Step>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
}

/// How a value comes about.
struct Step {
    spec: TensorSpec,
    kind: Kind,
}

enum Kind {
    Input,
    Constant(Tensor),
    /// The bias in real numbers, of a node that has weights.
    Node(Node, Option<Tensor>),
}

/// Why a graph does not run.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// What is given does not fit the graph.
    #[error("input {index} has {given} elements; the graph takes {needed}")]
    Elements {
        /// Which.
        index: usize,
        /// Its elements.
        given: usize,
        /// The elements it should have.
        needed: usize,
    },
    /// Too few or too many.
    #[error("{given} inputs were given; the graph takes {needed}")]
    Inputs {
        /// How many there are.
        given: usize,
        /// How many there should be.
        needed: usize,
    },
    /// candle refused.
    #[error("graph value {index} cannot be computed: {source}")]
    Arithmetic {
        /// Place of the value in the graph.
        index: usize,
        /// candle's words.
        source: candle_core::Error,
    },
}

impl Reference {
    /// Takes over the constants.
    ///
    /// # Errors
    /// [`ReferenceError::Arithmetic`] if candle refuses one.
    pub fn new(graph: &Graph<'_>) -> Result<Self, ReferenceError> {
        let kind = |value: &Value<'_>| {
            Ok(match value.source() {
                Source::Input => Kind::Input,
                Source::Constant(of) => Kind::Constant(constant::real(value.spec(), of)?),
                Source::Node(node) => Kind::Node(node.clone(), constant::bias(graph, node)?),
            })
        };
        let step = |(index, value): (usize, &Value<'_>)| {
            let kind = kind(value).map_err(arithmetic(index))?;
            Ok(Step { spec: value.spec().clone(), kind })
        };
        let steps = graph.values().iter().enumerate().map(step).collect::<Result<_, _>>()?;
        Ok(Self { steps, inputs: graph.inputs().collect(), outputs: graph.outputs().to_vec() })
    }

    /// One run: real numbers in for each input, real numbers out for each output, row-major.
    ///
    /// # Errors
    /// [`ReferenceError`] unless there is one slice, of the right length, for each input.
    pub fn run(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, ReferenceError> {
        let (given, needed) = (inputs.len(), self.inputs.len());
        if given != needed {
            return Err(ReferenceError::Inputs { given, needed });
        }
        for (index, (input, id)) in inputs.iter().zip(&self.inputs).enumerate() {
            let (given, needed) = (input.len(), self.steps[id.index()].spec.elements());
            if given != needed {
                return Err(ReferenceError::Elements { index, given, needed });
            }
        }
        let values = self.values(inputs)?;
        let elements = |id: &ValueId| {
            let value = &values[id.index()];
            value.flatten_all().and_then(|v| v.to_vec1()).map_err(arithmetic(id.index()))
        };
        self.outputs.iter().map(elements).collect()
    }

    /// All values of one run, in the graph's order; what calibration looks at.
    ///
    /// # Errors
    /// As [`Reference::run`].
    pub fn values(&self, inputs: &[&[f32]]) -> Result<Vec<Tensor>, ReferenceError> {
        let mut given = inputs.iter();
        let mut values: Vec<Tensor> = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.iter().enumerate() {
            let value = match &step.kind {
                Kind::Constant(tensor) => Ok(tensor.clone()),
                Kind::Input => {
                    let elements = given.next().copied().unwrap_or_default();
                    Tensor::from_slice(elements, shape(&step.spec), &Device::Cpu)
                }
                Kind::Node(node, bias) => compute(node, bias.as_ref(), &values),
            };
            let rounded = value.and_then(|value| match (&step.kind, step.spec.quantization) {
                (Kind::Constant(_), _) | (_, None) => Ok(value),
                (_, Some(rule)) => round_to_grid(&value, step.spec.dtype, rule),
            });
            values.push(rounded.map_err(arithmetic(index))?);
        }
        Ok(values)
    }
}

fn arithmetic(index: usize) -> impl FnOnce(candle_core::Error) -> ReferenceError {
    move |source| ReferenceError::Arithmetic { index, source }
}

fn shape(spec: &TensorSpec) -> Vec<usize> {
    spec.shape.iter().map(|&side| side as usize).collect()
}

fn compute(node: &Node, bias: Option<&Tensor>, values: &[Tensor]) -> candle_core::Result<Tensor> {
    let input = |index: usize| &values[node.inputs[index].index()];
    let x = input(0);
    let bias = || bias.ok_or_else(|| candle_core::Error::msg("a node with weights has a bias"));
    match &node.op {
        Op::Conv2d { window, dilation, groups, clamp } => {
            grouped_conv2d(x, input(1), bias()?, window, *dilation, *groups as usize, *clamp)
        }
        Op::Dense { clamp } => dense(x, input(1), bias()?, *clamp),
        Op::MaxPool(window) => max_pool2d(x, window),
        Op::AveragePool(window) => average_pool2d(x, window),
        Op::Add { clamp } => (x + input(1))?.clamp(clamp.low, clamp.high),
        Op::Clamp(clamp) => x.clamp(clamp.low, clamp.high),
        Op::Softmax => softmax(x),
        Op::Reshape(shape) => x.reshape(shape.iter().map(|&s| s as usize).collect::<Vec<_>>()),
        // Real numbers stay what they are; the grid of the result rounds them.
        Op::Quantize | Op::Dequantize => Ok(x.clone()),
    }
}

/// Each group of filters sees its own group of channels.
fn grouped_conv2d(
    x: &Tensor,
    weights: &Tensor,
    bias: &Tensor,
    window: &Window,
    dilation: [u32; 2],
    groups: usize,
    clamp: Clamp,
) -> candle_core::Result<Tensor> {
    if groups == 1 {
        return conv2d(x, weights, bias, window, dilation, clamp);
    }
    let (channels, filters) = (x.dim(D::Minus1)? / groups, weights.dim(0)? / groups);
    let group = |g: usize| {
        let x = x.narrow(D::Minus1, g * channels, channels)?;
        let weights = weights.narrow(0, g * filters, filters)?;
        conv2d(&x, &weights, &bias.narrow(0, g * filters, filters)?, window, dilation, clamp)
    };
    let groups = (0..groups).map(group).collect::<candle_core::Result<Vec<_>>>()?;
    Tensor::cat(&groups, D::Minus1)
}

/// Exponentials along the innermost axis divided by their sum; the greatest is taken off first, so that none overflows.
fn softmax(x: &Tensor) -> candle_core::Result<Tensor> {
    let exponentials = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

fn round_to_grid(value: &Tensor, dtype: DType, rule: Quantization) -> candle_core::Result<Tensor> {
    let (least, most) = if dtype == DType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    let (scale, zero) = (rule.scale, rule.zero_point as f32);
    let mut elements = value.flatten_all()?.to_vec1::<f32>()?;
    for element in &mut elements {
        let step = ((*element / scale).round_ties_even() + zero).clamp(least, most);
        *element = (step - zero) * scale;
    }
    Tensor::from_vec(elements, value.shape(), &Device::Cpu)
}
