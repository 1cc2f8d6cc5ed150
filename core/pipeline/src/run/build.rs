//! From a spec to stages that are ready to run: prepare, negotiate, make pools and edges, activate. Runs on the preparing
//! thread. A start builds on nothing, a reload on what runs; either changes nothing that runs until all of it has
//! worked.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use edgemill_abi::Format;
use edgemill_linux::sched;

use super::Factory;
use super::error::RunError;
use super::preparer::discard;
use super::wiring::{Instance, Wiring};
use super::worker::panic_text;
use crate::channel::Edge;
use crate::negotiate::{EdgePlan, Plan, PortId, StagePlan, contains, negotiate};
use crate::outlet::{OutPort, Outlet};
use crate::pool::Pool;
use crate::slot::Slot;
use crate::spec::{Spec, StageSpec};
use crate::stage::{Port, Ports, Stage, StageError};

/// A stage of a pipeline that runs, as a reload finds it.
#[derive(Clone)]
pub(super) struct Seated {
    pub slot: Arc<Slot>,
    pub spec: StageSpec,
    pub ports: Ports,
    pub plan: StagePlan,
    pub wiring: Wiring,
    /// An instance serves it.
    pub alive: bool,
}

/// A stage of the pipeline that is to run.
pub(super) struct Seating {
    pub seated: Seated,
    /// It was there before.
    pub stays: bool,
    /// Takes over; `None` where the old instance stays or [`Seating::replace`] says otherwise.
    pub instance: Option<Instance>,
    /// The old instance has to go before a new one can be made.
    pub replace: bool,
    /// Nothing serves it now, so that it may begin without its device.
    pub may_wait: bool,
    /// There is no instance yet, since its device is absent: this is what it says.
    pub absent: Option<String>,
}

/// A pipeline that is to run.
pub(super) struct Layout {
    pub plan: Plan,
    pub seatings: Vec<Seating>,
    pub edges: Vec<Arc<Edge>>,
}

/// Makes all that `spec` asks for and `current` does not have yet.
pub(super) fn build(
    spec: &Spec,
    factory: &mut dyn Factory,
    current: &[Seated],
) -> Result<Layout, RunError> {
    let allowed = sched::affinity().map_err(RunError::Cores)?;
    check_cores(spec, &allowed)?;
    let of = |name: &str| current.iter().find(|seated| seated.slot.name == name);
    let mut candidates = Vec::new();
    for stage in &spec.stages {
        candidates.push(Candidate::find(stage, factory, of(&stage.name))?);
    }
    let ports: Vec<_> = candidates.iter().map(|candidate| candidate.ports.clone()).collect();
    let plan = negotiate(spec, &ports)?;
    for ((candidate, stage), planned) in candidates.iter_mut().zip(&spec.stages).zip(&plan.stages) {
        candidate.renew_if_changed(stage, planned, factory)?;
    }
    let slots: Vec<_> = candidates.iter().map(Candidate::slot).collect();
    let edges: Vec<_> =
        plan.edges.iter().map(|edge| make_edge(&plan, edge, &slots, &candidates)).collect();
    let mut seatings = Vec::new();
    let mut fresh = Vec::new();
    for (index, mut candidate) in candidates.into_iter().enumerate() {
        fresh.push(candidate.fresh.take().filter(|_| !candidate.replace));
        let slot = Arc::clone(&slots[index]);
        let settings = (&spec.stages[index], allowed.as_slice());
        seatings.push(candidate.seat(slot, settings, (&plan, index), &edges)?);
    }
    activate_all(&mut seatings, fresh)?;
    Ok(Layout { plan, seatings, edges })
}

/// Cores that this process may not use are found here, before anything is touched.
fn check_cores(spec: &Spec, allowed: &[usize]) -> Result<(), RunError> {
    for stage in &spec.stages {
        if let Some(core) = stage.cpu.iter().find(|core| !allowed.contains(core)) {
            let why = format!("core {core} is not among those it may use, {allowed:?}");
            return Err(RunError::Pin { stage: stage.name.clone(), why });
        }
    }
    Ok(())
}

/// Where a stage's instance is to come from.
struct Candidate<'a> {
    old: Option<&'a Seated>,
    ports: Ports,
    fresh: Option<Box<dyn Stage>>,
    replace: bool,
    name: String,
}

impl<'a> Candidate<'a> {
    fn find(
        stage: &StageSpec,
        factory: &mut dyn Factory,
        old: Option<&'a Seated>,
    ) -> Result<Self, RunError> {
        let name = stage.name.clone();
        match old.filter(|old| old.alive && old.spec.kind == stage.kind) {
            Some(same) => {
                Ok(Self { old, ports: same.ports.clone(), fresh: None, replace: false, name })
            }
            None => {
                let fresh = prepare(stage, factory)?;
                let replace = old.is_some_and(|old| old.alive && old.spec.holds_device);
                Ok(Self { old, ports: fresh.ports().clone(), fresh: Some(fresh), replace, name })
            }
        }
    }

