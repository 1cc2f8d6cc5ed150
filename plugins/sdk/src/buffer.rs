//! Buffers: to be filled, or kept beyond a call.
use std::slice;

use edgemill_abi::{Element, Format, PacketView, Status, raw};

use crate::call::Origin;
use crate::host::Host;
use crate::payload::Outlet;
use crate::{Error, Result};

/// A reference to a buffer; given back when dropped.
pub(crate) struct Reference<'m> {
    host: Host<'m>,
    pub buffer: raw::Buffer,
}

impl Drop for Reference<'_> {
    fn drop(&mut self) {
        let table = self.host.table();
        // SAFETY: the reference is ours, from `acquire`, and lives at most until deactivate, where releasing is
        // allowed. The answer tells nothing that could be acted on.
        unsafe { (table.release)(table.raw, &raw const self.buffer) };
    }
}

/// A buffer to be filled and emitted. Given back when dropped.
pub struct Buffer<'m> {
    pub(crate) reference: Reference<'m>,
    pub(crate) outlet: &'m Outlet,
    /// Boxes set, in a buffer of detections.
    pub(crate) boxes: u32,
}

// SAFETY: it owns its bytes alone, and giving it back happens where it was got, on the stage's thread: inside
// `'m` no plugin's thread can outlive a call.
unsafe impl Send for Buffer<'_> {}

impl<'m> Buffer<'m> {
    pub(crate) fn new(host: Host<'m>, buffer: raw::Buffer, outlet: &'m Outlet) -> Result<Self> {
        let reference = Reference { host, buffer };
        let short = buffer.size < outlet.format.buffer_bytes() || buffer.data.is_null();
        let aligned = buffer.data.addr().is_multiple_of(align_of::<raw::Detection>());
        if short || !aligned {
            let text = "the host gave a buffer that is short or not aligned";
            return Err(Error::new(Status::Fault, text));
        }
        Ok(Self { reference, outlet, boxes: 0 })
    }

    /// All bytes that the format needs.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // A buffer is at most 1 GiB, which the format's check sees to.
        let length = usize::try_from(self.outlet.format.buffer_bytes()).unwrap_or(0);
        // SAFETY: `length` bytes are there, checked in `new`; only the stage that acquired a buffer may write it,
        // and only until it emits it, which takes `self`.
        unsafe { slice::from_raw_parts_mut(self.reference.buffer.data, length) }
    }

    /// All elements of a tensor or series.
    ///
    /// # Errors
    /// The port's format has elements of another type.
    pub fn elements_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        let dtype = match &self.outlet.format {
            Format::Tensor(tensor) => Some(tensor.dtype()),
            Format::Series(series) => Some(series.dtype()),
            _ => None,
        };
        if dtype != Some(T::DTYPE) {
            return Err(Error::unfit("the port's format has elements of another type"));
        }
        // SAFETY: `Element` is closed over plain numbers; the start is aligned, checked in `new`.
        Ok(unsafe { self.bytes_mut().align_to_mut::<T>().1 })
    }

    /// Sets the boxes of a port of detections; without this there are none.
    ///
    /// # Errors
    /// The port gives something else, or fewer boxes than these.
    pub fn set_boxes(&mut self, boxes: &[raw::Detection]) -> Result<()> {
        let Format::Detections(_) = self.outlet.format else {
            return Err(Error::unfit("the port does not give detections"));
        };
        // SAFETY: `Detection` is plain numbers; the start is aligned, checked in `new`.
        let all = unsafe { self.bytes_mut().align_to_mut::<raw::Detection>().1 };
        let Some(first) = all.get_mut(..boxes.len()) else {
            return Err(Error::unfit("more boxes than the port's format allows"));
        };
        first.copy_from_slice(boxes);
        // As many as fit a format are as many as fit a u32.
        self.boxes = u32::try_from(boxes.len()).unwrap_or(0);
        Ok(())
    }
}

/// A packet that is kept beyond its call. Given back when dropped.
pub struct Retained<'m> {
    pub(crate) host: Host<'m>,
    pub(crate) packet: raw::Packet,
}

// SAFETY: as for `Buffer`; its bytes are never changed.
unsafe impl Send for Retained<'_> {}

impl Retained<'_> {
    /// Checks the packet and reads it.
    ///
    /// # Errors
    /// What of it contradicts itself or the limits.
    pub fn view(&self) -> Result<PacketView<'_>> {
        // SAFETY: the buffer is readable while we hold a reference, and is never changed again.
        Ok(unsafe { PacketView::new(&self.packet)? })
    }

    /// Where and when it began.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        Origin::of(&self.packet)
    }
}

impl Drop for Retained<'_> {
    fn drop(&mut self) {
        if self.packet.buffer.handle != 0 {
            drop(Reference { host: self.host, buffer: self.packet.buffer });
        }
    }
}
