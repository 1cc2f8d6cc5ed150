//! Channels brought to one size, so that one int8 rule suits them all: what divides a filter multiplies the weights of those
//! who read its channel. Nagel et al., 2019, arXiv:1906.04721; here also across x × gate(x), whose gate takes the factor.
use edgemill_model::graph::{
    Clamp, Constant, Element, Function, Graph, GraphError, Node, Op, Pair, Source, Value, ValueId,
};
use edgemill_model::tensor::{DType, TensorSpec};

use crate::calibrate::Range;
use crate::ties::{Role, Ties};

/// So many bits must a channel win, on the average, or else a group is left as it is.
const LEAST_GAIN: f32 = 0.5;
/// Factors are whole multiples of the greatest ÷ this, so that int8 has them exactly.
const STEPS: f32 = 255.0;

/// A graph with channels of like size.
pub struct Equalized<'a> {
    /// In real numbers the same as before.
    pub graph: Graph<'a>,
    /// Values that have a gate now, and below which number nothing of them matters.
    pub floors: Vec<(ValueId, f32)>,
}

/// Brings the channels of `graph` to like sizes; `spans` has the range of each channel of each value.
///
/// # Errors
/// A graph that is damaged.
pub fn equalized<'a>(graph: &Graph<'a>, spans: &[Vec<Range>]) -> Result<Equalized<'a>, GraphError> {
    let ties = Ties::new(graph);
    let mut factors: Vec<Option<Vec<f32>>> = vec![None; graph.values().len()];
    for group in ties.groups() {
        let found = of_group(&group, &ties.roles, spans);
        group.iter().for_each(|&at| factors[at].clone_from(&found));
    }
    for (id, node) in graph.nodes() {
        match ties.roles[id.index()] {
            Role::Joined => factors[id.index()] = joined(graph, node, &factors),
            Role::Gated(from, _) => factors[from.index()] = factors[id.index()].clone(),
            _ => {}
        }
    }
    let ids = Vec::with_capacity(factors.len());
    let mut maker = Maker { graph, roles: ties.roles, factors, made: Graph::new(), ids };
    for (index, value) in graph.values().iter().enumerate() {
        let id = maker.value(index, value)?;
        maker.ids.push(id);
    }
    for output in graph.outputs() {
        maker.made.output(maker.ids[output.index()])?;
    }
    let gated = (0..spans.len()).filter_map(|at| match (maker.roles[at], &maker.factors[at]) {
        (Role::Gated(from, function), Some(factors)) => {
            Some((maker.ids[from.index()], floor(&spans[from.index()], flat(function), factors)))
        }
        _ => None,
    });
    let floors = gated.collect();
    Ok(Equalized { graph: maker.made, floors })
}

/// How far below 0 a function is flat.
fn flat(function: Function) -> f32 {
    if function == Function::HardSwish { 3.0 } else { 6.0 }
}

/// What the lowest channel reaches, once divided.
fn floor(spans: &[Range], flat: f32, factors: &[f32]) -> f32 {
    let below = |(span, factor): (&Range, &f32)| (-span.low).min(flat) / factor;
    -spans.iter().zip(factors).map(below).fold(0.0, f32::max)
}

/// How far each channel of a group goes, in whole steps; nothing if they are even enough.
fn of_group(group: &[usize], roles: &[Role], spans: &[Vec<Range>]) -> Option<Vec<f32>> {
    let mut reach: Vec<f32> = Vec::new();
    for &at in group {
        let (from, flat) = match roles[at] {
            Role::Gated(from, function) => (from.index(), flat(function)),
            _ => (at, f32::INFINITY),
        };
        reach.resize(spans[from].len(), 0.0);
        for (reach, span) in reach.iter_mut().zip(&spans[from]) {
            *reach = reach.max(span.high).max((-span.low).min(flat));
        }
    }
    let greatest = reach.iter().copied().fold(0.0, f32::max);
    let step = greatest / STEPS;
    let gain: f32 = reach.iter().map(|reach| (greatest / reach.max(step)).log2()).sum();
    let even = !step.is_normal() || !greatest.is_finite() || gain < LEAST_GAIN * reach.len() as f32;
    (!even)
        .then(|| reach.iter().map(|reach| (reach / step).ceil().clamp(1.0, STEPS) * step).collect())
}

