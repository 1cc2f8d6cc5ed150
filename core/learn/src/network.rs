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

const KERNEL: u32 = 3;
const POOL: u32 = 2;
/// Pictures that go through the convolutions together: few, so that what lies between two layers stays in the cache, and
/// below the size from which candle shares an addition with a thread that it then waits for in a loop.
const AT_A_TIME: usize = 2;

/// Convolutions of 3×3, each with ReLU and the greatest of each 2×2; a dense layer with ReLU; one with a number for each
/// class, whose softmax is the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Weights and bias of the first layer, of the second, …
    pub parameters: Vec<Parameter>,
}

/// A network has at least its two dense layers; it is made so.
const SHAPE: &str = "a network ends in two dense layers";

impl Network {
    /// Weights uniform within ± √(6 ÷ inputs of a unit), biases 0 (He et al., 2015, arXiv:1502.01852).
    #[must_use]
    pub fn new(recipe: &Recipe, prng: &mut Prng) -> Self {
        let mut network = Self { parameters: Vec::new() };
        let [width, height] = recipe.picture.size.map(|side| side as usize);
        let (mut sides, mut channels) = ([height, width], 3);
        let kernel = KERNEL as usize;
        for filters in recipe.network.convolutions.iter().map(|&n| n as usize) {
            network.add(vec![filters, kernel, kernel, channels], prng);
            sides = sides.map(|side| (side - (kernel - 1)) / POOL as usize);
            channels = filters;
        }
        let (hidden, inputs) = (recipe.network.dense as usize, sides[0] * sides[1] * channels);
        network.add(vec![hidden, inputs], prng);
        network.add(vec![recipe.labels.len(), hidden], prng);
        network
    }

    #[expect(clippy::cast_precision_loss, reason = "a unit has fewer than 2²⁴ inputs")]
    fn add(&mut self, shape: Vec<usize>, prng: &mut Prng) {
        let inputs: usize = shape[1..].iter().product();
        let bound = (6.0 / inputs as f32).sqrt();
        let values = (0..shape[0] * inputs).map(|_| bound * prng.symmetric()).collect();
        let bias = Parameter { shape: vec![shape[0]], values: vec![0.0; shape[0]] };
        self.parameters.extend([Parameter { shape, values }, bias]);
    }

    /// What comes before the softmax (picture × class), of `pictures` (picture × height × width × channel), with
    /// `parameters` in place of the network's own.
    ///
    /// # Errors
    /// Shapes that do not belong together.
    pub fn forward(&self, parameters: &[Tensor], pictures: &Tensor) -> Result<Tensor> {
        let [convolutions @ .., [w1, b1], [w2, b2]] = parameters.as_chunks().0 else {
            candle_core::bail!("{SHAPE}");
        };
        let features = |pictures: &Tensor| {
            convolutions.iter().try_fold(pictures.clone(), convolve)?.flatten_from(1)
        };
        let stretches = pictures.chunk(pictures.dim(0)?.div_ceil(AT_A_TIME), 0)?;
        let features = stretches.iter().map(features).collect::<Result<Vec<_>>>()?;
        let hidden = dense(&Tensor::cat(&features, 0)?, w1, b1, Clamp::RELU)?;
        dense(&hidden, w2, b2, Clamp::NONE)
    }

    /// The network as a float graph for one picture, ending in a softmax.
    ///
    /// # Errors
    /// A parameter that is infinite or not a number.
    ///
    /// # Panics
    /// Without the two dense layers.
    pub fn graph(&self, recipe: &Recipe) -> std::result::Result<Graph<'static>, GraphError> {
        let [convolutions @ .., hidden, classes] = self.parameters.as_chunks::<2>().0 else {
            panic!("{SHAPE}");
        };
        let mut graph = Graph::new();
        let mut x = graph.input("picture", contract::float(recipe).inputs[0].clone())?;
        for (index, parameters) in convolutions.iter().enumerate() {
            let window = Window::valid(KERNEL, 1);
            let op = Op::Conv2d { window, dilation: [1, 1], groups: 1, clamp: Clamp::RELU };
            x = weighted(&mut graph, &format!("convolution {index}"), op, x, parameters)?;
            let pool = Op::MaxPool(Window::valid(POOL, POOL));
            x = graph.node(&format!("pool {index}"), pool, &[x], Element::F32)?;
        }
        let elements = graph.value(x).spec().shape.iter().product();
        x = graph.node("flat", Op::Reshape(vec![1, elements]), &[x], Element::F32)?;
        x = weighted(&mut graph, "hidden", Op::Dense { clamp: Clamp::RELU }, x, hidden)?;
        x = weighted(&mut graph, "classes", Op::Dense { clamp: Clamp::NONE }, x, classes)?;
        x = graph.node("probabilities", Op::Softmax, &[x], Element::F32)?;
        graph.output(x)?;
        Ok(graph)
    }
}

fn convolve(x: Tensor, [weights, bias]: &[Tensor; 2]) -> Result<Tensor> {
    let x = conv2d(&x, weights, bias, &Window::valid(KERNEL, 1), [1, 1], Clamp::RELU)?;
    max_pool2d(&x, &Window::valid(POOL, POOL))
}

/// A node that has weights and a bias.
fn weighted(
    graph: &mut Graph<'static>,
    name: &str,
    op: Op,
    x: ValueId,
    [weights, bias]: &[Parameter; 2],
) -> std::result::Result<ValueId, GraphError> {
    let weights = constant(graph, &format!("{name} weights"), weights)?;
    let bias = constant(graph, &format!("{name} bias"), bias)?;
    graph.node(name, op, &[x, weights, bias], Element::F32)
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
