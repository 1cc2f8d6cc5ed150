//! What becomes of a stage that failed: another instance after a pause, or none, and the safe state of all below it.
use std::sync::Arc;

use edgemill_linux::clock::monotonic_ns;

use super::super::Event;
use super::super::error::RunError;
use super::super::preparer::Job;
use super::super::wiring::{Command, Instance};
use super::Supervisor;
use crate::slot::{State, Stop};
use crate::spec::OnFailure;

impl Supervisor {
    pub(super) fn failed(&mut self, seat: usize, why: String) {
        // An attempt that fails as the one before is no news.
        if self.shared.why(self.seats[seat].seated.slot.id).as_ref() != Some(&why) {
            self.tell_state(seat, Some(why.clone()));
        }
        if self.stopping.is_some() {
            return self.seats[seat].send(Command::Hold);
        }
        if self.seats[seat].seated.spec.on_failure == OnFailure::Halt {
            let stage = self.seats[seat].seated.slot.name.clone();
            self.tell(Event::Halted { stage, why });
            return self.stop(Stop::Drop);
        }
        let policy = self.options.restart;
        let now = monotonic_ns();
        let pause = match self.seats[seat].next_attempt(now, &policy) {
            Some(pause) => pause,
            None if self.seats[seat].waits_for_its_device() => {
                self.make_safe_below(seat, "waits for its device");
                u64::try_from(policy.most.as_nanos()).unwrap_or(u64::MAX)
            }
            None => return self.hold(seat, &format!("failed too often, at last: {why}")),
        };
        self.seats[seat].due_ns = Some(now.saturating_add(pause));
    }

    /// No more attempts. A stage that can be bypassed stays so; any other throws away what comes.
    pub(super) fn hold(&mut self, seat: usize, why: &str) {
        let held = &self.seats[seat];
        if held.seated.spec.on_failure != OnFailure::Bypass {
            held.seated.slot.set_state(State::Held);
            held.send(Command::Hold);
            self.make_safe_below(seat, "is held");
        }
        self.tell_state(seat, Some(why.to_owned()));
    }

    /// Nothing will come from this stage for long.
    pub(super) fn make_safe_below(&self, seat: usize, why: &str) {
        let text = format!("stage {} upstream {why}", self.seats[seat].seated.slot.name);
        for below in self.downstream(seat) {
            self.seats[below].send(Command::FailSafe(text.clone()));
        }
    }

    /// All stages that packets of this one could reach.
    fn downstream(&self, seat: usize) -> Vec<usize> {
        let mut found = vec![seat];
        let mut next = 0;
        while let Some(&from) = found.get(next) {
            let outputs = &self.seats[from].seated.wiring.outputs;
            let edges: Vec<_> = outputs.iter().flat_map(|port| &port.edges).collect();
            let below = self.seats.iter().enumerate().filter(|(index, below)| {
                let inputs = &below.seated.wiring.inputs;
                !found.contains(index)
                    && inputs.iter().any(|(input, _)| edges.iter().any(|e| Arc::ptr_eq(e, input)))
            });
            let below: Vec<_> = below.map(|(index, _)| index).collect();
            found.extend(below);
            next += 1;
        }
        found.split_off(1)
    }

    /// Asks the preparing thread for an instance.
    pub(super) fn make(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        seat.turn += 1;
        seat.due_ns = None;
        seat.making_ns = Some(monotonic_ns());
        let seated = Box::new(seat.seated.clone());
        let _ = self.ways.jobs.send(Job::Make { seated, turn: seat.turn });
    }

    pub(super) fn made(&mut self, slot: u64, turn: u64, result: Result<Instance, RunError>) {
        let wanted = self.seat(slot).filter(|&seat| {
            let seat = &self.seats[seat];
            seat.turn == turn && !seat.ended && seat.making_ns.is_some()
        });
        match (wanted, result) {
            (Some(seat), Ok(instance)) => {
                let seat = &mut self.seats[seat];
                seat.making_ns = None;
                seat.seated.slot.counters.restarts.add(1);
                seat.send(Command::Install(instance));
            }
            (Some(seat), Err(error)) => {
                self.seats[seat].making_ns = None;
                self.failed(seat, error.to_string());
            }
            (None, Ok(instance)) => self.discard(instance),
            (None, Err(_)) => {}
        }
    }
}
