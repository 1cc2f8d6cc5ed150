//! Runs a graph in real numbers.
use candle_core::{Device, Tensor};
use edgemill_model::graph::{Graph, Node, Source, Value, ValueId};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::compute::compute;
use crate::constant;

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
    /// The constant bias in real numbers, of a node that has weights.
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
                Kind::Node(node, bias) => {
                    let inputs: Vec<&Tensor> =
                        node.inputs.iter().map(|id| &values[id.index()]).collect();
                    compute(&node.op, &inputs, bias.as_ref(), &shape(&step.spec))
                }
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
