//! A stage's way out: what the host table of an instance leads to, and what a source in Rust calls directly.
//!
//! An outlet belongs to one instance. Its calls are for the thread that is inside [`crate::stage::Stage::process`], one
//! at a time; a call at any other moment is refused, and so is every call of an instance that was abandoned
//! after a hang. The instance knows buffers by their handles; the references stay here, so that it can neither give back
//! what it does not have nor keep more than it said.
mod desk;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use edgemill_abi::{Format, Status, raw};
use edgemill_linux::clock::monotonic_ns;

use crate::bell::Ring;
use crate::channel::Edge;
use crate::packet::Packet;
use crate::pool::{BufferMut, Pool};
use crate::slot::Slot;
use desk::Desk;

/// Where the thread of an instance is.
mod phase {
    /// Outside of any call.
    pub const IDLE: u32 = 0;
    /// In the stage's code.
    pub const INSIDE: u32 = 1;
    /// In a call of the outlet, made from the stage's code.
    pub const HOST: u32 = 2;
    /// In the stage's code, and given up on.
    pub const ABANDONED: u32 = 3;
}

/// An output port as the outlet serves it.
#[derive(Clone, Debug)]
pub(crate) struct OutPort {
    pub format: Format,
    pub generation: u32,
    /// Buffers or emits in one call, at most.
    pub burst: u32,
    /// `None` for events, which need no buffer.
    pub pool: Option<Arc<Pool>>,
    pub edges: Vec<Arc<Edge>>,
    /// Of the packets that begin at this port; outlives the instance.
    pub sequence: Arc<AtomicU64>,
}

/// The way out of one instance of a stage.
#[derive(Debug)]
pub struct Outlet {
    slot: Arc<Slot>,
    phase: AtomicU32,
    started_ns: AtomicU64,
    /// Time of this call spent waiting in the outlet.
    waited_ns: AtomicU64,
    /// Inputs of the present call.
    inputs: AtomicU32,
    /// Packets emitted in the present call.
    emitted: AtomicU32,
    /// Only ever tried, never waited for: `phase` lets one call in at a time.
    desk: Mutex<Desk>,
}

/// What a call came to, for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub inputs: u64,
    pub emitted: bool,
    pub refused: bool,
    /// Time in the stage's own code.
    pub inside_ns: u64,
    /// Time spent waiting in the outlet.
    pub waited_ns: u64,
}

impl Outlet {
    /// `held` has the limit of each input port.
    pub(crate) fn new(slot: Arc<Slot>, held: &[u32], ports: Vec<OutPort>) -> Self {
        Self {
            slot,
            phase: AtomicU32::new(phase::IDLE),
            started_ns: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
            inputs: AtomicU32::new(0),
            emitted: AtomicU32::new(0),
            desk: Mutex::new(Desk::new(held, ports)),
        }
    }

    // What an instance calls.

    /// Emits a packet, with sequence and times of the first input of this call; what a turn, a timer or a flush
    /// emits is stamped here. Takes over the reference to `packet.buffer` whatever it answers.
    ///
    /// # Errors
    /// `BadArgument`: no such port, more than its burst, not of its format, a buffer that is not the instance's, or
    /// not inside `process`. `Stopping`: the instance was abandoned.
    pub fn emit(&self, port: u32, packet: &raw::Packet) -> Result<(), Status> {
        self.host_call(|desk| desk.emit_raw(self, port, packet, None))
    }

    /// As [`Outlet::emit`], with sequence and times of `origin`, a packet that the instance has retained.
    ///
    /// # Errors
    /// As [`Outlet::emit`]; `BadArgument` also if `origin` is neither retained nor an input of this call.
    pub fn emit_from(
        &self,
        port: u32,
        packet: &raw::Packet,
        origin: &raw::Packet,
    ) -> Result<(), Status> {
        self.host_call(|desk| desk.emit_raw(self, port, packet, Some(origin)))
    }

