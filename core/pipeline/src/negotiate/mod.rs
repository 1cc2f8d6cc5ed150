//! From what each port can take or give to one format for each edge and one depth for each pool: a pure function.
//!
//! Each output is fixed from what lies in its own ranges and in those of everyone who takes its packets. A consumer's
//! order of preference goes before the producer's; what is still open takes the largest value that all allow. Only the
//! frame of detections does not: boxes that may refer to frames of any size refer to the picture that they are made
//! from, the nearest on the way up.
//!
//! Depth of a pool = burst + Σ over consumers (capacity + 1 + held), plus what a hung consumer, or a hung instance of the
//! stage itself, could keep for good. A stage that could hand an input on unchanged (a format in is a format out) lets
//! the buffer live on its own edges too, and those count as well. A join's inputs may wait once on the channel and
//! once for their partners.
mod error;
mod graph;
mod plan;
mod ranges;

use edgemill_abi::Format;
use edgemill_abi::raw::FormatRange;

pub use error::PlanError;
pub use graph::PortId;
pub use plan::{EdgePlan, InputPlan, OutputPlan, Plan, StagePlan};
pub use ranges::contains;

use crate::format::describe;
use crate::spec::{OnFailure, Overflow, Spec, StageSpec};
use crate::stage::{Port, Ports};
use graph::Link;

/// Hangs that a stage survives; at the next the process ends, and all is free.
pub(crate) const SURVIVED_HANGS: u32 = 2;

/// Combinations of ranges looked at for one port, so that a list without end costs no more than this.
const MOST_CANDIDATES: usize = 1024;

/// Input ports of one stage: what a call can hand over without allocating.
pub(crate) const MOST_INPUTS: usize = 16;

/// Buffers of one pool: far more than any pipeline keeps in flight.
const MOST_BUFFERS: u64 = 1 << 16;

/// Agrees on formats and depths. `ports` has what each stage of the spec says, in the same order.
///
/// # Errors
/// What does not fit, with the stage to look at.
pub fn negotiate(spec: &Spec, ports: &[Ports]) -> Result<Plan, PlanError> {
    if spec.stages.is_empty() {
        return Err(PlanError::NoStages);
    }
    spec.stages.iter().zip(ports).try_for_each(|(stage, ports)| check_ports(stage, ports))?;
    let links = graph::links(spec, ports)?;
    let order = graph::order(spec, &links)?;
    let negotiation = Negotiation { spec, ports, links: &links };
    let formats = negotiation.formats(&order)?;
    let mut plan = negotiation.plan(&formats, order);
    for stage in 0..spec.stages.len() {
        check_bypass(&spec.stages[stage], &plan.stages[stage])?;
        size_pools(spec, &mut plan, stage)?;
    }
    Ok(plan)
}

fn check_ports(stage: &StageSpec, ports: &Ports) -> Result<(), PlanError> {
    if ports.inputs.is_empty() && ports.outputs.is_empty() {
        return Err(PlanError::NoPorts { stage: stage.name.clone() });
    }
    if let Some(port) = ports.inputs.get(MOST_INPUTS) {
        let (stage, port) = (stage.name.clone(), port.name.escape_debug().take(64).collect());
        return Err(PlanError::BadPort {
            stage,
            port,
            problem: "is the 17th input; 16 are the most",
        });
    }
    let inputs = ports.inputs.iter().map(|port| (port, problem(&ports.inputs, port, false)));
    let outputs = ports.outputs.iter().map(|port| (port, problem(&ports.outputs, port, true)));
    match inputs.chain(outputs).find_map(|(port, problem)| Some((port, problem?))) {
        None => Ok(()),
        Some((port, problem)) => {
            let port = port.name.escape_debug().take(64).collect();
            Err(PlanError::BadPort { stage: stage.name.clone(), port, problem })
        }
    }
}

fn problem(all: &[Port], port: &Port, is_output: bool) -> Option<&'static str> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if port.name.is_empty() || port.name.len() > 48 || !port.name.chars().all(named) {
        return Some("is not named by 1 to 48 letters, digits, `-` and `_`");
    }
    if all.iter().filter(|other| other.name == port.name).count() > 1 {
        return Some("has the name of another port on the same side");
    }
    if port.ranges.is_empty() {
        return Some("lists no format");
    }
    if is_output && port.burst == 0 {
        return Some("has a burst of 0, so that it could never emit");
    }
    None
}

