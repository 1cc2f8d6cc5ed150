//! A stage as the supervisor sees it: what it was given, how to reach it, and how it has fared.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::RestartPolicy;
use super::build::Seated;
use super::error::RunError;
use super::preparer::Job;
use super::wiring::{Command, Instance, Rewire, Ways, Wiring};
use super::worker::Worker;
use crate::bell::Ring;
use crate::channel::Edge;
use crate::slot::Stop;

/// Edges that go with a new wiring.
pub(super) struct Leaving {
    inputs: Vec<Arc<Edge>>,
    outputs: Vec<Arc<Edge>>,
}

/// A stage as the supervisor sees it.
pub(super) struct Seat {
    pub seated: Seated,
    pub commands: (Sender<Command>, Receiver<Command>),
    /// One for each new wiring that the thread has not taken yet.
    pub leaving: VecDeque<Leaving>,
    pub failures: VecDeque<u64>,
    pub hangs: u32,
    /// When the next instance is to be made.
    pub due_ns: Option<u64>,
    /// Since when one is being made.
    pub making_ns: Option<u64>,
    /// Counts what was asked of the preparing thread, to know the answer that still matters.
    pub turn: u64,
    /// A reload has taken it out: it ends with its inputs, and is no part of the next layout.
    pub leaves: bool,
    pub ended: bool,
}

impl Seat {
    pub fn new(seated: Seated) -> Self {
        Self {
            seated,
            commands: unbounded(),
            leaving: VecDeque::new(),
            failures: VecDeque::new(),
            hangs: 0,
            due_ns: None,
            making_ns: None,
            turn: 0,
            leaves: false,
            ended: false,
        }
    }

    pub fn spawn(&self, ways: &Ways, instance: Option<Instance>) -> Result<(), RunError> {
        let Seated { slot, wiring, .. } = &self.seated;
        let (slot, commands) = (Arc::clone(slot), self.commands.1.clone());
        let worker = Worker::new(slot, commands, ways.clone(), wiring.clone(), instance);
        worker
            .spawn()
            .map_err(|source| RunError::Thread { stage: self.seated.slot.name.clone(), source })
    }

    pub fn send(&self, command: Command) {
        let _ = self.commands.0.send(command);
        self.seated.slot.bell.ring(Ring::Command);
    }

    /// The thread has ended. An instance that was on its way to it is not needed.
    pub fn end(&mut self, ways: &Ways) {
        (self.ended, self.due_ns, self.making_ns) = (true, None, None);
        for command in self.commands.1.try_iter() {
            if let Command::Install(instance)
            | Command::Rewire(Rewire { instance: Some(instance), .. }) = command
            {
                let _ = ways.jobs.send(Job::Discard(instance));
            }
        }
    }

    /// How long to wait for the next attempt; `None` after too many within the window.
    pub fn next_attempt(&mut self, now: u64, policy: &RestartPolicy) -> Option<u64> {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let begin = now.saturating_sub(ns(policy.window));
        self.failures.retain(|failure| *failure >= begin);
        self.failures.push_back(now);
        let count = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        let pause = policy.first.saturating_mul(1_u32.checked_shl(count - 1).unwrap_or(u32::MAX));
        (count <= policy.limit).then(|| ns(pause.min(policy.most)))
    }

    /// A source's device may come back at any time, as a camera that is plugged in again: it is tried for ever.
    pub fn waits_for_its_device(&self) -> bool {
        self.seated.spec.holds_device && self.seated.wiring.inputs.is_empty()
    }

    /// Ends the stage: a source now, any other when its inputs have ended.
    pub fn leave(&mut self) {
        self.leaves = true;
        if self.seated.wiring.inputs.is_empty() {
            self.seated.slot.stop(Stop::Drain);
        } else if self.seated.slot.outlet().is_none() {
            self.send(Command::Hold);
        }
    }

    pub fn rewire(&mut self, wiring: &Wiring, instance: Option<Instance>, replace: bool) {
        let old = &self.seated.wiring;
        let stays = |edge: &Arc<Edge>| wiring.edges().any(|new| Arc::ptr_eq(new, edge));
        let inputs = old.inputs.iter().map(|(edge, _)| edge).filter(|edge| !stays(edge));
        let outputs = old.outputs.iter().flat_map(|port| &port.edges).filter(|edge| !stays(edge));
        let (inputs, outputs) = (inputs.cloned().collect(), outputs.cloned().collect());
        self.leaving.push_back(Leaving { inputs, outputs });
        let wiring = Box::new(wiring.clone());
        self.send(Command::Rewire(Rewire { wiring, instance, replace }));
    }

    /// Does for a thread that was given up what it would have done when it switched.
    pub fn drop_old_wiring(&mut self) {
        for Leaving { inputs, outputs } in self.leaving.drain(..) {
            for edge in inputs {
                edge.lose_held_back();
                edge.desert();
            }
            outputs.iter().for_each(|edge| edge.close());
        }
    }
}
