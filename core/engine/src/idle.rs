//! Channels that pruning has left without weights. What they hold is known before a run, or nobody weighs it; so they are left
//! out of the graph, and what they add to a sum goes into its bias. The rest has the same bits.
use edgemill_model::graph::{
    Constant, Element, Graph, GraphError, Node, Op, Source, Value, ValueId,
};
use edgemill_model::tensor::{DType, TensorSpec};

use crate::lower::output;
use crate::pack::{Weights, rule};

/// A value loses channels only if it loses at least one in so many: rows whose length is a multiple of a vector's are faster.
const ONE_IN: usize = 8;

/// The graph without idle channels; none if it has too few of them.
pub(crate) fn without_idle_channels<'a>(graph: &Graph<'a>) -> Option<Graph<'a>> {
    let mut idle = Idle::new(graph);
    idle.find_known();
    idle.settle();
    let any = idle.dropped.iter().flatten().any(|&dropped| dropped);
    any.then(|| idle.rest().ok()).flatten()
}

/// A convolution whose weights nobody else uses.
struct Conv {
    x: ValueId,
    /// Output channels, taps of each, and input channels of each tap.
    size: [usize; 3],
    /// Takes each channel on its own.
    alone: bool,
    has_bias: bool,
    has_border: bool,
    /// Which channels of `x` have a weight; all, if it is alone.
    weighed: Vec<bool>,
}

struct Idle<'g, 'a> {
    graph: &'g Graph<'a>,
    /// Of each value that one makes.
    convs: Vec<Option<Conv>>,
    readers: Vec<Vec<ValueId>>,
    /// The element that each channel of a convolution's result holds everywhere, if there is one.
    known: Vec<Vec<Option<i32>>>,
    /// Which channels of a value are left out; empty where all stay.
    dropped: Vec<Vec<bool>>,
}

impl<'g, 'a> Idle<'g, 'a> {
    fn new(graph: &'g Graph<'a>) -> Self {
        let count = graph.values().len();
        let mut readers = vec![Vec::new(); count];
        for (id, node) in graph.nodes() {
            node.inputs.iter().for_each(|x| readers[x.index()].push(id));
        }
        let mut convs: Vec<_> = (0..count).map(|_| None).collect();
        for (id, node) in graph.nodes() {
            let own = node.inputs[1..]
                .iter()
                .all(|w| readers[w.index()].len() == 1 && graph.value(*w).constant().is_some());
            convs[id.index()] = Conv::of(graph, id, node).filter(|_| own);
        }
        let (known, dropped) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        Self { graph, convs, readers, known, dropped }
    }

    fn find_known(&mut self) {
        for (id, node) in self.graph.nodes() {
            let Some(conv) = &self.convs[id.index()] else { continue };
            let Op::Conv2d { clamp, .. } = node.op else { continue };
            let (weights, rounded) = (self.weights(id), output(self.graph, id, clamp));
            let facts = Weights::of(self.graph, id, None);
            let channel = |(k, filter): (usize, &[u8])| {
                let (sum, steps) = if filter.iter().all(|&w| w == 0) {
                    (0, 0)
                } else if conv.alone {
                    (total(filter), self.steps_known(conv, k)?)
                } else {
                    return None;
                };
                let sum = self.bias(id, k).wrapping_add(sum.wrapping_mul(steps));
                Some(i32::from(rounded.of_sum(sum, facts.multiplier(k))))
            };
            let filters = weights.chunks_exact(conv.size[1] * conv.size[2]);
            self.known[id.index()] = filters.enumerate().map(channel).collect();
        }
    }

    /// Steps from the zero point that a tap of `conv` reads of a channel, wherever it lies.
    fn steps_known(&self, conv: &Conv, channel: usize) -> Option<i32> {
        let known = self.known[conv.x.index()].get(channel).copied().flatten()?;
        let steps = known - rule(self.graph, conv.x).zero_point;
        (steps == 0 || !conv.has_border).then_some(steps)
    }