    /// An instance is activated for its formats once, so other formats need another instance.
    fn renew_if_changed(
        &mut self,
        stage: &StageSpec,
        planned: &StagePlan,
        factory: &mut dyn Factory,
    ) -> Result<(), RunError> {
        let Some(old) = self.old.filter(|_| self.fresh.is_none()) else { return Ok(()) };
        if formats(&old.plan) == formats(planned) {
            return Ok(());
        }
        self.replace = old.spec.holds_device;
        if !self.replace {
            self.fresh = Some(prepare(stage, factory)?);
        }
        Ok(())
    }

    /// Everything about the stage but its instance.
    fn seat(
        self,
        slot: Arc<Slot>,
        (spec, allowed): (&StageSpec, &[usize]),
        (plan, index): (&Plan, usize),
        edges: &[Arc<Edge>],
    ) -> Result<Seating, RunError> {
        let planned = &plan.stages[index];
        let inputs = plan.edges_to(index);
        let inputs = inputs.map(|(edge, of)| (Arc::clone(&edges[edge]), of.capacity as usize));
        let outputs = make_outputs(plan, index, self.old, edges)?;
        let held = planned.inputs.iter().map(|input| input.held).collect();
        let wiring = Wiring::new(spec, allowed, planned.timer_ns, held, inputs.collect(), outputs);
        let (stays, replace) = (self.old.is_some(), self.replace);
        let may_wait = self.old.is_none_or(|old| !old.alive);
        let (spec, plan) = (spec.clone(), planned.clone());
        let seated = Seated { slot, spec, ports: self.ports, plan, wiring, alive: true };
        Ok(Seating { seated, stays, instance: None, replace, may_wait, absent: None })
    }

    fn slot(&self) -> Arc<Slot> {
        self.old.map_or_else(|| Arc::new(Slot::new(self.name.clone())), |old| Arc::clone(&old.slot))
    }
}

fn formats(plan: &StagePlan) -> (Vec<Format>, Vec<Format>) {
    let inputs = plan.inputs.iter().map(|input| input.format).collect();
    (inputs, plan.outputs.iter().map(|output| output.format).collect())
}