struct Negotiation<'a> {
    spec: &'a Spec,
    ports: &'a [Ports],
    links: &'a [Link],
}

impl Negotiation<'_> {
    /// For each stage, the format of each output. `order` has every stage after those it takes its inputs from.
    fn formats(&self, order: &[usize]) -> Result<Vec<Vec<Format>>, PlanError> {
        let mut formats = vec![Vec::new(); self.ports.len()];
        let mut frames = vec![None; self.ports.len()];
        for &stage in order {
            frames[stage] = self.frame(stage, &formats, &frames);
            let ports = 0..self.ports[stage].outputs.len();
            let agreed = ports.map(|port| self.agree(PortId { stage, port }, frames[stage]));
            formats[stage] = agreed.collect::<Result<_, _>>()?;
        }
        Ok(formats)
    }

    /// Width and height of the picture that a stage works on, or that what it works on was made from; `None` where there
    /// is none, or several of different sizes. The stages above it have their formats and frames.
    fn frame(
        &self,
        stage: usize,
        formats: &[Vec<Format>],
        frames: &[Option<(u32, u32)>],
    ) -> Option<(u32, u32)> {
        let inputs = self.links.iter().filter(|link| link.to.stage == stage);
        let mut found = inputs.filter_map(|link| match &formats[link.from.stage][link.from.port] {
            Format::Image(image) => Some((image.width(), image.height())),
            Format::Detections(boxes) => Some(boxes.frame()),
            _ => frames[link.from.stage],
        });
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// One format that the output can give and all its consumers can take. `frame` is what detections refer to, where
    /// the output leaves that open.
    fn agree(&self, from: PortId, frame: Option<(u32, u32)>) -> Result<Format, PlanError> {
        let output = &self.ports[from.stage].outputs[from.port];
        let mut candidates = output.ranges.clone();
        candidates.iter_mut().for_each(|range| ranges::refer_to(range, frame));
        let mut last = None;
        for link in self.links.iter().filter(|link| link.from == from) {
            let input = &self.ports[link.to.stage].inputs[link.to.port];
            let common = common(&input.ranges, &candidates);
            if common.is_empty() {
                return Err(self.mismatch(link, input, &candidates));
            }
            (candidates, last) = (common, Some(link));
        }
        let mut fixed = candidates.iter().map(ranges::fix);
        match (fixed.find(Result::is_ok), ranges::fix(&candidates[0]), last) {
            (Some(Ok(format)), ..) | (_, Ok(format), _) => Ok(format),
            (_, Err(source), link) => {
                let stage = link.map_or(from.stage, |link| link.to.stage);
                Err(PlanError::NoFormat {
                    stage: self.spec.stages[stage].name.clone(),
                    giver: self.giver(from),
                    taker: link.map(|link| self.taker(link.to)).unwrap_or_default(),
                    agreed: ranges::describe(&candidates),
                    source: Box::new(source),
                })
            }
        }
    }

    fn mismatch(&self, link: &Link, input: &Port, candidates: &[FormatRange]) -> PlanError {
        PlanError::Mismatch {
            stage: self.spec.stages[link.to.stage].name.clone(),
            taker: self.taker(link.to),
            takes: ranges::describe(&input.ranges),
            giver: self.giver(link.from),
            gives: ranges::describe(candidates),
        }
    }

    fn giver(&self, id: PortId) -> String {
        let port = &self.ports[id.stage].outputs[id.port].name;
        format!("{}.{port}", self.spec.stages[id.stage].name)
    }

    fn taker(&self, id: PortId) -> String {
        let port = &self.ports[id.stage].inputs[id.port].name;
        format!("{}.{port}", self.spec.stages[id.stage].name)
    }

    /// All of the plan but the depths of the pools.
    fn plan(&self, formats: &[Vec<Format>], order: Vec<usize>) -> Plan {
        let format_of = |id: PortId| formats[id.stage][id.port];
        let stages = self.spec.stages.iter().zip(self.ports).enumerate();
        let stages = stages.map(|(stage, (spec, ports))| StagePlan {
            name: spec.name.clone(),
            inputs: self
                .links
                .iter()
                .filter(|link| link.to.stage == stage)
                .zip(&ports.inputs)
                .map(|(link, port)| InputPlan {
                    port: port.name.clone(),
                    format: format_of(link.from),
                    held: port.held,
                })
                .collect(),
            outputs: ports
                .outputs
                .iter()
                .zip(&formats[stage])
                .map(|(port, format)| OutputPlan {
                    port: port.name.clone(),
                    format: *format,
                    burst: port.burst,
                    buffers: 0,
                    buffer_bytes: format.buffer_bytes(),
                })
                .collect(),
            timer_ns: ports.timer_ns,
        });
        let edges = self.links.iter().map(|link| {
            let spec = &self.spec.stages[link.to.stage].inputs[link.spec];
            let kind = format_of(link.from).kind();
            let overflow = spec.overflow.unwrap_or_else(|| Overflow::for_kind(kind));
            let capacity = if overflow == Overflow::Latest { 1 } else { spec.capacity.max(1) };
            EdgePlan { from: link.from, to: link.to, overflow, capacity }
        });
        let edges = edges.collect();
        Plan { name: self.spec.name.clone(), stages: stages.collect(), edges, order }
    }
}

