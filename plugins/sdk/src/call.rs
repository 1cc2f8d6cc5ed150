//! One call of process: what came in, and the ways out.
use std::cell::Cell;
use std::ffi::c_void;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use edgemill_abi::format::Event;
use edgemill_abi::{
    DetectionsView, ImageView, PacketView, Reason, SeriesView, Status, TensorView, raw,
};

use crate::buffer::{Buffer, Retained};
use crate::host::{Host, answer};
use crate::payload::{NO_BUFFER, Outlet, Payload};
use crate::{Error, Result};

/// What the host's refusal of a packet means.
const NOT_EMITTED: &str = "emit: not of the port's format, or more packets than its `burst`";

/// One call of process. `'m` lasts until the end of deactivate, `'c` for this call.
pub struct Call<'c, 'm> {
    host: Host<'m>,
    reason: Reason,
    inputs: &'c [Option<&'c raw::Packet>],
    outlets: &'m [Outlet],
    ended: Cell<bool>,
}

impl<'c, 'm> Call<'c, 'm> {
    pub(crate) fn new(
        host: Host<'m>,
        reason: Reason,
        inputs: &'c [Option<&'c raw::Packet>],
        outlets: &'m [Outlet],
    ) -> Self {
        Self { host, reason, inputs, outlets, ended: Cell::new(false) }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// The host of this instance.
    #[must_use]
    pub fn host(&self) -> Host<'m> {
        self.host
    }

    /// Why process is called.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// For a source: it has ended and must not be called again.
    pub fn end(&self) {
        self.ended.set(true);
    }

    /// What came in at an input port; `None` where nothing came.
    #[must_use]
    pub fn input(&self, port: usize) -> Option<Input<'c>> {
        self.inputs.get(port).copied().flatten().map(Input)
    }

    /// The picture that came in at an input port.
    ///
    /// # Errors
    /// The packet carries something else, or contradicts itself.
    pub fn image(&self, port: usize) -> Result<Option<ImageView<'c>>> {
        self.read(port, "an image", |view| match view {
            PacketView::Image(image) => Some(image),
            _ => None,
        })
    }

    /// The tensor that came in at an input port.
    ///
    /// # Errors
    /// The packet carries something else, or contradicts itself.
    pub fn tensor(&self, port: usize) -> Result<Option<TensorView<'c>>> {
        self.read(port, "a tensor", |view| match view {
            PacketView::Tensor(tensor) => Some(tensor),
            _ => None,
        })
    }

    /// The boxes that came in at an input port.
    ///
    /// # Errors
    /// The packet carries something else, or contradicts itself.
    pub fn detections(&self, port: usize) -> Result<Option<DetectionsView<'c>>> {
        self.read(port, "detections", |view| match view {
            PacketView::Detections(detections) => Some(detections),
            _ => None,
        })
    }

    /// The samples that came in at an input port.
    ///
    /// # Errors
    /// The packet carries something else, or contradicts itself.
    pub fn series(&self, port: usize) -> Result<Option<SeriesView<'c>>> {
        self.read(port, "a series", |view| match view {
            PacketView::Series(series) => Some(series),
            _ => None,
        })
    }

    /// The decision that came in at an input port.
    ///
    /// # Errors
    /// The packet carries something else, or contradicts itself.
    pub fn event(&self, port: usize) -> Result<Option<Event>> {
        self.read(port, "an event", |view| match view {
            PacketView::Event(event) => Some(event),
            _ => None,
        })
    }

    fn read<T>(
        &self,
        port: usize,
        wanted: &str,
        pick: impl FnOnce(PacketView<'c>) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(input) = self.input(port) else { return Ok(None) };
        let view = input.view()?;
        let got = view.word();
        let unexpected = || Error::unfit(format!("input {port} carries {got}, not {wanted}"));
        pick(view).map(Some).ok_or_else(unexpected)
    }

    /// A free buffer of an output port, as large as its format needs, its bytes undefined. Never blocks.
    ///
    /// # Errors
    /// There is no free buffer (the host has counted the loss: pass the error on with `?`), or no such port.
    pub fn acquire(&self, port: usize) -> Result<Buffer<'m>> {
        let outlet = self.outlet(port)?;
        let bytes = outlet.format.buffer_bytes();
        let mut buffer = NO_BUFFER;
        let table = self.host.table();
        // SAFETY: a `Call` exists only inside process, on the stage's thread, where `acquire` may be called.
        let status = unsafe { (table.acquire)(table.raw, number(port), bytes, &raw mut buffer) };
        answer(status, "acquire: no such port, or more buffers than its `burst`")?;
        Buffer::new(self.host, buffer, outlet)
    }

    /// Keeps an input beyond this call. A port may hold as many as its `held` says.
    ///
    /// # Errors
    /// The port holds as many already.
    pub fn retain(&self, port: usize) -> Result<Option<Retained<'m>>> {
        let Some(Input(packet)) = self.input(port) else { return Ok(None) };
        if packet.buffer.handle != 0 {
            let table = self.host.table();
            // SAFETY: as in `acquire`; the buffer is an input's, which the host lets us see now.
            let status = unsafe { (table.retain)(table.raw, &raw const packet.buffer) };
            answer(status, "retain: the port holds as many packets as its `held` allows")?;
        }
        Ok(Some(Retained { host: self.host, packet: *packet }))
    }

    /// Sends a payload out of an output port: an [`Event`], a filled [`Buffer`], or an [`Input`] by
    /// reference. The host sets stream, sequence and times from this call's input.
    ///
    /// # Errors
    /// There is no such port, the payload is not of its format, or the stage is stopping.
    pub fn emit(&self, port: usize, payload: impl Payload) -> Result<()> {
        let table = self.host.table();
        let status = payload.send(self.outlet(port)?, |packet| {
            // SAFETY: as in `acquire`; the reference to the packet's buffer is ours and the host takes it over.
            unsafe { (table.emit)(table.raw, number(port), &raw const *packet) }
        })?;
        answer(status, NOT_EMITTED)
    }

    /// As [`Call::emit`], with stream, sequence and times of `origin`.
    ///
    /// # Errors
    /// As [`Call::emit`].
    pub fn emit_from(
        &self,
        port: usize,
        payload: impl Payload,
        origin: &Retained<'m>,
    ) -> Result<()> {
        let table = self.host.table();
        let status = payload.send(self.outlet(port)?, |packet| {
            // SAFETY: as in `emit`; `origin` is a packet that we retain.
            unsafe {
                (table.emit_from)(
                    table.raw,
                    number(port),
                    &raw const *packet,
                    &raw const origin.packet,
                )
            }
        })?;
        answer(status, NOT_EMITTED)
    }

    /// Sends a retained packet on as it came, with its own stream, sequence and times.
    ///
    /// # Errors
    /// As [`Call::emit`].
    pub fn forward(&self, port: usize, retained: Retained<'m>) -> Result<()> {
        let packet = retained.packet;
        let handle = packet.buffer.handle;
        if !self.inputs.iter().flatten().any(|input| input.buffer.handle == handle) {
            // The reference goes with the packet. While the buffer is also an input's, the host adds one of its own
            // instead, and ours is given back as `retained` is dropped.
            mem::forget(retained);
        }
        let table = self.host.table();
        // SAFETY: as in `emit`; the packet is one that we retained.
        let status = unsafe {
            (table.emit_from)(table.raw, number(port), &raw const packet, &raw const packet)
        };
        answer(status, NOT_EMITTED)
    }

    /// Calls `run(i)` for i in 0..`count` on the stage's helper threads and this one, and comes back when all are
    /// done.
    ///
    /// # Errors
    /// One of the calls panicked, or the stage is stopping.
    pub fn parallel<F: Fn(u32) + Sync>(&self, count: u32, run: F) -> Result<()> {
        let job = Job { run, panicked: AtomicBool::new(false) };
        let table = self.host.table();
        let data = (&raw const job).cast_mut().cast::<c_void>();
        // SAFETY: as in `acquire`; `Job::entry` takes what `data` leads to, which stays until all calls are done,
        // and `F` may be called from several threads at once.
        let status = unsafe { (table.parallel)(table.raw, Some(Job::<F>::entry), data, count) };
        if job.panicked.load(Ordering::Relaxed) {
            return Err(Error::new(Status::Fault, "a parallel call panicked"));
        }
        answer(status, "parallel: not now")
    }

    fn outlet(&self, port: usize) -> Result<&'m Outlet> {
        self.outlets.get(port).ok_or_else(|| Error::unfit("there is no such output port"))
    }
}

