//! What can be emitted, and how each hands over its reference.
use std::mem::ManuallyDrop;
use std::ptr;

use edgemill_abi::format::Event;
use edgemill_abi::{Format, raw};

use crate::buffer::Buffer;
use crate::call::Input;
use crate::{Error, Result};

/// An output port as process needs it.
pub struct Outlet {
    pub(crate) format: Format,
    payload: raw::Payload,
}

impl Outlet {
    pub fn new(format: Format) -> Self {
        Self { format, payload: format.payload() }
    }
}

/// What can be emitted.
pub trait Payload: sealed::Parts {}

impl Payload for Event {}
impl Payload for Buffer<'_> {}
impl Payload for Input<'_> {}

pub mod sealed {
    use super::Outlet;
    use crate::{Result, raw};

    /// Closed, because a packet's reference is handed over with it.
    pub trait Parts {
        /// The packet's own parts; the reference to the buffer goes with them.
        fn into_parts(self, outlet: &Outlet) -> Result<Packed>;
    }

    /// Kind, payload and buffer of a packet; the host sets the rest.
    pub struct Packed {
        pub kind: u32,
        pub payload: raw::Payload,
        pub buffer: raw::Buffer,
    }

    impl Packed {
        pub fn packet(self) -> raw::Packet {
            raw::Packet {
                stream: 0,
                sequence: 0,
                capture_ns: 0,
                deadline_ns: 0,
                generation: 0,
                kind: self.kind,
                payload: self.payload,
                buffer: self.buffer,
            }
        }
    }
}

use sealed::{Packed, Parts};

const NO_BUFFER: raw::Buffer = raw::Buffer { handle: 0, data: ptr::null_mut(), size: 0 };

impl Packed {
    fn of(packet: &raw::Packet) -> Self {
        Self { kind: packet.kind, payload: packet.payload, buffer: packet.buffer }
    }
}

impl Parts for Event {
    fn into_parts(self, _: &Outlet) -> Result<Packed> {
        Ok(Packed { kind: raw::KIND_EVENT, payload: self.raw().into(), buffer: NO_BUFFER })
    }
}

impl Parts for Buffer<'_> {
    fn into_parts(self, outlet: &Outlet) -> Result<Packed> {
        if outlet.format != self.format {
            return Err(Error::unfit("the buffer is of a port with another format"));
        }
        let mut payload = outlet.payload;
        if let (Format::Detections(format), Some(count)) = (&outlet.format, self.count) {
            payload = raw::Detections { count, ..format.raw() }.into();
        }
        let buffer = ManuallyDrop::new(self.reference).buffer;
        Ok(Packed { kind: outlet.format.kind().raw(), payload, buffer })
    }
}

impl Parts for Input<'_> {
    fn into_parts(self, _: &Outlet) -> Result<Packed> {
        Ok(Packed::of(self.packet()))
    }
}
