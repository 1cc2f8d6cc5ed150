//! The packet: a small descriptor, and with it the reference that keeps its buffer.
use edgemill_abi::{PacketView, ViewError, raw};

use crate::pool::{self, BufferRef};

/// Where a packet comes from and until when it is worth the work. Inherited by what is made from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which source it began at.
    pub stream: u64,
    /// Counts from 0 within the stream.
    pub sequence: u64,
    /// CLOCK_MONOTONIC when the world was sampled, nanoseconds.
    pub capture_ns: u64,
    /// Same clock; after it the packet is dropped unread; 0 for none.
    pub deadline_ns: u64,
}

/// A packet in the pipeline's hands: its payload is of its port's format, and its buffer stays while it does.
#[derive(Clone, Debug)]
pub struct Packet {
    raw: raw::Packet,
    buffer: Option<BufferRef>,
}

impl Packet {
    /// `raw.buffer` is set from `buffer`; its times and sequence from `origin`.
    pub(crate) fn new(
        origin: Origin,
        generation: u32,
        kind: u32,
        payload: raw::Payload,
        buffer: Option<BufferRef>,
    ) -> Self {
        let Origin { stream, sequence, capture_ns, deadline_ns } = origin;
        let memory = buffer.as_ref().map_or(NO_BUFFER, BufferRef::raw);
        let raw = raw::Packet {
            stream,
            sequence,
            capture_ns,
            deadline_ns,
            generation,
            kind,
            payload,
            buffer: memory,
        };
        Self { raw, buffer }
    }

    /// As it crosses the boundary; its buffer is readable as long as `self`.
    #[must_use]
    pub fn raw(&self) -> &raw::Packet {
        &self.raw
    }

    /// The reference to its buffer; `None` for an event.
    #[must_use]
    pub fn buffer(&self) -> Option<&BufferRef> {
        self.buffer.as_ref()
    }

    /// What it carries.
    ///
    /// # Errors
    /// The payload contradicts itself: the stage it came from wrote it, and only its format was compared.
    pub fn view(&self) -> Result<PacketView<'_>, ViewError> {
        pool::view(&self.raw, self.buffer.as_ref())
    }

    /// Its stream, sequence and times.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let raw::Packet { stream, sequence, capture_ns, deadline_ns, .. } = self.raw;
        Origin { stream, sequence, capture_ns, deadline_ns }
    }

    pub(crate) fn is_stale(&self, now_ns: u64) -> bool {
        self.raw.deadline_ns != 0 && self.raw.deadline_ns < now_ns
    }
}

/// What an event has for a buffer.
const NO_BUFFER: raw::Buffer = raw::Buffer { handle: 0, data: std::ptr::null_mut(), size: 0 };
