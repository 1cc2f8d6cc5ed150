//! Looking whether a stage hangs, a pause is over, or the preparing thread is stuck.
use std::sync::Arc;

use edgemill_linux::clock::monotonic_ns;
use edgemill_linux::sched;

use super::super::Event;
use super::super::build::Seated;
use super::super::seat::Seat;
use super::Supervisor;
use crate::negotiate::SURVIVED_HANGS;
use crate::slot::{State, Stop};
use crate::spec::OnFailure;

impl Supervisor {
    pub(super) fn watch(&mut self) {
        let now = monotonic_ns();
        for seat in 0..self.seats.len() {
            if !self.seats[seat].ended {
                self.watch_hang(seat, now);
            }
            if self.seats[seat].due_ns.is_some_and(|due| due <= now) {
                self.make(seat);
            }
        }
        if self.drained_by_ns.is_some_and(|by| by <= now) {
            self.stop(Stop::Drop);
        }
        self.watch_preparing(now);
    }

    fn watch_preparing(&mut self, now: u64) {
        let limit = u64::try_from(self.options.prepare_limit.as_nanos()).unwrap_or(u64::MAX);
        let late =
            |seat: &&Seat| seat.making_ns.is_some_and(|since| now.saturating_sub(since) > limit);
        if let (Some(seat), false) = (self.seats.iter().find(late), self.stuck) {
            let stage = seat.seated.slot.name.clone();
            let why =
                format!("making an instance has not come back in {:?}", self.options.prepare_limit);
            self.stuck = true;
            self.tell(Event::Fatal { stage, why });
        }
    }

    fn watch_hang(&mut self, seat: usize, now: u64) {
        let Seated { slot, spec, .. } = &self.seats[seat].seated;
        let limit = u64::try_from(spec.hang.as_nanos()).unwrap_or(u64::MAX);
        let Some(outlet) = slot.outlet().filter(|_| limit > 0) else { return };
        if outlet.inside_ns(now).is_none_or(|inside| inside <= limit) {
            return;
        }
        let Some(call) = outlet.abandon(now) else { return };
        slot.counters.hangs.add(1);
        let outcome = if call.emitted { &slot.counters.passed } else { &slot.counters.faulted };
        outcome.add(call.inputs);
        self.replace_thread(seat, call.inside_ns);
    }

    /// The thread cannot be killed: it sinks to where it harms least, and another takes over what belongs to the stage.
    fn replace_thread(&mut self, seat: usize, inside_ns: u64) {
        let abandoned = &mut self.seats[seat];
        let slot = Arc::clone(&abandoned.seated.slot);
        let spec = abandoned.seated.spec.clone();
        slot.set_outlet(None);
        if let Some(thread) = slot.facts().thread {
            let _ = sched::set_idle(thread);
        }
        let bypass = spec.on_failure == OnFailure::Bypass;
        slot.set_state(if bypass { State::Degraded } else { State::Restarting });
        abandoned.hangs += 1;
        abandoned.drop_old_wiring();
        for (edge, _) in &abandoned.seated.wiring.inputs {
            edge.lose_held_back();
            edge.attend(bypass);
        }
        let hangs = abandoned.hangs;
        let why = format!("hung: {} ms inside one call", inside_ns / 1_000_000);
        let spawned = abandoned.spawn(&self.ways, None);
        let fatal = match spawned {
            Err(error) => Some(error.to_string()),
            Ok(()) if spec.holds_device => Some(format!("{why}, and it holds a device")),
            Ok(()) if hangs > SURVIVED_HANGS => Some(format!("{why}, the {hangs}. time")),
            Ok(()) => None,
        };
        match fatal {
            None => self.failed(seat, why),
            Some(why) => {
                self.hold(seat, &why);
                self.tell(Event::Fatal { stage: slot.name.clone(), why });
            }
        }
    }
}
