//! The supervising thread of one pipeline: it hears what the stages report, watches that none hangs, decides about restarts,
//! and carries out stops and reloads. Its law: it never waits for what it supervises. It sends commands and jobs, which
//! never block, and sleeps until the next report or the next time it has to look.
mod failures;
mod reload;
mod report;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use edgemill_linux::clock::monotonic_ns;

pub(super) use self::report::Report;
use super::build::{Layout, Seating};
use super::error::RunError;
use super::preparer::Job;
use super::seat::Seat;
use super::shared::{Member, Shared};
use super::wiring::{Command, Instance, Ways};
use super::{Event, Options};
use crate::slot::{State, Stop};

pub(super) struct Supervisor {
    options: Options,
    shared: Arc<Shared>,
    reports: Receiver<Report>,
    ways: Ways,
    events: Sender<Event>,
    seats: Vec<Seat>,
    stopping: Option<Stop>,
    drained_by_ns: Option<u64>,
    reloading: bool,
    /// Told once: the preparing thread does not come back.
    stuck: bool,
}

impl Supervisor {
    pub fn new(
        options: Options,
        shared: Arc<Shared>,
        reports: Receiver<Report>,
        ways: Ways,
        events: Sender<Event>,
    ) -> Self {
        Self {
            options,
            shared,
            reports,
            ways,
            events,
            seats: Vec::new(),
            stopping: None,
            drained_by_ns: None,
            reloading: false,
            stuck: false,
        }
    }

    /// Gives every stage of a first layout its thread; what they report is heard in [`Supervisor::run`].
    pub fn begin(&mut self, layout: Layout) -> Result<(), RunError> {
        self.show(&layout);
        let mut seatings = layout.seatings;
        // Consumers first, so that nothing is sent to a thread that is not there.
        let order: Vec<_> = layout.plan.order.iter().rev().copied().collect();
        let mut places: Vec<Option<Seating>> = seatings.drain(..).map(Some).collect();
        self.seats = Vec::with_capacity(places.len());
        let mut waiting = Vec::new();
        for index in order {
            let Some(mut seating) = places[index].take() else { continue };
            let absent = seating.absent.take();
            match self.occupy(seating) {
                Ok(seat) => waiting.extend(absent.map(|why| (seat, why))),
                Err(error) => {
                    let left = places.into_iter().flatten().filter_map(|place| place.instance);
                    left.for_each(|instance| self.discard(instance));
                    return Err(error);
                }
            }
        }
        waiting.into_iter().for_each(|(seat, why)| self.wait_for_device(seat, why));
        Ok(())
    }

    fn discard(&self, instance: Instance) {
        let _ = self.ways.jobs.send(Job::Discard(instance));
    }

    /// Gives the stage its thread and its place among the seats.
    fn occupy(&mut self, seating: Seating) -> Result<usize, RunError> {
        let seat = Seat::new(seating.seated);
        seat.spawn(&self.ways, seating.instance)?;
        self.seats.push(seat);
        Ok(self.seats.len() - 1)
    }

    /// The stage has no instance yet; the attempts to make one begin.
    fn wait_for_device(&mut self, seat: usize, why: String) {
        self.seats[seat].seated.slot.set_state(State::Restarting);
        self.failed(seat, why);
    }