    /// A free buffer of the port's pool, at least `size` bytes. The instance owns the reference by its handle.
    ///
    /// # Errors
    /// `BadArgument`: no such port, a port of events, larger than its buffers, more than its burst. `NoBuffer`: none is
    /// free now; counted. `Stopping`: as for emit.
    pub fn acquire(&self, port: u32, size: u64) -> Result<raw::Buffer, Status> {
        self.host_call(|desk| {
            let buffer = desk.acquire(&self.slot, port, size)?;
            Ok(desk.keep(port, buffer))
        })
    }

    /// Adds a reference to the buffer of an input of this call, or of a packet retained before, so that it
    /// outlives the call.
    ///
    /// # Errors
    /// `BadArgument`: the instance cannot see such a buffer now, or the port holds `held` packets already.
    pub fn retain(&self, handle: u64) -> Result<(), Status> {
        self.host_call(|desk| desk.retain(handle))
    }

    /// Gives back a reference got by acquire or retain.
    ///
    /// # Errors
    /// `BadArgument`: the instance has no such reference.
    pub fn release(&self, handle: u64) -> Result<(), Status> {
        self.host_call(|desk| desk.release(handle))
    }

    /// As [`Outlet::acquire`], for a stage in Rust: the buffer itself, all of it.
    ///
    /// # Errors
    /// As [`Outlet::acquire`].
    pub fn acquire_mut(&self, port: u32) -> Result<BufferMut, Status> {
        self.host_call(|desk| desk.acquire(&self.slot, port, 0))
    }

    /// Emits what a source in Rust has sampled, when CLOCK_MONOTONIC showed `capture_ns`: `payload` must be of the
    /// port's format, and is that of the format where the format fixes all of it.
    ///
    /// # Errors
    /// As [`Outlet::emit`].
    pub fn emit_sample(
        &self,
        port: u32,
        payload: raw::Payload,
        buffer: Option<BufferMut>,
        capture_ns: u64,
    ) -> Result<(), Status> {
        self.host_call(|desk| desk.emit_sample(self, port, payload, buffer, capture_ns))
    }

    /// Counts samples that a source has lost, and leaves a gap for them in the sequence.
    ///
    /// # Errors
    /// `BadArgument`: no such port, or not inside `process`. `Stopping`: the instance was abandoned.
    pub fn skip(&self, port: u32, samples: u64) -> Result<(), Status> {
        self.host_call(|desk| desk.skip(self, port, samples))
    }

