//! How a worker changes: a fault, a new instance, a new wiring, the end.
use std::sync::Arc;

use edgemill_abi::Reason;
use edgemill_linux::clock::monotonic_ns;

use super::{Step, Worker, way_past};
use crate::account::Loss;
use crate::channel::Edge;
use crate::run::inbox::Inbox;
use crate::run::preparer::Job;
use crate::run::supervisor::Report;
use crate::run::wiring::{Command, Instance, Rewire, Wiring};
use crate::slot::{State, Stop};
use crate::spec::OnFailure;
use crate::stage::{Stage, StageError};

impl Worker {
    /// The instance has failed: it goes, and the supervisor is told.
    pub(super) fn fail(&mut self, error: &StageError) -> Step {
        let bypass = self.wiring.on_failure == OnFailure::Bypass;
        self.slot.set_state(if bypass { State::Degraded } else { State::Restarting });
        if bypass {
            self.bypass = Some(way_past(&self.slot, &self.wiring));
        } else {
            self.attend(false);
        }
        if let Err(abandoned) = self.retire("the stage has failed") {
            return abandoned;
        }
        self.report(Report::Fault { slot: self.slot.id, error: error.to_string() });
        Step::Again
    }

    fn attend(&self, attended: bool) {
        self.inbox.edges().for_each(|edge| edge.attend(attended));
    }

    /// Safe state, deactivate, and off to the preparing thread to be destroyed.
    fn retire(&mut self, why: &str) -> Result<(), Step> {
        if self.apply_fail_safe(why) == Step::Abandoned {
            return Err(Step::Abandoned);
        }
        self.guarded(Stage::deactivate)?;
        if let Some(instance) = self.instance.take() {
            instance.outlet.clear();
            self.slot.set_outlet(None);
            let _ = self.ways.jobs.send(Job::Destroy(instance.stage));
        }
        Ok(())
    }

    /// The supervisor has given up on the instance, and with it on this thread: what it holds, it holds for good, since
    /// code that came back this late may still point to it.
    pub(super) fn forget(self) {
        std::mem::forget(self);
    }

    // Commands.

    pub(super) fn obey(&mut self) -> Step {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Install(instance) => {
                    // It was made for the newest wiring.
                    while self.instance.is_none() && !self.pending.is_empty() {
                        if self.switch() == Step::Abandoned {
                            return Step::Abandoned;
                        }
                    }
                    self.install(instance);
                }
                Command::Rewire(rewire) => self.pending.push_back(rewire),
                Command::FailSafe(why) => {
                    if self.apply_fail_safe(&why) == Step::Abandoned {
                        return Step::Abandoned;
                    }
                }
                Command::Hold => {
                    self.held = true;
                    self.attend(false);
                }
            }
        }
        Step::Again
    }

    pub(super) fn install(&mut self, instance: Instance) {
        if self.instance.is_some() {
            // Made for a fault that a reload has mended meanwhile.
            let _ = self.ways.jobs.send(Job::Discard(instance));
            return;
        }
        self.slot.set_outlet(Some(Arc::clone(&instance.outlet)));
        self.instance = Some(instance);
        self.bypass = None;
        self.held = false;
        self.safe = false;
        self.now_ns = monotonic_ns();
        self.last_input_ns = self.now_ns;
        self.timer_due_ns = self.now_ns.saturating_add(self.wiring.timer_ns);
        self.attend(true);
        self.slot.set_state(State::Running);
        self.report(Report::Running { slot: self.slot.id });
    }

    /// Whether there is a new wiring and every edge that goes with it has ended. Without an instance there is nobody to
    /// wait for.
    pub(super) fn can_switch(&self) -> bool {
        let Some(Rewire { wiring, .. }) = self.pending.front() else { return false };
        let vacant = self.instance.is_none() && self.bypass.is_none();
        vacant || self.inbox.edges().all(|edge| wiring.takes_from(edge) || edge.is_ended())
    }

    pub(super) fn switch(&mut self) -> Step {
        let Some(Rewire { wiring, instance, replace }) = self.pending.pop_front() else {
            return Step::Again;
        };
        if instance.is_some() || replace {
            let flushed = if self.is_source() { Step::Again } else { self.call(Reason::Flush) };
            if flushed == Step::Abandoned || self.retire("the stage is replaced").is_err() {
                return Step::Abandoned;
            }
        }
        self.rewire(*wiring);
        match instance {
            Some(instance) => self.install(instance),
            None if replace => self.report(Report::Vacant { slot: self.slot.id }),
            None => {}
        }
        self.report(Report::Switched { slot: self.slot.id });
        Step::Again
    }

    fn rewire(&mut self, wiring: Wiring) {
        self.inbox.discard_waiting();
        self.inbox.edges().filter(|edge| !wiring.takes_from(edge)).for_each(|edge| edge.desert());
        let goes = |edge: &&Arc<Edge>| {
            !wiring.outputs.iter().flat_map(|port| &port.edges).any(|new| Arc::ptr_eq(new, edge))
        };
        let old = self.wiring.outputs.iter().flat_map(|port| &port.edges);
        old.filter(goes).for_each(|edge| edge.close());
        self.inbox = Inbox::new(wiring.inputs.clone(), wiring.join);
        self.wiring = wiring;
        if let Some(instance) = &self.instance {
            instance.outlet.rewire(self.wiring.outputs.clone());
        }
        if self.bypass.is_some() {
            self.bypass = Some(way_past(&self.slot, &self.wiring));
        }
        self.timer_due_ns = self.now_ns.saturating_add(self.wiring.timer_ns);
        self.settle();
    }

    // The end.

    pub(super) fn end(mut self, stop: Option<Stop>) {
        if stop == Some(Stop::Drop) {
            self.inbox.discard(Loss::Stopped);
        } else if !self.is_source() && self.call(Reason::Flush) == Step::Abandoned {
            return self.forget();
        }
        // A join that ends without an instance has nobody to give them to.
        self.inbox.discard_waiting();
        self.attend(false);
        if self.retire("the pipeline stops").is_err() {
            return self.forget();
        }
        let outputs = self.wiring.outputs.iter().flat_map(|port| &port.edges);
        outputs.for_each(|edge| edge.close());
        if !self.held {
            self.slot.set_state(State::Stopped);
        }
        self.report(Report::Ended { slot: self.slot.id });
    }
}
