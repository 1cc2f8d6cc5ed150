//! A graph, planned and executed in int8 without allocating.
//!
//! ```text
//! graph → idle:  what pruning has left without weights is taken out
//!       → lower: one step per node, borders as steps of their own
//!       → plan:  a place in one arena for every value, shared by those that never live at once
//!       → pack:  weights in the order in which the kernel reads them
//!       → run:   the steps, one after the other
//! ```
//!
//! Packed weights and arena share one block of memory, which the caller may give: a plugin gives locked memory that
//! is wiped. What else is kept of a model is its structure: shapes, scales of activations, and tables made of them.
#![forbid(unsafe_code)]

mod arena;
mod general;
mod idle;
mod lower;
mod moves;
mod pack;
mod plan;
mod real;
mod share;
mod step;

use std::ops::{DerefMut, Range};

use edgemill_kernels::int8::{self, Kernel};
use edgemill_kernels::team::Team;
use edgemill_model::graph::Graph;
use edgemill_model::tensor::DType;

pub use edgemill_kernels::int8 as kernels;
pub use edgemill_model::{graph, tensor};
pub use plan::{Layer, Plan};

use plan::Port;
use step::Step;

/// What can be wrong with a graph that is to be run in int8, or with a run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The graph lacks an input or an output.
    #[error(transparent)]
    Graph(#[from] edgemill_model::graph::GraphError),
    /// A node computes with real numbers.
    #[error("node {0:?} is not int8: quantize the model first (edgemill model compress)")]
    Float(String),
    /// A node does what this engine does not do yet.
    #[error(
        "node {0:?}: the int8 engine does not do this operation; run the model in f32 (infer-candle)"
    )]
    Unsupported(String),
    /// The system gives no more threads.
    #[error("no threads to share the work: {0}")]
    Threads(#[from] std::io::Error),
    /// The memory given is too small.
    #[error("{given} bytes of memory for the engine, {needed} are needed")]
    Memory {
        /// Its size.
        given: usize,
        /// `Plan::memory_bytes`.
        needed: usize,
    },
    /// As many slices as the graph has inputs, or outputs, are needed.
    #[error("{given} {side}s given, the graph has {needed}")]
    Count {
        /// `input` or `output`.
        side: &'static str,
        /// How many.
        given: usize,
        /// How many.
        needed: usize,
    },
    /// A slice does not have the size of its tensor.
    #[error("{side} {index}: {given} bytes given, its tensor has {needed}")]
    Bytes {
        /// `input` or `output`.
        side: &'static str,
        /// Which.
        index: usize,
        /// Its size.
        given: usize,
        /// The tensor's.
        needed: usize,
    },
}

/// Weights and memory for runs of one graph. `M` is the memory: a `Vec<u8>`, or what derefs to bytes.
pub struct Engine<M = Vec<u8>> {
    kernel: &'static dyn Kernel,
    team: Option<Team>,
    steps: Vec<Step>,
    layers: Vec<Layer>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Of `memory`: packed weights, and the arena. Both begin at a cache line.
    weights: Range<usize>,
    arena: Range<usize>,
    memory: M,
}

impl Engine {
    /// Plans, packs and takes memory of its own, for the fastest kernel.
    ///
    /// # Errors
    /// [`EngineError`] if the graph is not one of int8 nodes.
    pub fn load(graph: &Graph<'_>) -> Result<Self, EngineError> {
        let plan = Plan::new(graph, int8::best())?;
        let memory = vec![0; plan.memory_bytes()];
        Self::new(plan, graph, memory)
    }
}

impl<M: DerefMut<Target = [u8]>> Engine<M> {
    /// Packs the weights of `graph`, which `plan` was made for, into `memory`.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if there is less than [`Plan::memory_bytes`].
    pub fn new(plan: Plan, graph: &Graph<'_>, memory: M) -> Result<Self, EngineError> {
        plan.engine(graph, memory)
    }

    /// Computes the outputs of one set of inputs. Slices hold the elements of the graph's tensors, numbers of more
    /// than a byte little-endian. Does not allocate.
    ///
    /// # Errors
    /// [`EngineError::Count`] or [`EngineError::Bytes`]; then nothing was run.
    pub fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), EngineError> {
        self.run_watched(inputs, outputs, |_| ())
    }

    /// As [`Self::run`]; calls `done` with the number of each of [`Self::layers`] after it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_watched(
        &mut self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        mut done: impl FnMut(usize),
    ) -> Result<(), EngineError> {
        check("input", &self.inputs, inputs.iter().map(|x| x.len()))?;
        check("output", &self.outputs, outputs.iter().map(|y| y.len()))?;
        let (weights, arena) = self.memory.split_at_mut(self.arena.start);
        let weights = &weights[self.weights.clone()];
        let arena = &mut arena[..self.arena.len()];
        let flip = self.kernel.flip();
        for (port, x) in self.inputs.iter().zip(inputs) {
            port.fill(flip, x, arena, &mut self.team);
        }
        for (number, step) in self.steps.iter().enumerate() {
            step.run(self.kernel, &mut self.team, weights, arena);
            done(number);
        }
        for (port, y) in self.outputs.iter().zip(outputs) {
            int8::flip_into(port.flip(flip), &arena[port.range()], y);
        }
        Ok(())
    }

    /// What a run does, in order.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Name of the kernel that runs it.
    #[must_use]
    pub fn kernel(&self) -> &'static str {
        self.kernel.name()
    }

    /// Bytes of packed weights.
    #[must_use]
    pub fn weights_bytes(&self) -> usize {
        self.weights.len()
    }

    /// Bytes that a run computes in.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        self.arena.len()
    }
}

impl Port {
    /// Puts an input's elements where the steps read them.
    fn fill(&self, flip: u8, x: &[u8], arena: &mut [u8], team: &mut Option<Team>) {
        let Some((border, fill)) = &self.border else {
            return int8::flip_into(self.flip(flip), x, &mut arena[self.range()]);
        };
        let images = x.chunks_exact(border.height * border.row);
        for (x, y) in images.zip(arena[self.start..].chunks_exact_mut(border.bytes())) {
            step::surround(border, fill ^ flip, y);
            let y = &mut y[border.above * border.wide_row()..];
            share::lines(team, [border.row, border.wide_row()], x, y, |x, y| {
                int8::flip_into(flip, x, &mut y[border.before..][..border.row]);
            });
        }
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.bytes
    }

    /// Only int8 elements differ in memory from their values.
    fn flip(&self, flip: u8) -> u8 {
        if self.dtype == DType::I8 { flip } else { 0 }
    }
}

fn check(
    side: &'static str,
    ports: &[Port],
    given: impl ExactSizeIterator<Item = usize>,
) -> Result<(), EngineError> {
    if given.len() != ports.len() {
        return Err(EngineError::Count { side, given: given.len(), needed: ports.len() });
    }
    for (index, (given, port)) in given.zip(ports).enumerate() {
        let needed = port.bytes;
        if given != needed {
            return Err(EngineError::Bytes { side, index, given, needed });
        }
    }
    Ok(())
}
