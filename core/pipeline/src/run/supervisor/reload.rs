//! From one layout to the next while packets flow.
use edgemill_linux::clock::monotonic_ns;

use super::super::Event;
use super::super::build::{Layout, Seated, Seating};
use super::super::error::RunError;
use super::super::preparer::Job;
use super::Supervisor;
use crate::slot::State;
use crate::spec::Spec;

impl Supervisor {
    pub(super) fn reload(&mut self, spec: Spec) {
        let busy = match (self.stopping, self.reloading) {
            (Some(_), _) => Some("stopping"),
            (_, true) => Some("reloading"),
            _ => None,
        };
        if let Some(busy) = busy {
            return self.tell(Event::Reloaded(Err(RunError::Busy(busy))));
        }
        self.reloading = true;
        let current = self.seats.iter().filter(|seat| !seat.ended && !seat.leaves).map(|seat| {
            let slot = &seat.seated.slot;
            let alive = slot.state() == State::Starting || slot.outlet().is_some();
            Seated { alive, ..seat.seated.clone() }
        });
        let _ = self.ways.jobs.send(Job::Build { spec, current: current.collect() });
    }

    pub(super) fn rebuilt(&mut self, spec: &Spec, result: Result<Box<Layout>, RunError>) {
        self.reloading = false;
        let result = match result {
            Ok(_) if self.stopping.is_some() => Err(RunError::Busy("stopping")),
            result => result,
        };
        match result {
            Ok(layout) => self.change(spec, *layout),
            Err(error) => self.tell(Event::Reloaded(Err(error))),
        }
    }

    /// Everything the new layout needs is there: each stage switches at its next packet boundary, and what is no longer
    /// named ends with its inputs.
    fn change(&mut self, spec: &Spec, mut layout: Layout) {
        self.show(&layout);
        self.seats.retain(|seat| !seat.ended);
        for seat in &mut self.seats {
            if !spec.stages.iter().any(|stage| stage.name == seat.seated.slot.name) {
                seat.leave();
            }
        }
        let mut changed = Vec::new();
        for seating in layout.seatings.drain(..) {
            let name = seating.seated.slot.name.clone();
            match self.seat_anew(seating) {
                Ok(true) => changed.push(name),
                Ok(false) => {}
                Err(error) => self.tell(Event::Fatal { stage: name, why: error.to_string() }),
            }
        }
        self.tell(Event::Reloaded(Ok(changed)));
    }

    /// Whether anything about the stage changes.
    fn seat_anew(&mut self, mut seating: Seating) -> Result<bool, RunError> {
        let slot = seating.seated.slot.id;
        let seat = match (self.seat(slot), seating.stays) {
            (Some(seat), _) => seat,
            // It came to its end while the layout was made, and takes the stages below with it.
            (None, true) => {
                seating.instance.into_iter().for_each(|instance| self.discard(instance));
                return Ok(false);
            }
            (None, false) => {
                let absent = seating.absent.take();
                let seat = self.occupy(seating)?;
                absent.into_iter().for_each(|why| self.wait_for_device(seat, why));
                return Ok(true);
            }
        };
        let Seating { seated, instance, replace, absent, .. } = seating;
        let seat = &mut self.seats[seat];
        let renewed = instance.is_some() || replace;
        let changed = renewed || !seat.seated.wiring.is_same(&seated.wiring);
        let waits = absent.is_some() || seat.due_ns.is_some() || seat.making_ns.is_some();
        let retry = !renewed && waits;
        if changed {
            seat.rewire(&seated.wiring, instance, replace);
        }
        seat.seated = seated;
        if renewed {
            (seat.due_ns, seat.making_ns) = (None, None);
            seat.failures.clear();
        } else if retry {
            seat.due_ns = Some(monotonic_ns());
        }
        Ok(changed)
    }
}