/// The edge that is there, if nothing about it changes; else a new one.
fn make_edge(
    plan: &Plan,
    edge: &EdgePlan,
    slots: &[Arc<Slot>],
    candidates: &[Candidate<'_>],
) -> Arc<Edge> {
    let names = (plan.giver(edge.from), plan.taker(edge.to));
    let output = &plan.stages[edge.from.stage].outputs[edge.from.port];
    let old = candidates[edge.from.stage].old.zip(candidates[edge.to.stage].old);
    let same = old.and_then(|(from, _)| {
        let port = from.plan.outputs.iter().position(|port| port.port == output.port)?;
        let same_format = from.plan.outputs[port].format == output.format;
        let edges = &from.wiring.outputs[port].edges;
        edges.iter().find(|old| same_format && old.is(&names, edge.overflow, edge.capacity))
    });
    same.cloned().unwrap_or_else(|| {
        let (producer, consumer) = (&slots[edge.from.stage].bell, &slots[edge.to.stage].bell);
        let (producer, consumer) = (Arc::clone(producer), Arc::clone(consumer));
        Arc::new(Edge::new(names, edge.overflow, edge.capacity as usize, producer, consumer))
    })
}

fn make_outputs(
    plan: &Plan,
    stage: usize,
    old: Option<&Seated>,
    edges: &[Arc<Edge>],
) -> Result<Vec<OutPort>, RunError> {
    let outputs = plan.stages[stage].outputs.iter().enumerate();
    outputs
        .map(|(port, output)| {
            let before = old.and_then(|old| {
                let port = old.plan.outputs.iter().position(|port| port.port == output.port)?;
                Some((&old.plan.outputs[port], &old.wiring.outputs[port]))
            });
            let same = before.filter(|(planned, _)| {
                planned.format == output.format && planned.buffers == output.buffers
            });
            let name = plan.giver(PortId { stage, port });
            let pool = match (output.buffers, same) {
                (0, _) => None,
                (_, Some((_, before))) => before.pool.clone(),
                (count, None) => {
                    Some(Pool::new(&name, output.buffer_bytes, count).map_err(|source| {
                        RunError::Pool {
                            stage: plan.stages[stage].name.clone(),
                            port: name,
                            source,
                        }
                    })?)
                }
            };
            let generation = match before {
                None => 0,
                Some((planned, before)) => {
                    before.generation + u32::from(planned.format != output.format)
                }
            };
            let sequence = before.map(|(_, before)| Arc::clone(&before.sequence));
            let from = PortId { stage, port };
            Ok(OutPort {
                format: output.format,
                generation,
                burst: output.burst,
                pool,
                edges: plan.edges_from(from).map(|(edge, _)| Arc::clone(&edges[edge])).collect(),
                sequence: sequence.unwrap_or_else(|| Arc::new(AtomicU64::new(0))),
            })
        })
        .collect()
}

/// Runs the factory, whose plugins may panic.
fn prepare(spec: &StageSpec, factory: &mut dyn Factory) -> Result<Box<dyn Stage>, RunError> {
    let prepared = catch_unwind(AssertUnwindSafe(|| factory.prepare(spec)));
    prepared
        .unwrap_or_else(|panic| Err(StageError(panic_text(&*panic))))
        .map_err(|source| RunError::Prepare { stage: spec.name.clone(), source })
}

/// All of them, or none. A stage that does not run yet may wait for its device: a camera that comes late does not keep the
/// rest of a box from running, or from being changed.
fn activate_all(
    seatings: &mut [Seating],
    fresh: Vec<Option<Box<dyn Stage>>>,
) -> Result<(), RunError> {
    for (index, stage) in fresh.into_iter().enumerate() {
        let Some(stage) = stage else { continue };
        match activate(&seatings[index].seated, stage) {
            Ok(instance) => seatings[index].instance = Some(instance),
            Err(error @ RunError::Activate { absent: true, .. }) if seatings[index].may_wait => {
                seatings[index].absent = Some(error.to_string());
            }
            Err(error) => {
                seatings.iter_mut().filter_map(|s| s.instance.take()).for_each(discard);
                return Err(error);
            }
        }
    }
    Ok(())
}

fn activate(seated: &Seated, mut stage: Box<dyn Stage>) -> Result<Instance, RunError> {
    let outlet = Arc::new(Outlet::new(
        Arc::clone(&seated.slot),
        &seated.wiring.held,
        seated.wiring.outputs.clone(),
    ));
    let (inputs, outputs) = formats(&seated.plan);
    let way = Arc::clone(&outlet);
    let activated = on_cores(&seated.wiring.cores, || {
        catch_unwind(AssertUnwindSafe(|| stage.activate(&inputs, &outputs, way)))
            .unwrap_or_else(|panic| Err(StageError(panic_text(&*panic))))
    });
    activated.map_err(|source| RunError::Activate {
        stage: seated.slot.name.clone(),
        source,
        absent: stage.awaits_device(),
    })?;
    Ok(Instance { stage, outlet })
}

/// Threads that an instance makes inherit the cores of the one that makes them: they belong where the stage runs. That the
/// stage cannot be there is for its own thread to report.
fn on_cores<T>(cores: &[usize], run: impl FnOnce() -> T) -> T {
    let before = sched::affinity().ok();
    let moved = before.is_some() && sched::set_affinity(cores).is_ok();
    let done = run();
    if let Some(before) = before.filter(|_| moved) {
        let _ = sched::set_affinity(&before);
    }
    done
}

/// A new instance for a stage that runs already, for the formats it has.
pub(super) fn remake(seated: &Seated, factory: &mut dyn Factory) -> Result<Instance, RunError> {
    let stage = prepare(&seated.spec, factory)?;
    let suits = |ports: &[Port], planned: Vec<(&str, Format)>| {
        ports.len() == planned.len()
            && ports.iter().zip(planned).all(|(port, (name, format))| {
                port.name == name && port.ranges.iter().any(|range| contains(range, &format))
            })
    };
    let inputs = seated.plan.inputs.iter().map(|input| (input.port.as_str(), input.format));
    let outputs = seated.plan.outputs.iter().map(|output| (output.port.as_str(), output.format));
    let ports = stage.ports();
    if suits(&ports.inputs, inputs.collect()) && suits(&ports.outputs, outputs.collect()) {
        return activate(seated, stage);
    }
    let source = StageError(
        "its ports or formats are no longer those the pipeline runs with; reload the pipeline"
            .into(),
    );
    Err(RunError::Activate { stage: seated.slot.name.clone(), source, absent: false })
}

/// What a pipeline would be: prepares every stage, negotiates, and lets all go again.
pub(super) fn plan(spec: &Spec, factory: &mut dyn Factory) -> Result<Plan, RunError> {
    let stages: Result<Vec<_>, _> =
        spec.stages.iter().map(|stage| prepare(stage, factory)).collect();
    let ports: Vec<_> = stages?.iter().map(|stage| stage.ports().clone()).collect();
    Ok(negotiate(spec, &ports)?)
}