/// The factors of what is put together; 1 where a part has none.
fn joined(graph: &Graph<'_>, node: &Node, factors: &[Option<Vec<f32>>]) -> Option<Vec<f32>> {
    let channels = |id: ValueId| graph.value(id).spec().shape[3] as usize;
    let part = |&id: &ValueId| factors[id.index()].clone().unwrap_or(vec![1.0; channels(id)]);
    let any = node.inputs.iter().any(|id| factors[id.index()].is_some());
    any.then(|| node.inputs.iter().flat_map(part).collect())
}

struct Maker<'g, 'a> {
    graph: &'g Graph<'a>,
    roles: Vec<Role>,
    /// What each channel of a value has been divided by.
    factors: Vec<Option<Vec<f32>>>,
    made: Graph<'a>,
    ids: Vec<ValueId>,
}

impl<'a> Maker<'_, 'a> {
    fn value(&mut self, index: usize, value: &Value<'a>) -> Result<ValueId, GraphError> {
        let spec = value.spec().clone();
        let node = match value.source() {
            Source::Input => return self.made.input(value.name(), spec),
            Source::Constant(of) => return self.made.constant(value.name(), spec, of.clone()),
            Source::Node(node) => node,
        };
        let mut inputs: Vec<ValueId> = node.inputs.iter().map(|id| self.ids[id.index()]).collect();
        match (&node.op, self.roles[index]) {
            (Op::Conv2d { groups, .. }, _) => {
                self.weigh(index, node, *groups as usize, &mut inputs)?
            }
            (_, Role::Gated(_, function)) => {
                if let Some(factors) = self.factors[index].clone() {
                    return self.gate(value.name(), inputs[0], function, &factors);
                }
            }
            _ => {}
        }
        let element = Element { dtype: spec.dtype, quantization: spec.quantization };
        self.made.node(value.name(), node.op.clone(), &inputs, element)
    }

    /// x × gate(x × factors), which is the function of x × factors, divided by them.
    fn gate(
        &mut self,
        name: &str,
        x: ValueId,
        function: Function,
        factors: &[f32],
    ) -> Result<ValueId, GraphError> {
        let gate = match function {
            Function::HardSwish => Function::HardSigmoid(1.0 / 6.0, 0.5),
            _ => Function::Sigmoid,
        };
        let product = Op::Binary { function: Pair::Mul, clamp: Clamp::NONE };
        let shape = vec![u32::try_from(factors.len()).expect("channels of a value")];
        let factors = self.made.constant(name, real(shape), Constant::f32(factors))?;
        let whole = self.made.node(name, product.clone(), &[x, factors], Element::F32)?;
        let gate = self.made.node(name, Op::Unary(gate), &[whole], Element::F32)?;
        self.made.node(name, product, &[x, gate], Element::F32)
    }

    /// Has a convolution's weights and bias take the factors of what it reads and of what it makes.
    fn weigh(
        &mut self,
        index: usize,
        node: &Node,
        groups: usize,
        inputs: &mut [ValueId],
    ) -> Result<(), GraphError> {
        let (read, made) = (&self.factors[node.inputs[0].index()], &self.factors[index]);
        if read.is_none() && made.is_none() {
            return Ok(());
        }
        let weights = self.graph.value(node.inputs[1]);
        let [filters, .., depth] = weights.spec().shape[..] else { return Ok(()) };
        let (filters, depth) = (filters as usize, depth as usize);
        let of = |factors: &Option<Vec<f32>>, at: usize| factors.as_ref().map_or(1.0, |f| f[at]);
        let mut numbers: Vec<f32> = weights.constant().map_or(Vec::new(), |c| c.f32s().collect());
        let each = numbers.len() / filters;
        for (at, weight) in numbers.iter_mut().enumerate() {
            let filter = at / each;
            let channel = filter / (filters / groups) * depth + at % depth;
            *weight *= of(read, channel) / of(made, filter);
        }
        let bias = node.inputs.get(2).and_then(|&id| self.graph.value(id).constant());
        let bias: Option<Vec<f32>> =
            bias.map(|c| c.f32s().enumerate().map(|(at, b)| b / of(made, at)).collect());
        let spec = weights.spec().clone();
        inputs[1] = self.made.constant(weights.name(), spec, Constant::f32(&numbers))?;
        if let (Some(bias), Some(&id)) = (bias, node.inputs.get(2)) {
            let old = self.graph.value(id);
            inputs[2] = self.made.constant(old.name(), old.spec().clone(), Constant::f32(&bias))?;
        }
        Ok(())
    }
}

fn real(shape: Vec<u32>) -> TensorSpec {
    TensorSpec { dtype: DType::F32, shape, quantization: None }
}