    /// Drops what can be dropped: first all, then less and less until nobody misses anything.
    fn settle(&mut self) {
        for (id, _) in self.graph.nodes() {
            let readers = &self.readers[id.index()];
            let conv = |reader: &ValueId| self.convs[reader.index()].is_some();
            let inside = !self.graph.outputs().contains(&id) && readers.iter().all(conv);
            if let Some(conv) = self.convs[id.index()].as_ref().filter(|_| inside) {
                self.dropped[id.index()] = vec![true; conv.size[0]];
            }
        }
        while self.keep_what_is_missed() {}
    }

    fn keep_what_is_missed(&mut self) -> bool {
        let mut changed = false;
        for at in 0..self.dropped.len() {
            let needed = |&c: &usize| self.dropped[at][c] && self.is_missed(at, c);
            let mut kept: Vec<usize> = (0..self.dropped[at].len()).filter(needed).collect();
            let all = self.dropped[at].len();
            let dropped = self.dropped[at].iter().filter(|&&dropped| dropped).count();
            let left = dropped - kept.len();
            if left == all && all > 0 {
                kept.push(0);
            } else if left * ONE_IN < all {
                kept = (0..all).filter(|&c| self.dropped[at][c]).collect();
            }
            changed |= !kept.is_empty();
            kept.into_iter().for_each(|c| self.dropped[at][c] = false);
        }
        changed
    }

    /// Whether somebody needs a channel of a convolution's result.
    fn is_missed(&self, at: usize, channel: usize) -> bool {
        let dropped = |x: ValueId| self.dropped[x.index()].get(channel).copied().unwrap_or(false);
        let by_itself = self.convs[at].as_ref().is_some_and(|conv| conv.alone && !dropped(conv.x));
        by_itself
            || self.readers[at].iter().any(|&reader| {
                let Some(conv) = &self.convs[reader.index()] else { return true };
                let steps = self.steps_known(conv, channel);
                let is_in_bias = steps.is_some_and(|steps| steps == 0 || conv.has_bias);
                if conv.alone { !dropped(reader) } else { conv.weighed[channel] && !is_in_bias }
            })
    }

