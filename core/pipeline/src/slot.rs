//! What belongs to a stage for as long as its pipeline has it, whichever instance and thread serve it now.
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use edgemill_linux::sched::ThreadId;

use crate::account::{StageAccount, StageCounters};
use crate::bell::{Bell, Ring};
use crate::histogram::Histogram;
use crate::outlet::Outlet;

/// How a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Its first instance is being made.
    Starting,
    /// It takes packets.
    Running,
    /// Packets go past it.
    Degraded,
    /// It has failed and waits for a new instance.
    Restarting,
    /// It has failed too often and stays down.
    Held,
    /// It has ended.
    Stopped,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Starting,
        Self::Running,
        Self::Degraded,
        Self::Restarting,
        Self::Held,
        Self::Stopped,
    ];

    /// As it stands in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Restarting => "restarting",
            Self::Held => "held",
            Self::Stopped => "stopped",
        }
    }
}

/// How a pipeline, or a stage of it, is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stop {
    /// Sources end; everything under way arrives.
    Drain = 1,
    /// Every stage ends after its present call; what is under way is dropped, counted.
    Drop = 2,
}

/// What the kernel told a stage's thread about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadFacts {
    pub thread: Option<ThreadId>,
    pub cores: Vec<usize>,
    pub fifo: Option<u8>,
    pub warning: Option<String>,
}

/// A stage's place in its pipeline.
#[derive(Debug)]
pub(crate) struct Slot {
    pub name: String,
    /// Unique in the process; also the stream of what begins here.
    pub id: u64,
    pub bell: Arc<Bell>,
    pub counters: StageCounters,
    /// Time inside the stage's code, per call.
    pub process: Histogram,
    /// From capture to the end of the call, where the stage has no outputs.
    pub latency: Histogram,
    /// For what begins here: how long after capture it is worth the work; 0 for as long as it takes.
    pub deadline_ns: AtomicU64,
    state: AtomicU8,
    stop: AtomicU8,
    /// What follows changes with threads and instances, never on the frame path.
    facts: Mutex<ThreadFacts>,
    outlet: Mutex<Option<Arc<Outlet>>>,
}

impl Slot {
    pub fn new(name: String) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            name,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            bell: Arc::default(),
            counters: StageCounters::default(),
            process: Histogram::default(),
            latency: Histogram::default(),
            deadline_ns: AtomicU64::new(0),
            state: AtomicU8::new(State::Starting as u8),
            stop: AtomicU8::new(0),
            facts: Mutex::default(),
            outlet: Mutex::default(),
        }
    }

    pub fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Tells the thread to end; a drop is not taken back by a drain.
    pub fn stop(&self, stop: Stop) {
        self.stop.fetch_max(stop as u8, Ordering::AcqRel);
        self.bell.ring(Ring::Command);
    }

    pub fn stopping(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::Drain),
            _ => Some(Stop::Drop),
        }
    }

    pub fn is_dropping(&self) -> bool {
        self.stop.load(Ordering::Acquire) == Stop::Drop as u8
    }

    pub fn facts(&self) -> ThreadFacts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_facts(&self, facts: ThreadFacts) {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// Of the instance that serves now.
    pub fn outlet(&self) -> Option<Arc<Outlet>> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_outlet(&self, outlet: Option<Arc<Outlet>>) {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = outlet;
    }

    pub fn account(&self, is_source: bool, is_sink: bool) -> StageAccount {
        let counters = &self.counters;
        let in_call = self.outlet().map_or(0, |outlet| outlet.in_call());
        StageAccount {
            name: self.name.clone(),
            is_source,
            is_sink,
            received: counters.received.get(),
            passed: counters.passed.get(),
            bypassed: counters.bypassed.get(),
            consumed: counters.consumed.get(),
            delivered: counters.delivered.get(),
            faulted: counters.faulted.get(),
            no_buffer: counters.no_buffer.get(),
            in_call,
            emitted: counters.emitted.get(),
            skipped: counters.skipped.get(),
            refusals: counters.refusals.get(),
            faults: counters.faults.get(),
            hangs: counters.hangs.get(),
            restarts: counters.restarts.get(),
        }
    }
}
