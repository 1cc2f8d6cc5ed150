//! The thread of a stage: takes the next inputs, calls the instance, counts what became of them; between two calls it
//! obeys. It is the only thread that calls a running instance.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use edgemill_abi::Reason;
use edgemill_linux::clock::monotonic_ns;
use edgemill_linux::sched;

use super::inbox::{Inbox, Next};
use super::preparer::Job;
use super::supervisor::Report;
use crate::account::Loss;
use crate::bell::Ring;
use crate::channel::Edge;
use crate::negotiate::MOST_INPUTS;
use crate::outlet::{Call, OutPort, Outlet};
use crate::packet::Packet;
use crate::slot::{Slot, State, Stop, ThreadFacts};
use crate::spec::{Join, OnFailure, StageSpec};
use crate::stage::{Flow, Stage, StageError};

/// Deep enough for a stage's own calls; what needs more allocates it in activate.
const STACK_BYTES: usize = 256 * 1024;

/// A source that had nothing to emit is asked again after this, so that it does not keep a core busy.
const IDLE_TURN_NS: u64 = 1_000_000;

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
        let ns = |time: Option<std::time::Duration>| {
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
}

impl Wiring {
    /// All edges, in and out.
    pub fn edges(&self) -> impl Iterator<Item = &Arc<Edge>> {
        let outputs = self.outputs.iter().flat_map(|port| &port.edges);
        self.inputs.iter().map(|(edge, _)| edge).chain(outputs)
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

/// What a thread is told between two calls.
pub(super) enum Command {
    /// A new instance after a fault.
    Install(Instance),
    /// New edges; with `instance`, or with `replace` and one to follow, the old instance goes.
    Rewire { wiring: Box<Wiring>, instance: Option<Instance>, replace: bool },
    /// Apply the safe state: a stage upstream is held.
    FailSafe(String),
    /// No instance will come any more.
    Hold,
}

/// What one turn of the loop came to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Again,
    /// Nothing more will come.
    End,
    /// The supervisor has given this thread up.
    Abandoned,
}

/// Where a thread's words go.
#[derive(Clone)]
pub(super) struct Ways {
    pub reports: Sender<Report>,
    pub jobs: Sender<Job>,
}

pub(super) struct Worker {
    slot: Arc<Slot>,
    commands: Receiver<Command>,
    ways: Ways,
    wiring: Wiring,
    inbox: Inbox,
    instance: Option<Instance>,
    /// The way past the instance, while it is out of order.
    bypass: Option<Outlet>,
    pending: Option<(Box<Wiring>, Option<Instance>, bool)>,
    held: bool,
    safe: bool,
    now_ns: u64,
    timer_due_ns: u64,
    last_input_ns: u64,
}

impl Worker {
    pub fn new(
        slot: Arc<Slot>,
        commands: Receiver<Command>,
        ways: Ways,
        wiring: Wiring,
        instance: Option<Instance>,
    ) -> Self {
        let inbox = Inbox::new(wiring.inputs.clone(), wiring.join);
        let now_ns = monotonic_ns();
        // A thread that takes over from one that hung begins without an instance.
        let past = instance.is_none() && wiring.on_failure == OnFailure::Bypass;
        let bypass = past.then(|| way_past(&slot, &wiring));
        Self {
            slot,
            commands,
            ways,
            inbox,
            instance,
            bypass,
            pending: None,
            held: false,
            safe: false,
            now_ns,
            timer_due_ns: now_ns.saturating_add(wiring.timer_ns),
            last_input_ns: now_ns,
            wiring,
        }
    }

    /// Starts the thread. It says [`Report::Begun`] once it is where it should be.
    ///
    /// # Errors
    /// The kernel has no thread to give.
    pub fn spawn(self) -> std::io::Result<()> {
        let name = self.slot.name.chars().filter(|c| *c != '\0').collect();
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        thread.spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        let begun = self.settle();
        let failed = begun.is_err();
        self.report(Report::Begun { slot: self.slot.id, result: begun });
        if failed {
            return self.end(Some(Stop::Drop));
        }
        if let Some(instance) = self.instance.take() {
            self.install(instance);
        }
        let last = loop {
            if (!self.commands.is_empty() && self.obey() == Step::Abandoned)
                || (self.can_switch() && self.switch() == Step::Abandoned)
            {
                break Step::Abandoned;
            }
            match self.slot.stopping() {
                Some(Stop::Drop) => break Step::End,
                Some(Stop::Drain) if self.is_source() => break Step::End,
                _ => {}
            }
            match self.step() {
                Step::Again => {}
                last => break last,
            }
        };
        match last {
            Step::Abandoned => self.forget(),
            _ => {
                let stop = self.slot.stopping();
                self.end(stop);
            }
        }
    }

