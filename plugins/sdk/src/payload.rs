//! What can be emitted, and how each hands over its reference.
use std::mem::ManuallyDrop;
use std::ptr;

use edgemill_abi::format::Event;
use edgemill_abi::{Format, raw};

use crate::buffer::Buffer;
use crate::call::Input;
use crate::{Error, Result};

/// What can be emitted.
pub trait Payload: sealed::Packed {}

impl Payload for Event {}
impl Payload for Buffer<'_> {}
impl Payload for Input<'_> {}

pub(crate) const NO_BUFFER: raw::Buffer = raw::Buffer { handle: 0, data: ptr::null_mut(), size: 0 };

/// An output port as process needs it.
pub struct Outlet {
    pub(crate) format: Format,
    /// A packet of the format, without its buffer. The host sets stream, sequence and times.
    packet: raw::Packet,
}

impl Outlet {
    pub fn new(format: Format) -> Self {
        let packet = raw::Packet {
            stream: 0,
            sequence: 0,
            capture_ns: 0,
            deadline_ns: 0,
            generation: 0,
            kind: format.kind().raw(),
            payload: format.payload(),
            buffer: NO_BUFFER,
        };
        Self { format, packet }
    }
}

pub mod sealed {
    use super::Outlet;
    use crate::{Result, raw};

    /// Closed, because a packet's reference is handed over with it.
    pub trait Packed {
        /// Calls `send` with the packet, which takes over the reference to its buffer, and gives its answer.
        fn send(
            self,
            outlet: &Outlet,
            send: impl FnOnce(&raw::Packet) -> raw::Status,
        ) -> Result<raw::Status>;
    }
}

use sealed::Packed;

impl Packed for Event {
    fn send(
        self,
        outlet: &Outlet,
        send: impl FnOnce(&raw::Packet) -> raw::Status,
    ) -> Result<raw::Status> {
        let (kind, payload) = (raw::KIND_EVENT, self.raw().into());
        Ok(send(&raw::Packet { kind, payload, buffer: NO_BUFFER, ..outlet.packet }))
    }
}

impl Packed for Buffer<'_> {
    fn send(
        self,
        outlet: &Outlet,
        send: impl FnOnce(&raw::Packet) -> raw::Status,
    ) -> Result<raw::Status> {
        if !ptr::eq(self.outlet, outlet) {
            return Err(Error::unfit("the buffer is of another port"));
        }
        let mut packet = outlet.packet;
        if let Format::Detections(format) = &outlet.format {
            packet.payload = raw::Detections { count: self.boxes, ..format.raw() }.into();
        }
        packet.buffer = ManuallyDrop::new(self.reference).buffer;
        Ok(send(&packet))
    }
}

impl Packed for Input<'_> {
    fn send(
        self,
        _: &Outlet,
        send: impl FnOnce(&raw::Packet) -> raw::Status,
    ) -> Result<raw::Status> {
        Ok(send(self.packet()))
    }
}
