//! What a stage's thread is given: its instance, how it is connected and treated, and whom it talks to.
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::preparer::Job;
use super::supervisor::Report;
use crate::channel::Edge;
use crate::outlet::{OutPort, Outlet};
use crate::spec::{Join, OnFailure, StageSpec};
use crate::stage::Stage;

/// A stage's instance, ready to be called.
pub(super) struct Instance {
    pub stage: Box<dyn Stage>,
    pub outlet: Arc<Outlet>,
}

/// How a stage is connected and treated.
#[derive(Clone, Debug)]
pub(super) struct Wiring {
    /// The edge of each input port, and how many of its packets may wait for partners.
    pub inputs: Vec<(Arc<Edge>, usize)>,
    pub outputs: Vec<OutPort>,
    pub held: Vec<u32>,
    pub timer_ns: u64,
    pub join: Join,
    pub stale_ns: u64,
    pub on_failure: OnFailure,
    pub deadline_ns: u64,
    pub cores: Vec<usize>,
    pub priority: Option<u8>,
}

impl Wiring {
    pub fn new(
        spec: &StageSpec,
        allowed: &[usize],
        timer_ns: u64,
        held: Vec<u32>,
        inputs: Vec<(Arc<Edge>, usize)>,
        outputs: Vec<OutPort>,
    ) -> Self {
        let ns = |time: Option<Duration>| {
            time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
        };
        Self {
            inputs,
            outputs,
            held,
            timer_ns,
            join: spec.join,
            stale_ns: ns(spec.stale),
            on_failure: spec.on_failure,
            deadline_ns: ns(spec.deadline),
            cores: if spec.cpu.is_empty() { allowed.to_vec() } else { spec.cpu.clone() },
            priority: spec.priority,
        }
    }

    /// All edges, in and out.
    pub fn edges(&self) -> impl Iterator<Item = &Arc<Edge>> {
        let outputs = self.outputs.iter().flat_map(|port| &port.edges);
        self.inputs.iter().map(|(edge, _)| edge).chain(outputs)
    }

    /// Whether packets come in by this edge.
    pub fn takes_from(&self, edge: &Arc<Edge>) -> bool {
        self.inputs.iter().any(|(input, _)| Arc::ptr_eq(input, edge))
    }

    /// Whether a thread would notice no difference.
    pub fn is_same(&self, other: &Self) -> bool {
        let pools = |wiring: &Self| -> Vec<_> {
            let pools = wiring.outputs.iter().map(|port| port.pool.as_ref().map(Arc::as_ptr));
            pools.collect()
        };
        let edges = |wiring: &Self| wiring.edges().map(Arc::as_ptr).collect::<Vec<_>>();
        let rest = |wiring: &Self| {
            let Self { timer_ns, join, stale_ns, deadline_ns, on_failure, priority, .. } = *wiring;
            (timer_ns, join, stale_ns, deadline_ns, on_failure, priority)
        };
        edges(self) == edges(other)
            && pools(self) == pools(other)
            && rest(self) == rest(other)
            && self.cores == other.cores
    }
}

/// Where a thread's words go.
#[derive(Clone)]
pub(super) struct Ways {
    pub reports: Sender<Report>,
    pub jobs: Sender<Job>,
}

/// A change of a stage.
pub(super) struct Rewire {
    pub wiring: Box<Wiring>,
    /// Takes the place of the old instance.
    pub instance: Option<Instance>,
    /// The old instance goes, and another is made when it has gone.
    pub replace: bool,
}

/// What a thread is told between two calls.
pub(super) enum Command {
    /// A new instance after a fault.
    Install(Instance),
    /// New edges, and perhaps a new instance.
    Rewire(Rewire),
    /// Apply the safe state: a stage upstream is held.
    FailSafe(String),
    /// No instance will come any more.
    Hold,
}