    /// Whether the pipeline wants the stage to come back soon.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.slot.stopping().is_some() || self.phase.load(Ordering::Relaxed) == phase::ABANDONED
    }

    /// Sleeps until the clock shows `until_ns`. The time does not count as the stage's own, and a stop ends it.
    ///
    /// # Errors
    /// `Stopping`: the pipeline stops or the instance was abandoned.
    pub fn sleep_until(&self, until_ns: u64) -> Result<(), Status> {
        self.host_call(|_| {
            let start = monotonic_ns();
            while monotonic_ns() < until_ns && self.slot.stopping().is_none() {
                self.slot
                    .bell
                    .wait(Ring::Command, Some(until_ns), || self.slot.stopping().is_some());
            }
            self.waited_ns.fetch_add(monotonic_ns() - start, Ordering::Relaxed);
            if self.slot.stopping().is_some() { Err(Status::Stopping) } else { Ok(()) }
        })
    }

    /// Runs what waits for a device, with a limit of its own; the time does not count as the stage's own.
    ///
    /// # Errors
    /// `Stopping`: the instance was abandoned. `BadArgument`: not inside `process`.
    pub fn waiting<R>(&self, wait: impl FnOnce() -> R) -> Result<R, Status> {
        self.host_call(|_| {
            let start = monotonic_ns();
            let result = wait();
            self.waited_ns.fetch_add(monotonic_ns() - start, Ordering::Relaxed);
            Ok(result)
        })
    }

    fn host_call<R>(&self, call: impl FnOnce(&mut Desk) -> Result<R, Status>) -> Result<R, Status> {
        let entered = self.phase.compare_exchange(
            phase::INSIDE,
            phase::HOST,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        match entered {
            Ok(_) => {}
            Err(phase::ABANDONED) => return Err(Status::Stopping),
            Err(_) => return Err(Status::BadArgument),
        }
        let result = match self.desk.try_lock() {
            Ok(mut desk) => call(&mut desk),
            Err(TryLockError::Poisoned(desk)) => call(&mut desk.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Status::BadArgument),
        };
        self.phase.store(phase::INSIDE, Ordering::Release);
        result
    }

    // What the stage's thread calls, outside of the instance.

    /// Opens a call with these inputs.
    pub(crate) fn begin(&self, inputs: &[Option<Packet>], now_ns: u64) {
        let mut count = 0;
        self.at_desk(|desk| count = desk.open(inputs));
        self.inputs.store(count, Ordering::Relaxed);
        self.emitted.store(0, Ordering::Relaxed);
        self.waited_ns.store(0, Ordering::Relaxed);
        self.started_ns.store(now_ns, Ordering::Relaxed);
        self.phase.store(phase::INSIDE, Ordering::Release);
    }

    /// Closes the call; `None` if the instance was abandoned in it, and with it this thread.
    pub(crate) fn finish(&self, now_ns: u64) -> Option<Call> {
        self.phase
            .compare_exchange(phase::INSIDE, phase::IDLE, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        let mut refused = false;
        self.at_desk(|desk| refused = desk.close());
        Some(self.call(now_ns, refused))
    }

    fn call(&self, now_ns: u64, refused: bool) -> Call {
        let since = now_ns.saturating_sub(self.started_ns.load(Ordering::Relaxed));
        let waited_ns = self.waited_ns.load(Ordering::Relaxed);
        Call {
            inputs: self.inputs.swap(0, Ordering::Relaxed).into(),
            emitted: self.emitted.load(Ordering::Relaxed) > 0,
            refused,
            inside_ns: since.saturating_sub(waited_ns),
            waited_ns,
        }
    }

    /// Hands an input on unchanged, out of the first port.
    pub(crate) fn bypass(&self, packet: &Packet) {
        self.at_desk(|desk| {
            desk.open(&[]);
            desk.hand_on(self, packet);
        });
    }

    /// Changes where packets go, between two calls.
    pub(crate) fn rewire(&self, ports: Vec<OutPort>) {
        self.at_desk(|desk| desk.set_ports(ports));
    }

    /// Drops every reference that the instance still has.
    pub(crate) fn clear(&self) {
        self.at_desk(Desk::clear);
    }

    /// The stage's thread is outside of the instance here, so that nobody else is at the desk.
    fn at_desk(&self, act: impl FnOnce(&mut Desk)) {
        match self.desk.try_lock() {
            Ok(mut desk) => act(&mut desk),
            Err(TryLockError::Poisoned(desk)) => act(&mut desk.into_inner()),
            Err(TryLockError::WouldBlock) => debug_assert!(false, "two threads in one instance"),
        }
    }

    // What the supervisor calls.

    /// How long the instance has been in its own code in the present call.
    pub(crate) fn inside_ns(&self, now_ns: u64) -> Option<u64> {
        (self.phase.load(Ordering::Acquire) == phase::INSIDE).then(|| {
            let since = now_ns.saturating_sub(self.started_ns.load(Ordering::Relaxed));
            since.saturating_sub(self.waited_ns.load(Ordering::Relaxed))
        })
    }

    /// Gives up on a hung instance: its calls fail from now on, and its thread, should it ever come back, ends. What
    /// the call had come to, or `None` if the instance is not in its own code at this moment.
    pub(crate) fn abandon(&self, now_ns: u64) -> Option<Call> {
        self.phase
            .compare_exchange(phase::INSIDE, phase::ABANDONED, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        Some(self.call(now_ns, false))
    }

    /// Inputs of the call that is going on.
    pub(crate) fn in_call(&self) -> u64 {
        self.inputs.load(Ordering::Relaxed).into()
    }
}

#[cfg(test)]
mod tests;
