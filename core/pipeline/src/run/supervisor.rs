//! The supervising thread of one pipeline: it hears what the stages report, watches that none hangs, decides about restarts,
//! and carries out stops and reloads. Its law: it never waits for what it supervises. It sends commands and jobs, which
//! never block, and sleeps until the next report or the next time it has to look.
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use edgemill_linux::clock::monotonic_ns;
use edgemill_linux::sched;

use super::build::{Layout, Seated, Seating};
use super::error::RunError;
use super::preparer::Job;
use super::seat::Seat;
use super::shared::{Member, Shared};
use super::wiring::{Command, Instance, Ways};
use super::{Event, Options};
use crate::negotiate::SURVIVED_HANGS;
use crate::slot::{State, Stop};
use crate::spec::{OnFailure, Spec};

/// What the supervising thread hears.
pub(super) enum Report {
    // From stages.
    /// The thread is on its cores, or could not get there.
    Settled {
        slot: u64,
        result: Result<(), String>,
    },
    /// An instance serves.
    Running {
        slot: u64,
    },
    /// The instance has failed and is gone.
    Fault {
        slot: u64,
        error: String,
    },
    /// The old instance is gone as it should, and another one is to come.
    Vacant {
        slot: u64,
    },
    /// The new wiring is in place.
    Switched {
        slot: u64,
    },
    /// The safe state was applied.
    FailSafe {
        slot: u64,
        why: String,
        error: Option<String>,
    },
    /// Something worth a line.
    Warning {
        slot: u64,
        text: String,
    },
    /// The thread has ended.
    Ended {
        slot: u64,
    },
    // From the preparing thread.
    Built {
        spec: Spec,
        result: Result<Box<Layout>, RunError>,
    },
    Made {
        slot: u64,
        turn: u64,
        result: Result<Instance, RunError>,
    },
    // From the owner.
    Stop(Stop),
    Reload(Spec),
}

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

    // Hearing.

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

    // Failures.

    fn failed(&mut self, seat: usize, why: String) {
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
    fn hold(&mut self, seat: usize, why: &str) {
        let held = &self.seats[seat];
        if held.seated.spec.on_failure != OnFailure::Bypass {
            held.seated.slot.set_state(State::Held);
            held.send(Command::Hold);
            self.make_safe_below(seat, "is held");
        }
        self.tell_state(seat, Some(why.to_owned()));
    }

    /// Nothing will come from this stage for long.
    fn make_safe_below(&self, seat: usize, why: &str) {
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
    fn make(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        seat.turn += 1;
        seat.due_ns = None;
        seat.making_ns = Some(monotonic_ns());
        let seated = Box::new(seat.seated.clone());
        let _ = self.ways.jobs.send(Job::Make { seated, turn: seat.turn });
    }

    fn made(&mut self, slot: u64, turn: u64, result: Result<Instance, RunError>) {
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

    // Watching.

    fn watch(&mut self) {
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

    // Stopping.

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

    // Reloading.

    fn reload(&mut self, spec: Spec) {
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

    fn rebuilt(&mut self, spec: &Spec, result: Result<Box<Layout>, RunError>) {
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

    /// Puts a layout where status and account find it.
    fn show(&self, layout: &Layout) {
        let members = layout.seatings.iter().map(|seating| Member::of(&seating.seated)).collect();
        self.shared.show(layout.plan.name.clone(), members, &layout.edges);
    }
}
