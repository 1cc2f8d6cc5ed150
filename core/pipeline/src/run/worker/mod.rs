//! The thread of a stage: takes the next inputs, calls the instance, counts what became of them; between two calls it
//! obeys. It is the only thread that calls a running instance.
mod transition;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use crossbeam_channel::Receiver;
use edgemill_abi::Reason;
use edgemill_linux::clock::monotonic_ns;
use edgemill_linux::sched;

use super::inbox::{Inbox, Next};
use super::supervisor::Report;
use super::wiring::{Command, Instance, Rewire, Ways, Wiring};
use crate::account::Loss;
use crate::bell::Ring;
use crate::negotiate::MOST_INPUTS;
use crate::outlet::{Call, Outlet};
use crate::packet::Packet;
use crate::slot::{Slot, Stop, ThreadFacts};
use crate::spec::OnFailure;
use crate::stage::{Flow, Stage, StageError};

/// Deep enough for a stage's own calls; what needs more allocates it in activate.
const STACK_BYTES: usize = 256 * 1024;

/// A source that had nothing to emit is asked again after this, so that it does not keep a core busy.
const IDLE_TURN_NS: u64 = 1_000_000;

/// What one turn of the loop came to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Again,
    /// Nothing more will come.
    End,
    /// The supervisor has given this thread up.
    Abandoned,
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
    /// New wirings to take, in this order, each once the edges that go with it have ended.
    pending: VecDeque<Rewire>,
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
            pending: VecDeque::new(),
            held: false,
            safe: false,
            now_ns,
            timer_due_ns: now_ns.saturating_add(wiring.timer_ns),
            last_input_ns: now_ns,
            wiring,
        }
    }

    /// Starts the thread. It says [`Report::Settled`] once it is where it should be.
    ///
    /// # Errors
    /// The kernel has no thread to give.
    pub fn spawn(self) -> std::io::Result<()> {
        let name = self.slot.name.chars().filter(|c| *c != '\0').collect();
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        thread.spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        self.settle();
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
        if last == Step::Abandoned {
            return self.forget();
        }
        let stop = self.slot.stopping();
        self.end(stop);
    }

    /// Goes to its cores and priority, reads back where it is, and reports.
    fn settle(&self) {
        self.slot.deadline_ns.store(self.wiring.deadline_ns, Ordering::Relaxed);
        let mut facts =
            ThreadFacts { thread: Some(sched::current_thread()), ..ThreadFacts::default() };
        let pinned = sched::set_affinity(&self.wiring.cores).map_err(|error| error.to_string());
        let scheduled = match self.wiring.priority {
            Some(priority) => sched::set_fifo(priority),
            None => sched::set_ordinary(),
        };
        facts.warning = scheduled.err().map(|error| error.to_string());
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
        self.report(Report::Settled { slot: self.slot.id, result: pinned });
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
            // The new wiring is taken next.
            Next::Ended if !self.pending.is_empty() => Step::Again,
            Next::Ended => Step::End,
            Next::Empty { until_ns } => self.wait_for_input(until_ns),
        }
    }

    /// Waits for an instance; a stage that is held throws away what comes. Ends when its inputs have.
    fn step_without_instance(&mut self) -> Step {
        if self.held {
            self.inbox.discard(Loss::Restart);
        }
        let (slot, commands, inbox) = (&self.slot, &self.commands, &self.inbox);
        let over = || !self.is_source() && inbox.edges().all(|edge| edge.is_ended());
        if over() && self.pending.is_empty() {
            return Step::End;
        }
        let discarding = self.held;
        slot.bell.wait(Ring::Input, None, || {
            !commands.is_empty()
                || slot.stopping().is_some()
                || (discarding && inbox.edges().any(|edge| !edge.is_empty()))
                || over()
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
        if let (true, false, Some(first)) = (self.is_sink(), failed, self.inbox.first()) {
            self.slot.latency.record(self.now_ns.saturating_sub(first.raw().capture_ns));
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
