//! The network that a recipe describes: its parameters, its forward pass, and its graph.
use candle_core::{Result, Tensor};
use edgemill_model::graph::{Clamp, Constant, Element, Graph, GraphError, Op, ValueId, Window};
use edgemill_model::tensor::{DType, TensorSpec};
use edgemill_reference::ops::{conv2d, dense, max_pool2d};

use crate::contract;
use crate::prng::Prng;
use crate::recipe::Recipe;

/// Weights (filter × …) or a bias (filter).
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Outermost first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// One layer that has parameters: weights and then a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// 3×3, ReLU, then the greatest of each 2×2.
    Convolution,
    /// ReLU.
    Hidden,
    /// One number for each class; their softmax is the answer.
    Classes,
}

const KERNEL: u32 = 3;
const POOL: u32 = 2;
/// Pictures that go through the convolutions together: few, so that what lies between two layers stays in the cache, and
/// below the size from which candle shares an addition with a thread that it then waits for in a loop.
const AT_A_TIME: usize = 2;

/// Layers in order, and two parameters for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    layers: Vec<Layer>,
    /// Weights and bias of the first layer, of the second, …
    pub parameters: Vec<Parameter>,
}

impl Network {
    /// Weights uniform within ± √(6 ÷ inputs of a unit), biases 0 (He et al., 2015, arXiv:1502.01852).
    #[must_use]
    pub fn new(recipe: &Recipe, prng: &mut Prng) -> Self {
        let mut network = Self { layers: Vec::new(), parameters: Vec::new() };
        let [width, height] = recipe.picture.size.map(|side| side as usize);
        let (mut sides, mut channels) = ([height, width], 3);
        let kernel = KERNEL as usize;
        for filters in recipe.network.convolutions.iter().map(|&n| n as usize) {
            network.add(Layer::Convolution, vec![filters, kernel, kernel, channels], prng);
            sides = sides.map(|side| (side - (kernel - 1)) / POOL as usize);
            channels = filters;
        }
        let (hidden, inputs) = (recipe.network.dense as usize, sides[0] * sides[1] * channels);
        network.add(Layer::Hidden, vec![hidden, inputs], prng);
        network.add(Layer::Classes, vec![recipe.labels.len(), hidden], prng);
        network
    }

    #[expect(clippy::cast_precision_loss, reason = "a unit has fewer than 2²⁴ inputs")]
    fn add(&mut self, layer: Layer, shape: Vec<usize>, prng: &mut Prng) {
        let inputs: usize = shape[1..].iter().product();
        let bound = (6.0 / inputs as f32).sqrt();
        let values = (0..shape[0] * inputs).map(|_| bound * prng.symmetric()).collect();
        let bias = Parameter { shape: vec![shape[0]], values: vec![0.0; shape[0]] };
        self.layers.push(layer);
        self.parameters.extend([Parameter { shape, values }, bias]);
    }

    /// What comes before the softmax (picture × class), of `pictures` (picture × height × width × channel), with
    /// `parameters` in place of the network's own.
    ///
    /// # Errors
    /// Shapes that do not belong together.
    pub fn forward(&self, parameters: &[Tensor], pictures: &Tensor) -> Result<Tensor> {
        let parameters = parameters.as_chunks::<2>().0;
        let convolutions = self.layers.iter().filter(|&&layer| layer == Layer::Convolution).count();
        let (first, rest) = parameters.split_at(convolutions);
        let stretches = pictures.chunk(pictures.dim(0)?.div_ceil(AT_A_TIME), 0)?;
        let features =
            |pictures: &Tensor| first.iter().try_fold(pictures.clone(), convolve)?.flatten_from(1);
        let features = stretches.iter().map(features).collect::<Result<Vec<_>>>()?;
        let [hidden, classes] = rest else {
            candle_core::bail!("a network ends in two dense layers")
        };
        let hidden = dense(&Tensor::cat(&features, 0)?, &hidden[0], &hidden[1], Clamp::RELU)?;
        dense(&hidden, &classes[0], &classes[1], Clamp::NONE)
    }

    /// The network as a float graph for one picture, ending in a softmax.
    ///
    /// # Errors
    /// A parameter that is infinite or not a number.
    pub fn graph(&self, recipe: &Recipe) -> std::result::Result<Graph<'static>, GraphError> {
        let mut graph = Graph::new();
        let mut x = graph.input("picture", contract::float(recipe).inputs[0].clone())?;
        for (index, (layer, pair)) in
            self.layers.iter().zip(self.parameters.as_chunks::<2>().0).enumerate()
        {
            let weights = constant(&mut graph, &format!("weights {index}"), &pair[0])?;
            let bias = constant(&mut graph, &format!("bias {index}"), &pair[1])?;
            x = match layer {
                Layer::Convolution => {
                    let op = Op::Conv2d {
                        window: Window::valid(KERNEL, 1),
                        dilation: [1, 1],
                        groups: 1,
                        clamp: Clamp::RELU,
                    };
                    let name = format!("convolution {index}");
                    let x = graph.node(&name, op, &[x, weights, bias], Element::F32)?;
                    let op = Op::MaxPool(Window::valid(POOL, POOL));
                    graph.node(&format!("pool {index}"), op, &[x], Element::F32)?
                }
                Layer::Hidden => {
                    let elements = graph.value(x).spec().shape.iter().product();
                    let flat =
                        graph.node("flat", Op::Reshape(vec![1, elements]), &[x], Element::F32)?;
                    let op = Op::Dense { clamp: Clamp::RELU };
                    graph.node("hidden", op, &[flat, weights, bias], Element::F32)?
                }
                Layer::Classes => {
                    let op = Op::Dense { clamp: Clamp::NONE };
                    graph.node("classes", op, &[x, weights, bias], Element::F32)?
                }
            };
        }
        let answer = graph.node("probabilities", Op::Softmax, &[x], Element::F32)?;
        graph.output(answer)?;
        Ok(graph)
    }
}

fn convolve(x: Tensor, [weights, bias]: &[Tensor; 2]) -> Result<Tensor> {
    let x = conv2d(&x, weights, bias, &Window::valid(KERNEL, 1), [1, 1], Clamp::RELU)?;
    max_pool2d(&x, &Window::valid(POOL, POOL))
}

fn constant(
    graph: &mut Graph<'static>,
    name: &str,
    parameter: &Parameter,
) -> std::result::Result<ValueId, GraphError> {
    let side = |&side: &usize| u32::try_from(side).expect("a recipe bounds every layer");
    let shape = parameter.shape.iter().map(side).collect();
    let spec = TensorSpec { dtype: DType::F32, shape, quantization: None };
    graph.constant(name, spec, Constant::f32(&parameter.values))
}
