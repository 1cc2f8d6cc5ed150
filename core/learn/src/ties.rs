//! Which values must keep their channels to one scale: what a convolution makes, up to the convolutions that read it.
use edgemill_model::graph::{Clamp, Function, Graph, Node, Op, Pair, ValueId};

/// How a value comes by the scale of its channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// A convolution makes it: a filter and its bias may be scaled.
    Made,
    /// x × gate(x) of what the convolution named makes.
    Gated(ValueId, Function),
    /// Each channel is made of the same channel of its operands, in proportion.
    Carried,
    /// Channels of its operands behind each other, read by convolutions only.
    Joined,
    /// Its scale cannot be chosen.
    Other,
}

/// The values of a graph, in groups of which each has one scale for each channel.
pub(crate) struct Ties {
    pub roles: Vec<Role>,
    groups: Vec<usize>,
}

impl Ties {
    pub fn new(graph: &Graph<'_>) -> Self {
        let readers = Readers::new(graph);
        let roles: Vec<Role> =
            (0..graph.values().len()).map(|i| role(graph, &readers, i)).collect();
        let carried: Vec<bool> = roles.iter().map(|&role| role == Role::Carried).collect();
        let mut ties = Self { roles, groups: (0..carried.len()).collect() };
        for (id, node) in graph.nodes().filter(|(id, _)| carried[id.index()]) {
            node.inputs.iter().for_each(|input| ties.tie(id.index(), input.index()));
        }
        let mut bound = vec![false; carried.len()];
        for at in (0..bound.len()).filter(|&at| !ties.may_scale(graph, &readers, at)) {
            bound[ties.groups[at]] = true;
        }
        for group in ties.groups.iter_mut().filter(|group| bound[**group]) {
            *group = usize::MAX;
        }
        ties
    }

    /// The members of each group that has scales to choose.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        for (at, &group) in
            self.groups.iter().enumerate().filter(|(_, group)| **group != usize::MAX)
        {
            groups[group].push(at);
        }
        groups.into_iter().filter(|group| !group.is_empty()).collect()
    }

    fn tie(&mut self, a: usize, b: usize) {
        let (from, to) = (self.groups[a], self.groups[b]);
        self.groups.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
    }

    /// Whether all that has to do with a value follows its scale.
    fn may_scale(&self, graph: &Graph<'_>, readers: &Readers, at: usize) -> bool {
        let follows = |&(reader, place): &(ValueId, usize)| {
            absorbs(graph, reader, place)
                || matches!(self.roles[reader.index()], Role::Carried | Role::Joined)
        };
        matches!(self.roles[at], Role::Made | Role::Gated(..) | Role::Carried)
            && !readers.said[at]
            && readers.of[at].iter().all(follows)
    }
}

/// Who reads each value, at which place, and whether it is an output.
struct Readers {
    of: Vec<Vec<(ValueId, usize)>>,
    said: Vec<bool>,
}

impl Readers {
    fn new(graph: &Graph<'_>) -> Self {
        let count = graph.values().len();
        let mut readers = Self { of: vec![Vec::new(); count], said: vec![false; count] };
        for (id, node) in graph.nodes() {
            let places = node.inputs.iter().enumerate();
            places.for_each(|(place, input)| readers.of[input.index()].push((id, place)));
        }
        graph.outputs().iter().for_each(|output| readers.said[output.index()] = true);
        readers
    }
}

fn role(graph: &Graph<'_>, readers: &Readers, at: usize) -> Role {
    let value = &graph.values()[at];
    let Some(node) = value.node().filter(|_| value.spec().shape.len() == 4) else {
        return Role::Other;
    };
    let gated =
        matches!(readers.of[at][..], [(reader, _)] if gate(graph, readers, reader).is_some());
    match &node.op {
        Op::Conv2d { clamp, .. } if !gated && scales(*clamp) && has_weights(graph, node) => {
            Role::Made
        }
        Op::Unary(_) => {
            let at = readers.of[node.inputs[0].index()].first().map(|&(reader, _)| reader);
            at.and_then(|at| gate(graph, readers, at)).unwrap_or(Role::Other)
        }
        Op::MaxPool(_) | Op::AveragePool(_) | Op::Resize { .. } => Role::Carried,
        Op::Gather { axis: 0..3, .. } => Role::Carried,
        Op::Binary { function: Pair::Add, clamp } if scales(*clamp) && even(graph, node) => {
            Role::Carried
        }
        Op::Concat { axis: 3 } if !readers.said[at] => {
            let all = readers.of[at].iter().all(|&(reader, place)| absorbs(graph, reader, place));
            if all { Role::Joined } else { Role::Other }
        }
        _ => Role::Other,
    }
}

/// What `id` is, if it is a function x × gate(x) of a convolution that nobody else reads.
fn gate(graph: &Graph<'_>, readers: &Readers, id: ValueId) -> Option<Role> {
    let node = graph.value(id).node()?;
    let Op::Unary(function @ (Function::Swish | Function::HardSwish)) = node.op else {
        return None;
    };
    let from = node.inputs[0];
    let made = graph.value(from).node()?;
    let alone = readers.of[from.index()].len() == 1 && !readers.said[from.index()];
    let plain =
        matches!(made.op, Op::Conv2d { clamp: Clamp::NONE, .. }) && has_weights(graph, made);
    (alone && plain).then_some(Role::Gated(from, function))
}

/// Whether a bound is the same at every scale.
fn scales(clamp: Clamp) -> bool {
    clamp == Clamp::NONE || clamp == Clamp::RELU
}

fn has_weights(graph: &Graph<'_>, node: &Node) -> bool {
    node.inputs[1..].iter().all(|&id| graph.value(id).constant().is_some())
}

/// Whether a reader can have the scale of what it reads in its weights.
fn absorbs(graph: &Graph<'_>, reader: ValueId, place: usize) -> bool {
    let node = graph.value(reader).node();
    place == 0
        && node.is_some_and(|node| matches!(node.op, Op::Conv2d { .. }) && has_weights(graph, node))
}

/// Whether no side of a pair is repeated.
fn even(graph: &Graph<'_>, node: &Node) -> bool {
    let shape = |id: ValueId| &graph.value(id).spec().shape;
    shape(node.inputs[0]) == shape(node.inputs[1])
}