    /// Runs until every stage has ended.
    pub fn run(mut self) {
        while !self.seats.iter().all(|seat| seat.ended) {
            match self.reports.recv_timeout(self.pause()) {
                Ok(report) => self.hear(report),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.watch();
        }
        let _ = self.ways.jobs.send(Job::Quit);
        let account = self.shared.end();
        self.tell(Event::Ended(account));
    }

    /// A quarter of the shortest hang, so that one is found at most a quarter late.
    fn pause(&self) -> Duration {
        let hangs = self.seats.iter().filter(|seat| !seat.ended).map(|seat| seat.seated.spec.hang);
        let shortest = hangs.filter(|hang| !hang.is_zero()).min().unwrap_or(Duration::MAX);
        let pause = (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(250));
        let now = monotonic_ns();
        let due = self.seats.iter().filter_map(|seat| seat.due_ns).min();
        due.map_or(pause, |due| pause.min(Duration::from_nanos(due.saturating_sub(now))))
    }

    fn tell(&self, event: Event) {
        // One that nobody reads is dropped: the status tells the same.
        let _ = self.events.try_send(event);
        if let Some(waker) = &self.options.waker {
            waker.wake();
        }
    }

    fn tell_state(&self, seat: usize, why: Option<String>) {
        let slot = &self.seats[seat].seated.slot;
        self.shared.note(slot.id, why.clone());
        self.tell(Event::State { stage: slot.name.clone(), state: slot.state(), why });
    }

    fn seat(&self, slot: u64) -> Option<usize> {
        self.seats.iter().position(|seat| seat.seated.slot.id == slot)
    }

    fn hear(&mut self, report: Report) {
        match report {
            Report::Stop(stop) => self.stop(stop),
            Report::Reload(spec) => self.reload(spec),
            Report::Built { spec, result } => self.rebuilt(&spec, result),
            Report::Made { slot, turn, result } => self.made(slot, turn, result),
            Report::Settled { slot, .. }
            | Report::Running { slot }
            | Report::Fault { slot, .. }
            | Report::Vacant { slot }
            | Report::Switched { slot }
            | Report::FailSafe { slot, .. }
            | Report::Warning { slot, .. }
            | Report::Ended { slot } => {
                if let Some(seat) = self.seat(slot) {
                    self.hear_stage(seat, report);
                }
            }
        }
    }

    fn hear_stage(&mut self, seat: usize, report: Report) {
        let stage = || self.seats[seat].seated.slot.name.clone();
        match report {
            Report::Settled { result: Err(text), .. } => {
                self.tell(Event::Fatal {
                    stage: stage(),
                    why: format!("cannot be pinned: {text}"),
                });
            }
            Report::Settled { .. } => {
                if let Some(text) = self.seats[seat].seated.slot.facts().warning {
                    self.tell(Event::Warning { stage: stage(), text });
                }
            }
            Report::Running { .. } => self.tell_state(seat, None),
            Report::Fault { error, .. } => self.failed(seat, error),
            Report::Vacant { .. } => self.make(seat),
            Report::Switched { .. } => {
                self.seats[seat].leaving.pop_front();
            }
            Report::FailSafe { why, error, .. } => {
                self.tell(Event::FailSafe { stage: stage(), why, error });
            }
            Report::Warning { text, .. } => self.tell(Event::Warning { stage: stage(), text }),
            Report::Ended { .. } => {
                self.seats[seat].end(&self.ways);
                let slot = &self.seats[seat].seated.slot;
                self.tell_state(
                    seat,
                    self.shared.why(slot.id).filter(|_| slot.state() == State::Held),
                );
            }
            _ => {}
        }
    }

    fn stop(&mut self, stop: Stop) {
        if self.stopping == Some(Stop::Drop) {
            return;
        }
        self.stopping = Some(stop);
        let limit = u64::try_from(self.options.drain_limit.as_nanos()).unwrap_or(u64::MAX);
        let drained_by = monotonic_ns().saturating_add(limit);
        self.drained_by_ns = (stop == Stop::Drain).then_some(drained_by);
        for seat in self.seats.iter_mut().filter(|seat| !seat.ended) {
            let is_source = seat.seated.wiring.inputs.is_empty();
            if stop == Stop::Drop || is_source {
                seat.seated.slot.stop(stop);
            }
            if seat.due_ns.take().is_some() || seat.making_ns.take().is_some() {
                seat.send(Command::Hold);
            }
        }
    }

    /// Puts a layout where status and account find it.
    fn show(&self, layout: &Layout) {
        let members = layout.seatings.iter().map(|seating| Member::of(&seating.seated)).collect();
        self.shared.show(layout.plan.name.clone(), members, &layout.edges);
    }
}
