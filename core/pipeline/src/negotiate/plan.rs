//! What was agreed: every format fixed, every pool's depth, for the runtime to build and for people to read.
use std::fmt;

use super::graph::PortId;
use crate::format::{Format, describe};
use crate::spec::Overflow;

/// One output port, fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputPlan {
    /// Its name.
    pub port: String,
    /// Of every packet that leaves it.
    pub format: Format,
    /// Buffers or emits in one call, at most.
    pub burst: u32,
    /// Buffers in its pool; 0 for events.
    pub buffers: u32,
    /// Bytes of each.
    pub buffer_bytes: u64,
}

/// One input port, fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPlan {
    /// Its name.
    pub port: String,
    /// Of every packet that comes in.
    pub format: Format,
    /// Packets the stage may keep after a call.
    pub held: u32,
}

/// One stage, its ports fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct StagePlan {
    /// Its name.
    pub name: String,
    /// In the order of the stage's own ports.
    pub inputs: Vec<InputPlan>,
    /// In the order of the stage's own ports.
    pub outputs: Vec<OutputPlan>,
    /// How often it is called by the clock; 0 for never.
    pub timer_ns: u64,
}

/// One edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgePlan {
    /// The output port it begins at.
    pub from: PortId,
    /// The input port it ends at.
    pub to: PortId,
    /// What happens when it is full.
    pub overflow: Overflow,
    /// Packets that may wait.
    pub capacity: u32,
}

/// A pipeline, agreed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Of the pipeline.
    pub name: String,
    /// In the order of the [`crate::spec::Spec`].
    pub stages: Vec<StagePlan>,
    /// In the order of the stages and ports that receive.
    pub edges: Vec<EdgePlan>,
    /// Indices of the stages, each after those it takes inputs from.
    pub order: Vec<usize>,
}

impl Plan {
    /// Bytes of all pools, were every buffer touched.
    #[must_use]
    pub fn pool_bytes(&self) -> u64 {
        let outputs = self.stages.iter().flat_map(|stage| &stage.outputs);
        outputs.map(|output| output.buffer_bytes * u64::from(output.buffers)).sum()
    }

    /// `stage.port` of an edge's beginning.
    #[must_use]
    pub fn giver(&self, from: PortId) -> String {
        let stage = &self.stages[from.stage];
        format!("{}.{}", stage.name, stage.outputs[from.port].port)
    }

    /// `stage.port` of an edge's end.
    #[must_use]
    pub fn taker(&self, to: PortId) -> String {
        let stage = &self.stages[to.stage];
        format!("{}.{}", stage.name, stage.inputs[to.port].port)
    }

    /// Edges that begin at this port.
    pub(crate) fn edges_from(&self, from: PortId) -> impl Iterator<Item = (usize, &EdgePlan)> {
        self.edges.iter().enumerate().filter(move |(_, edge)| edge.from == from)
    }

    /// Edges that end at this stage, in the order of its ports.
    pub(crate) fn edges_to(&self, stage: usize) -> impl Iterator<Item = (usize, &EdgePlan)> {
        self.edges.iter().enumerate().filter(move |(_, edge)| edge.to.stage == stage)
    }
}

impl fmt::Display for Plan {
    /// One line for each output and, below it, one for each edge that begins there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pipeline {}", self.name)?;
        for &stage in &self.order {
            for port in 0..self.stages[stage].outputs.len() {
                self.show_output(f, PortId { stage, port })?;
            }
            if self.stages[stage].outputs.is_empty() {
                writeln!(f, "  {}: the end", self.stages[stage].name)?;
            }
        }
        write!(f, "  pools {:.1} MiB at most", mebibytes(self.pool_bytes()))
    }
}

impl Plan {
    fn show_output(&self, f: &mut fmt::Formatter<'_>, id: PortId) -> fmt::Result {
        let output = &self.stages[id.stage].outputs[id.port];
        write!(f, "  {}: {}", self.giver(id), describe(&output.format))?;
        match output.buffers {
            0 => writeln!(f, ", no buffers")?,
            count => writeln!(f, ", {count} buffers of {} bytes", output.buffer_bytes)?,
        }
        for (_, edge) in self.edges_from(id) {
            let (taker, policy) = (self.taker(edge.to), edge.overflow.word());
            writeln!(f, "    → {taker} ({policy}, {} waiting)", edge.capacity)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
