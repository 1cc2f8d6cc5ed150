//! What loading decides before it takes memory.
use std::ops::{DerefMut, Range};

use edgemill_kernels::int8::{self, Border, Kernel};
use edgemill_kernels::team::{MAX_THREADS, Team};
use edgemill_model::graph::{Graph, ValueId};
use edgemill_model::tensor::DType;

use crate::arena::LINE;
use crate::idle::without_idle_channels;
use crate::lower::{Lowered, low8, lower};
use crate::pack::{Packing, pack, rule};
use crate::step::Step;
use crate::{Engine, EngineError};

/// How a graph will be run, and the memory that takes.
pub struct Plan {
    kernel: &'static dyn Kernel,
    steps: Vec<Step>,
    layers: Vec<Layer>,
    packings: Vec<Packing>,
    constants: Vec<(ValueId, Port)>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    weights_bytes: usize,
    arena_bytes: usize,
    threads: usize,
}

/// One step of a run, for a profile.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Of the value that it makes, as the graph has it.
    pub name: String,
    /// What is done.
    pub work: &'static str,
    /// Shape of what it makes.
    pub shape: Vec<u32>,
    /// Multiplications of a weight by an element.
    pub macs: u64,
}

impl Layer {
    fn of(graph: &Graph<'_>, step: &Step) -> Self {
        let value = graph.value(step.value);
        Self {
            name: value.name().to_owned(),
            work: step.work.name(),
            shape: value.spec().shape.clone(),
            macs: step.work.macs(),
        }
    }
}

/// An input or output in the arena.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub start: usize,
    pub bytes: usize,
    pub dtype: DType,
    /// Around each of an input's pictures, and the element that it is made of.
    pub border: Option<(Border, u8)>,
}

impl Plan {
    /// Plans `graph` for `kernel`.
    ///
    /// # Errors
    /// [`EngineError`] if the graph is not one of int8 nodes.
    pub fn new(graph: &Graph<'_>, kernel: &'static dyn Kernel) -> Result<Self, EngineError> {
        graph.check()?;
        let rest = without_idle_channels(graph);
        let graph = rest.as_ref().unwrap_or(graph);
        let Lowered { mut steps, packings, slots, constants, borders, weights_bytes, arena } =
            lower(graph, kernel)?;
        let (starts, arena_bytes) = arena.places();
        for step in &mut steps {
            step.place(&starts);
        }
        let layers = steps.iter().map(|step| Layer::of(graph, step)).collect();
        let port = |id| {
            let spec = graph.value(id).spec();
            let slot = slots[id.index()].expect("inputs and outputs have a buffer");
            Port { start: starts[slot.0], bytes: spec.bytes(), dtype: spec.dtype, border: None }
        };
        let framed = |(id, border): (ValueId, Option<Border>)| {
            let border = border.map(|border| (border, low8(rule(graph, id).zero_point)));
            Port { border, ..port(id) }
        };
        Ok(Self {
            kernel,
            steps,
            layers,
            packings,
            constants: constants.into_iter().map(|id| (id, port(id))).collect(),
            inputs: graph.inputs().zip(borders).map(framed).collect(),
            outputs: graph.outputs().iter().copied().map(port).collect(),
            weights_bytes,
            arena_bytes,
            threads: 1,
        })
    }

    /// The same for several threads, which share the work of large steps: the bits do not change. At least 1, at
    /// most [`MAX_THREADS`].
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, MAX_THREADS);
        let panels = self.kernel.panels();
        self.steps.iter_mut().for_each(|step| step.divide(self.threads, panels));
        self
    }

    /// Bytes of memory that an engine needs, wherever they begin.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.weights_bytes + self.arena_bytes + LINE - 1
    }

    pub(crate) fn engine<M: DerefMut<Target = [u8]>>(
        self,
        graph: &Graph<'_>,
        mut memory: M,
    ) -> Result<Engine<M>, EngineError> {
        let (given, needed) = (memory.len(), self.memory_bytes());
        if given < needed {
            return Err(EngineError::Memory { given, needed });
        }
        let rest = without_idle_channels(graph);
        let graph = rest.as_ref().unwrap_or(graph);
        let start = memory.as_ptr().align_offset(LINE);
        let weights = start..start + self.weights_bytes;
        let arena: Range<usize> = weights.end..weights.end + self.arena_bytes;
        for packing in &self.packings {
            pack(packing, graph, self.kernel, &mut memory[weights.clone()]);
        }
        for (id, port) in &self.constants {
            let constant = graph.value(*id).constant().expect("it was planned as one");
            let place = &mut memory[arena.clone()][port.range()];
            int8::flip_into(port.flip(self.kernel.flip()), constant.data(), place);
        }
        let team = if self.threads > 1 { Some(Team::new(self.threads)?) } else { None };
        Ok(Engine {
            kernel: self.kernel,
            team,
            steps: self.steps,
            layers: self.layers,
            inputs: self.inputs,
            outputs: self.outputs,
            weights,
            arena,
            memory,
        })
    }
}