    /// Goes to its cores and priority, and reads back where it is.
    fn settle(&self) -> Result<(), String> {
        self.slot.deadline_ns.store(self.wiring.deadline_ns, Ordering::Relaxed);
        let mut facts =
            ThreadFacts { thread: Some(sched::current_thread()), ..ThreadFacts::default() };
        let pinned = sched::set_affinity(&self.wiring.cores).map_err(|error| error.to_string());
        if let Some(priority) = self.wiring.priority {
            facts.warning = sched::set_fifo(priority).err().map(|error| error.to_string());
        }
        facts.cores = sched::affinity().unwrap_or_default();
        facts.fifo = sched::fifo().ok().flatten();
        let mut wanted = self.wiring.cores.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let pinned = match pinned {
            Ok(()) if wanted != facts.cores => {
                Err(format!("asked for cores {wanted:?}, got {:?}", facts.cores))
            }
            pinned => pinned,
        };
        self.slot.set_facts(facts);
        pinned
    }

    fn is_source(&self) -> bool {
        self.wiring.inputs.is_empty()
    }

    fn is_sink(&self) -> bool {
        self.wiring.outputs.is_empty()
    }

    fn report(&self, report: Report) {
        let _ = self.ways.reports.send(report);
    }

    // One turn of the loop.

    fn step(&mut self) -> Step {
        if self.instance.is_none() && self.bypass.is_none() {
            return self.step_without_instance();
        }
        if self.instance.is_some() {
            if self.wiring.timer_ns > 0 && self.now_ns >= self.timer_due_ns {
                let next = self.timer_due_ns.saturating_add(self.wiring.timer_ns);
                self.timer_due_ns = next.max(self.now_ns);
                return self.call(Reason::Timer);
            }
            if self.is_source() {
                return self.turn();
            }
        }
        match self.inbox.next(self.now_ns) {
            Next::Ready if self.instance.is_some() => self.call(Reason::Input),
            Next::Ready => self.pass_by(),
            Next::Ended if self.pending.is_some() => self.wait(None),
            Next::Ended => Step::End,
            Next::Empty { until_ns } => self.wait_for_input(until_ns),
        }
    }

    /// Waits for an instance; a stage that is held throws away what comes. Ends when its inputs have.
    fn step_without_instance(&mut self) -> Step {
        if self.held {
            self.inbox.discard(Loss::Restart);
        }
        let over = !self.is_source() && self.inbox.edges().all(|edge| edge.is_ended());
        if over && self.pending.is_none() {
            return Step::End;
        }
        let (slot, commands, inbox, held) = (&self.slot, &self.commands, &self.inbox, self.held);
        slot.bell.wait(Ring::Input, None, || {
            let ended = || inbox.edges().any(|edge| edge.is_ended());
            !commands.is_empty()
                || slot.stopping().is_some()
                || (held && inbox.edges().any(|edge| !edge.is_empty()))
                || (inbox.ready.len() == 1 && ended())
                || self.can_switch()
        });
        self.now_ns = monotonic_ns();
        Step::Again
    }

    fn turn(&mut self) -> Step {
        let emitted = self.slot.counters.emitted.get();
        let before = self.now_ns;
        let step = self.call(Reason::Turn);
        let idle = emitted == self.slot.counters.emitted.get();
        if step == Step::Again && idle && self.now_ns - before < IDLE_TURN_NS {
            let until = self.now_ns + IDLE_TURN_NS;
            return self.wait(Some(until));
        }
        step
    }

    /// Waits until there may be input, a timer is due or the input has gone stale.
    fn wait_for_input(&mut self, until_ns: Option<u64>) -> Step {
        let mut until = until_ns.unwrap_or(u64::MAX);
        if self.wiring.timer_ns > 0 && self.instance.is_some() {
            until = until.min(self.timer_due_ns);
        }
        if self.wiring.stale_ns > 0 && !self.safe && self.instance.is_some() {
            let stale = self.last_input_ns.saturating_add(self.wiring.stale_ns);
            if self.now_ns >= stale {
                return self.apply_fail_safe("its input is stale");
            }
            until = until.min(stale);
        }
        self.wait((until != u64::MAX).then_some(until))
    }

    fn wait(&mut self, until_ns: Option<u64>) -> Step {
        let (slot, commands, inbox) = (&self.slot, &self.commands, &self.inbox);
        slot.bell.wait(Ring::Input, until_ns, || {
            inbox.has_news()
                || !commands.is_empty()
                || slot.is_dropping()
                || (inbox.ready.is_empty() && slot.stopping().is_some())
                || self.can_switch()
        });
        self.now_ns = monotonic_ns();
        Step::Again
    }

    // One call.