/// The number of a port that is known to exist, or one that surely does not.
fn number(port: usize) -> u32 {
    u32::try_from(port).unwrap_or(u32::MAX)
}

/// A closure and whether one of its calls panicked.
struct Job<F> {
    run: F,
    panicked: AtomicBool,
}

impl<F: Fn(u32) + Sync> Job<F> {
    /// # Safety
    /// `data` leads to a `Job<F>` that stays until this returns.
    unsafe extern "C" fn entry(data: *mut c_void, index: u32) {
        // SAFETY: the caller's promise.
        let job = unsafe { &*data.cast::<Self>() };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (job.run)(index))) {
            job.panicked.store(true, Ordering::Relaxed);
            // Dropping an unknown payload could panic again.
            mem::forget(panic);
        }
    }
}

/// A packet that came in, borrowed for the call.
#[derive(Clone, Copy)]
pub struct Input<'c>(&'c raw::Packet);

impl<'c> Input<'c> {
    pub(crate) const fn packet(&self) -> &'c raw::Packet {
        self.0
    }

    /// Checks the packet and reads it.
    ///
    /// # Errors
    /// What of it contradicts itself or the limits.
    pub fn view(&self) -> Result<PacketView<'c>> {
        // SAFETY: an input's buffer is readable while it is borrowed, which `'c` is, and a buffer that was emitted
        // is never changed again.
        Ok(unsafe { PacketView::new(self.0)? })
    }

    /// Where and when it began.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        Origin::of(self.0)
    }
}

/// Where and when a packet began; what is emitted in the same call inherits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which source.
    pub stream: u64,
    /// Counts from 0 within the stream; a gap is a loss.
    pub sequence: u64,
    /// When the world was sampled, CLOCK_MONOTONIC in nanoseconds.
    pub capture_ns: u64,
    /// After it the packet is dropped unread; 0 for none. Same clock.
    pub deadline_ns: u64,
}

impl Origin {
    pub(crate) const fn of(packet: &raw::Packet) -> Self {
        Self {
            stream: packet.stream,
            sequence: packet.sequence,
            capture_ns: packet.capture_ns,
            deadline_ns: packet.deadline_ns,
        }
    }
}