/// What both lists have in common, by the consumer's preference first.
fn common(takes: &[FormatRange], gives: &[FormatRange]) -> Vec<FormatRange> {
    let pairs = takes.iter().flat_map(|take| gives.iter().map(move |give| (give, take)));
    pairs.filter_map(|(give, take)| ranges::intersect(give, take)).take(MOST_CANDIDATES).collect()
}

fn check_bypass(spec: &StageSpec, plan: &StagePlan) -> Result<(), PlanError> {
    if spec.on_failure != OnFailure::Bypass {
        return Ok(());
    }
    let has = match (plan.inputs.as_slice(), plan.outputs.as_slice()) {
        ([input], [output]) if input.format == output.format => return Ok(()),
        ([input], [output]) => {
            format!("{} in and {} out", describe(&input.format), describe(&output.format))
        }
        (inputs, outputs) => format!("{} inputs and {} outputs", inputs.len(), outputs.len()),
    };
    Err(PlanError::Bypass { stage: spec.name.clone(), has })
}

fn size_pools(spec: &Spec, plan: &mut Plan, stage: usize) -> Result<(), PlanError> {
    for port in 0..plan.stages[stage].outputs.len() {
        let depth = depth(spec, plan, PortId { stage, port });
        let output = &mut plan.stages[stage].outputs[port];
        if output.buffer_bytes == 0 {
            continue;
        }
        let fits = output.buffer_bytes.checked_mul(depth).is_some_and(|all| all < 1 << 40);
        let buffers = u32::try_from(depth).ok().filter(|_| depth <= MOST_BUFFERS && fits);
        output.buffers = buffers.ok_or_else(|| PlanError::TooLarge {
            stage: spec.stages[stage].name.clone(),
            port: output.port.clone(),
            buffers: depth,
            bytes: output.buffer_bytes,
        })?;
    }
    Ok(())
}

/// Instances of a stage that may be about at once: the one at work, and those abandoned.
fn instances(stage: &StageSpec) -> u64 {
    let hangs = !stage.holds_device && !stage.hang.is_zero();
    1 + if hangs { u64::from(SURVIVED_HANGS) } else { 0 }
}

fn depth(spec: &Spec, plan: &Plan, from: PortId) -> u64 {
    let burst = u64::from(plan.stages[from.stage].outputs[from.port].burst);
    let format = plan.stages[from.stage].outputs[from.port].format;
    burst * instances(&spec.stages[from.stage]) + downstream(spec, plan, from, &format)
}

/// Buffers of this format that can be beyond this port. Ends because the graph has no circle.
fn downstream(spec: &Spec, plan: &Plan, from: PortId, format: &Format) -> u64 {
    let edges = plan.edges_from(from).map(|(_, edge)| {
        let consumer = &plan.stages[edge.to.stage];
        let capacity = u64::from(edge.capacity);
        let partners = if consumer.inputs.len() > 1 { capacity } else { 0 };
        let held = 1 + u64::from(consumer.inputs[edge.to.port].held) + partners;
        let outputs = consumer.outputs.iter().enumerate();
        let handed_on = outputs
            .filter(|(_, output)| output.format == *format)
            .map(|(port, _)| downstream(spec, plan, PortId { stage: edge.to.stage, port }, format));
        capacity + held * instances(&spec.stages[edge.to.stage]) + handed_on.sum::<u64>()
    });
    edges.sum()
}

#[cfg(test)]
mod tests;
