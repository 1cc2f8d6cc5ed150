//! What loading decides before it takes memory.
use std::ops::{DerefMut, Range};

use edgemill_kernels::int8::Kernel;
use edgemill_model::graph::Graph;
use edgemill_model::tensor::DType;

use crate::arena::LINE;
use crate::lower::{Lowered, lower};
use crate::pack::{Packing, pack};
use crate::step::Step;
use crate::{Engine, EngineError};

/// How a graph will be run, and the memory that takes.
pub struct Plan {
    kernel: &'static dyn Kernel,
    steps: Vec<Step>,
    packings: Vec<Packing>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    weights_bytes: usize,
    arena_bytes: usize,
}

/// An input or output in the arena.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub start: usize,
    pub bytes: usize,
    pub dtype: DType,
}

impl Plan {
    /// Plans `graph` for `kernel`.
    ///
    /// # Errors
    /// [`EngineError`] if the graph is not one of int8 nodes.
    pub fn new(graph: &Graph<'_>, kernel: &'static dyn Kernel) -> Result<Self, EngineError> {
        graph.check()?;
        let Lowered { mut steps, packings, slots, weights_bytes, arena } = lower(graph, kernel)?;
        let (starts, arena_bytes) = arena.places();
        for step in &mut steps {
            step.place(&starts);
        }
        let port = |id| {
            let spec = graph.value(id).spec();
            let slot = slots[id.index()].expect("inputs and outputs have a buffer");
            Port { start: starts[slot.0], bytes: spec.bytes(), dtype: spec.dtype }
        };
        Ok(Self {
            kernel,
            steps,
            packings,
            inputs: graph.inputs().map(port).collect(),
            outputs: graph.outputs().iter().copied().map(port).collect(),
            weights_bytes,
            arena_bytes,
        })
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
        let start = memory.as_ptr().align_offset(LINE);
        let weights = start..start + self.weights_bytes;
        let arena: Range<usize> = weights.end..weights.end + self.arena_bytes;
        for packing in &self.packings {
            pack(packing, graph, self.kernel, &mut memory[weights.clone()]);
        }
        Ok(Engine {
            kernel: self.kernel,
            steps: self.steps,
            inputs: self.inputs,
            outputs: self.outputs,
            weights,
            arena,
            memory,
        })
    }
}