    /// The frame path: nothing here allocates, locks or logs unless the call has failed.
    fn call(&mut self, reason: Reason) -> Step {
        let Some(instance) = &mut self.instance else { return Step::Again };
        let inputs = self.inbox.ready.as_slice();
        let arrived = inputs.iter().flatten().count() as u64;
        self.slot.counters.received.add(arrived);
        if arrived > 0 {
            self.last_input_ns = self.now_ns;
            self.safe = false;
        }
        instance.outlet.begin(inputs, self.now_ns);
        let mut borrowed: [Option<&Packet>; MOST_INPUTS] = [None; MOST_INPUTS];
        for (borrowed, input) in borrowed.iter_mut().zip(inputs) {
            *borrowed = input.as_ref();
        }
        let borrowed = &borrowed[..inputs.len()];
        let result = catch_unwind(AssertUnwindSafe(|| instance.stage.process(reason, borrowed)));
        self.now_ns = monotonic_ns();
        let Some(call) = instance.outlet.finish(self.now_ns) else { return Step::Abandoned };
        let result = result.unwrap_or_else(|panic| Err(StageError(panic_text(&*panic))));
        self.count(&call, result.is_err());
        self.inbox.clear();
        match result {
            Ok(Flow::End) if reason == Reason::Turn => Step::End,
            Ok(_) => Step::Again,
            // The instance is on its way out in any case.
            Err(error) if reason == Reason::Flush => {
                let text = format!("the flush failed: {error}");
                self.report(Report::Warning { slot: self.slot.id, text });
                Step::Again
            }
            Err(error) => self.fail(&error),
        }
    }

    fn count(&self, call: &Call, failed: bool) {
        let counters = &self.slot.counters;
        self.slot.process.record(call.inside_ns);
        counters.faults.add(failed.into());
        if call.inputs == 0 {
            return;
        }
        let outcome = match (call.emitted, failed, call.refused, self.is_sink()) {
            (true, ..) => &counters.passed,
            (_, true, ..) => &counters.faulted,
            (_, _, true, _) => &counters.no_buffer,
            (_, _, _, true) => &counters.delivered,
            _ => &counters.consumed,
        };
        outcome.add(call.inputs);
        if self.is_sink() && !failed {
            if let Some(packet) = self.inbox.ready.iter().flatten().next() {
                self.slot.latency.record(self.now_ns.saturating_sub(packet.raw().capture_ns));
            }
        }
    }

    fn pass_by(&mut self) -> Step {
        let packet = self.inbox.ready[0].take();
        if let (Some(packet), Some(way)) = (packet, &self.bypass) {
            self.slot.counters.received.add(1);
            way.bypass(&packet);
            self.slot.counters.bypassed.add(1);
        }
        self.now_ns = monotonic_ns();
        Step::Again
    }

    /// A call outside of the frame path, watched like any other.
    fn guarded<R>(
        &mut self,
        act: impl FnOnce(&mut (dyn Stage + 'static)) -> R,
    ) -> Result<Option<R>, Step> {
        let Some(instance) = &mut self.instance else { return Ok(None) };
        instance.outlet.begin(&[], monotonic_ns());
        let result = catch_unwind(AssertUnwindSafe(|| act(&mut *instance.stage)));
        self.now_ns = monotonic_ns();
        instance.outlet.finish(self.now_ns).ok_or(Step::Abandoned)?;
        Ok(result.ok())
    }

    fn apply_fail_safe(&mut self, why: &str) -> Step {
        if self.instance.is_none() {
            return Step::Again;
        }
        let applied = match self.guarded(Stage::fail_safe) {
            Ok(applied) => applied,
            Err(abandoned) => return abandoned,
        };
        let first = !std::mem::replace(&mut self.safe, true);
        let result = match applied {
            // It drives nothing.
            Some(None) => return Step::Again,
            Some(Some(result)) => result,
            None => Err(StageError("it panicked".into())),
        };
        if first || result.is_err() {
            let (slot, why) = (self.slot.id, why.to_owned());
            self.report(Report::FailSafe { slot, why, error: result.err().map(|e| e.to_string()) });
        }
        Step::Again
    }

    // Trouble.

    /// The instance has failed: it goes, and the supervisor is told.
    fn fail(&mut self, error: &StageError) -> Step {
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
    fn forget(self) {
        std::mem::forget(self);
    }

    // Commands.

    fn obey(&mut self) -> Step {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Install(instance) => self.install(instance),
                Command::Rewire { wiring, instance, replace } => {
                    self.pending = Some((wiring, instance, replace));
                }
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

    fn install(&mut self, instance: Instance) {
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

    /// Whether there is a new wiring and every edge that goes with it has ended.
    fn can_switch(&self) -> bool {
        let Some((wiring, ..)) = &self.pending else { return false };
        let stays = |edge: &Arc<Edge>| wiring.inputs.iter().any(|(new, _)| Arc::ptr_eq(new, edge));
        self.inbox.edges().all(|edge| stays(edge) || edge.is_ended())
    }

    fn switch(&mut self) -> Step {
        let Some((wiring, instance, replace)) = self.pending.take() else { return Step::Again };
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
        if let Err(error) = self.settle() {
            self.report(Report::Begun { slot: self.slot.id, result: Err(error) });
        }
    }

    // The end.

    fn end(mut self, stop: Option<Stop>) {
        if stop == Some(Stop::Drop) {
            self.inbox.discard(Loss::Stopped);
        } else if self.instance.is_some() && !self.is_source() {
            if self.call(Reason::Flush) == Step::Abandoned {
                return self.forget();
            }
        }
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

fn way_past(slot: &Arc<Slot>, wiring: &Wiring) -> Outlet {
    Outlet::new(Arc::clone(slot), &wiring.held, wiring.outputs.clone())
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without words"))
}