    /// The graph with what is left; its values have the same numbers.
    fn rest(&self) -> Result<Graph<'a>, GraphError> {
        let mut out = Graph::new();
        for (at, value) in self.graph.values().iter().enumerate() {
            let (name, spec) = (value.name(), value.spec());
            match value.source() {
                Source::Input => out.input(name, spec.clone())?,
                Source::Constant(constant) => {
                    let (spec, constant) = self
                        .owner(at)
                        .map_or_else(|| (spec.clone(), constant.clone()), |id| self.less(id, at));
                    out.constant(name, spec, constant)?
                }
                Source::Node(Node { op, inputs }) => {
                    let mut op = op.clone();
                    if let (Op::Conv2d { groups, .. }, Some(conv)) = (&mut op, &self.convs[at])
                        && conv.alone
                    {
                        *groups = count(self.kept(at, conv.size[0]).len());
                    }
                    let (dtype, quantization) = (spec.dtype, spec.quantization);
                    out.node(name, op, inputs, Element { dtype, quantization })?
                }
            };
        }
        self.graph.outputs().iter().try_for_each(|&id| out.output(id))?;
        Ok(out)
    }

    /// The convolution whose weights or bias a constant is, if it has less of them.
    fn owner(&self, constant: usize) -> Option<ValueId> {
        let &[id] = &self.readers[constant][..] else { return None };
        let conv = self.convs[id.index()].as_ref()?;
        let lost = [id, conv.x].iter().any(|x| self.dropped[x.index()].contains(&true));
        lost.then_some(id)
    }

    /// What is left of the weights or the bias of `id`.
    fn less(&self, id: ValueId, constant: usize) -> (TensorSpec, Constant<'a>) {
        let value = &self.graph.values()[constant];
        let (conv, mut spec) = (self.conv(id), value.spec().clone());
        let [channels, _, depth] = conv.size;
        let filters = self.kept(id.index(), channels);
        spec.shape[0] = count(filters.len());
        if spec.shape.len() == 1 {
            let bias: Vec<i32> = filters.iter().map(|&k| self.whole_bias(id, k)).collect();
            return (spec, Constant::i32(&bias));
        }
        let taken = if conv.alone { vec![0] } else { self.kept(conv.x.index(), depth) };
        spec.shape[3] = count(taken.len());
        let scales: Vec<f32> = constant_of(value).scales().collect();
        let scales: Vec<f32> = filters.iter().map(|&k| scales[k]).collect();
        let weights = self.weights(id);
        let taps = filters.iter().flat_map(|&k| self.filter(id, weights, k).chunks_exact(depth));
        let weights: Vec<i8> =
            taps.flat_map(|tap| taken.iter().map(|&c| tap[c].cast_signed())).collect();
        (spec, Constant::i8(&weights, &scales))
    }

    /// The bias of a channel with what dropped channels of the input add.
    fn whole_bias(&self, id: ValueId, channel: usize) -> i32 {
        let (conv, mut bias) = (self.conv(id), self.bias(id, channel));
        if conv.alone {
            return bias;
        }
        let filter = self.filter(id, self.weights(id), channel);
        for (c, _) in
            self.dropped[conv.x.index()].iter().enumerate().filter(|(_, dropped)| **dropped)
        {
            let weights =
                filter.chunks_exact(conv.size[2]).map(|tap| i32::from(tap[c].cast_signed()));
            let steps = self.steps_known(conv, c).unwrap_or(0);
            bias = bias.wrapping_add(weights.sum::<i32>().wrapping_mul(steps));
        }
        bias
    }

    fn conv(&self, id: ValueId) -> &Conv {
        self.convs[id.index()].as_ref().expect("only convolutions lose channels")
    }

    fn filter<'w>(&self, id: ValueId, weights: &'w [u8], channel: usize) -> &'w [u8] {
        let [_, taps, depth] = self.conv(id).size;
        &weights[channel * taps * depth..][..taps * depth]
    }

    fn weights(&self, id: ValueId) -> &'g [u8] {
        let node = self.graph.value(id).node().expect("a convolution is a node");
        constant_of(self.graph.value(node.inputs[1])).data()
    }

    fn bias(&self, id: ValueId, channel: usize) -> i32 {
        let node = self.graph.value(id).node().expect("a convolution is a node");
        let bias = node.inputs.get(2).map(|&bias| constant_of(self.graph.value(bias)));
        bias.map_or(0, |bias| i32::from_le_bytes(bias.data().as_chunks().0[channel]))
    }

    /// The channels of a value that stay.
    fn kept(&self, at: usize, channels: usize) -> Vec<usize> {
        let dropped = &self.dropped[at];
        (0..channels).filter(|&c| !dropped.get(c).copied().unwrap_or(false)).collect()
    }
}

impl Conv {
    fn of(graph: &Graph<'_>, id: ValueId, node: &Node) -> Option<Self> {
        let Op::Conv2d { window, groups, .. } = &node.op else { return None };
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let is_int8 = [x, id, w].iter().all(|&v| graph.value(v).spec().dtype == DType::I8);
        let shape = &graph.value(w).spec().shape;
        let [channels, rows, columns, depth] = std::array::from_fn(|i| shape[i] as usize);
        let alone = *groups > 1 && depth == 1 && *groups as usize == channels;
        if !is_int8 || *groups > 1 && !alone {
            return None;
        }
        let mut weighed = vec![alone; if alone { channels } else { depth }];
        let weights = graph.value(w).constant().filter(|_| !alone);
        for tap in weights.into_iter().flat_map(|weights| weights.data().chunks_exact(depth)) {
            tap.iter().zip(&mut weighed).for_each(|(&w, weighed)| *weighed |= w != 0);
        }
        Some(Self {
            x,
            size: [channels, rows * columns, depth],
            alone,
            has_bias: node.inputs.len() == 3,
            has_border: [window.rows, window.columns] != [[0; 2]; 2],
            weighed,
        })
    }
}

fn constant_of<'v, 'a>(value: &'v Value<'a>) -> &'v Constant<'a> {
    value.constant().expect("it was found to be one")
}

fn total(weights: &[u8]) -> i32 {
    weights.iter().map(|&w| i32::from(w.cast_signed())).sum()
}

fn count(channels: usize) -> u32 {
    u32::try_from(channels).expect("no more than there were")
}
