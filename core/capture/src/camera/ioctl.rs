//! The calls into V4L2 that a stream needs (linux/videodev2.h, "Streaming I/O, memory mapping"). The `v4l` crate
//! supplies the structures, the request codes and the device's handle; its own conversions of a driver's answers
//! and its own stream panic on answers they do not know, so those few are made here, checked.
//!
//! All of this crate's `unsafe` is in this file.
use std::io;
use std::os::fd::BorrowedFd;

use v4l::Device;
use v4l::v4l_sys as sys;
use v4l::v4l2::{self, vidioc};

const CAPTURE: u32 = sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE;
const MMAP: u32 = sys::v4l2_memory_V4L2_MEMORY_MMAP;
/// More formats than any known driver lists; a driver that never ends its list must not hold us.
const MOST_FORMATS: u32 = 64;

/// A V4L2 request code with the structure that the kernel reads and writes for it.
///
/// # Safety
/// `CODE` encodes the size of `Self`, so that the kernel touches exactly that structure; `Self` is plain data, for
/// which zero bytes are a value.
unsafe trait Request {
    const CODE: vidioc::_IOC_TYPE;
}

/// Ties a structure to its code, once both agree on the size (bits 16 to 29 of a code, asm-generic/ioctl.h).
macro_rules! request {
    ($name:ident, $structure:ty, $code:ident) => {
        #[repr(transparent)]
        struct $name($structure);
        const _: () = assert!((vidioc::$code >> 16) & 0x3fff == size_of::<$name>() as _);
        // SAFETY: the assertion above compares the sizes; the structure is a C structure of integers and unions.
        unsafe impl Request for $name {
            const CODE: vidioc::_IOC_TYPE = vidioc::$code;
        }
    };
}

request!(QueryCap, sys::v4l2_capability, VIDIOC_QUERYCAP);
request!(EnumFmt, sys::v4l2_fmtdesc, VIDIOC_ENUM_FMT);
request!(SetFmt, sys::v4l2_format, VIDIOC_S_FMT);
request!(ReqBufs, sys::v4l2_requestbuffers, VIDIOC_REQBUFS);
request!(QueryBuf, sys::v4l2_buffer, VIDIOC_QUERYBUF);
request!(QBuf, sys::v4l2_buffer, VIDIOC_QBUF);
request!(DqBuf, sys::v4l2_buffer, VIDIOC_DQBUF);
request!(StreamOn, std::ffi::c_int, VIDIOC_STREAMON);
request!(StreamOff, std::ffi::c_int, VIDIOC_STREAMOFF);

fn zeroed<R: Request>() -> R {
    // SAFETY: zero bytes are a value of every `Request`, by its contract.
    unsafe { std::mem::zeroed() }
}

fn call<R: Request>(device: &Device, request: &mut R) -> io::Result<()> {
    // SAFETY: the code says how large the structure is, by `Request`'s contract, and `request` is borrowed
    // exclusively for the call; the handle is open for as long as `device` is borrowed.
    unsafe { v4l2::ioctl(device.handle().fd(), R::CODE, std::ptr::from_mut(request).cast()) }
}

/// The device's descriptor, to poll it.
pub(super) fn descriptor(device: &Device) -> BorrowedFd<'_> {
    // SAFETY: the handle is open for as long as `device` is borrowed, and so is the result.
    unsafe { BorrowedFd::borrow_raw(device.handle().fd()) }
}

/// What the device is.
pub(super) struct Capability {
    /// Its name for people.
    pub card: String,
    /// The kernel's driver.
    pub driver: String,
    /// V4L2_CAP_… of this device node.
    pub flags: u32,
}

/// `VIDIOC_QUERYCAP`.
pub(super) fn capability(device: &Device) -> io::Result<Capability> {
    let mut request: QueryCap = zeroed();
    call(device, &mut request)?;
    let text = |bytes: &[u8]| {
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    };
    let flags = match request.0.capabilities & sys::V4L2_CAP_DEVICE_CAPS {
        0 => request.0.capabilities,
        _ => request.0.device_caps,
    };
    Ok(Capability { card: text(&request.0.card), driver: text(&request.0.driver), flags })
}

/// `VIDIOC_ENUM_FMT`: the codes of the pixel formats on offer.
pub(super) fn formats(device: &Device) -> Vec<[u8; 4]> {
    (0..MOST_FORMATS)
        .map_while(|index| {
            let mut request: EnumFmt = zeroed();
            (request.0.index, request.0.type_) = (index, CAPTURE);
            call(device, &mut request).ok().map(|()| request.0.pixelformat.to_le_bytes())
        })
        .collect()
}

/// The picture format a device is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pix {
    pub fourcc: u32,
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// `V4L2_FIELD_…`.
    pub field: u32,
}

/// `VIDIOC_S_FMT`: asks for a progressive picture; the driver answers with the nearest it can do.
pub(super) fn set_format(device: &Device, fourcc: u32, width: u32, height: u32) -> io::Result<Pix> {
    let mut request: SetFmt = zeroed();
    request.0.type_ = CAPTURE;
    request.0.fmt.pix = sys::v4l2_pix_format {
        width,
        height,
        pixelformat: fourcc,
        field: sys::v4l2_field_V4L2_FIELD_NONE,
        // SAFETY: a C structure of integers, for which zero bytes are a value.
        ..unsafe { std::mem::zeroed() }
    };
    call(device, &mut request)?;
    // SAFETY: `type_` selects `pix`, and the kernel keeps both for a capture queue.
    let pix = unsafe { request.0.fmt.pix };
    Ok(Pix {
        fourcc: pix.pixelformat,
        width: pix.width,
        height: pix.height,
        stride: pix.bytesperline,
        field: pix.field,
    })
}

/// `VIDIOC_STREAMON`.
pub(super) fn stream_on(device: &Device) -> io::Result<()> {
    call(device, &mut StreamOn(CAPTURE.cast_signed()))
}

/// `VIDIOC_STREAMOFF`; every buffer is then out of the driver's queues.
pub(super) fn stream_off(device: &Device) -> io::Result<()> {
    call(device, &mut StreamOff(CAPTURE.cast_signed()))
}

/// What the driver says of a buffer that it has filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub index: u32,
    pub bytes_used: u32,
    /// `V4L2_BUF_FLAG_…`.
    pub flags: u32,
    /// Counted by the driver; a gap is frames it could not deliver.
    pub sequence: u32,
    /// Of the clock that `flags` name.
    pub timestamp_ns: u64,
}

/// The driver's buffers of one stream, mapped for reading. A buffer is readable from the dequeue that names it to
/// the queue that gives it back; [`Buffers::read`] holds to that.
pub(super) struct Buffers {
    /// After the mappings in the order of dropping, so that the device outlives them.
    maps: Vec<Mapping>,
    device: Device,
}

struct Mapping {
    start: *mut u8,
    length: usize,
    /// Ours to read; else the driver's to write.
    dequeued: bool,
}

// SAFETY: a mapping is memory of the process, not of a thread, and is only reached through its one owner.
unsafe impl Send for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `length` are what mmap gave and was given, and no slice of it outlives a borrow of
        // `Buffers`. An error would mean a wrong address, which leaves nothing better to do.
        let _ = unsafe { v4l2::munmap(self.start.cast(), self.length) };
    }
}

impl Buffers {
    /// `VIDIOC_REQBUFS`, then maps what the driver granted, which may be more or fewer than `count`.
    pub(super) fn map(device: Device, count: u32) -> io::Result<Self> {
        let granted = request_buffers(&device, count)?;
        let maps = (0..granted).map(|index| map_one(&device, index)).collect::<io::Result<_>>()?;
        Ok(Self { maps, device })
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.maps.len()).unwrap_or(u32::MAX)
    }

    /// `VIDIOC_QBUF`: hands a buffer to the driver.
    pub(super) fn queue(&mut self, index: u32) -> io::Result<()> {
        let map = mapping(&mut self.maps, index)?;
        let mut request: QBuf = zeroed();
        (request.0.index, request.0.type_, request.0.memory) = (index, CAPTURE, MMAP);
        map.dequeued = false;
        call(&self.device, &mut request)
    }

    /// `VIDIOC_DQBUF`: takes back a filled buffer; `WouldBlock` when there is none.
    pub(super) fn dequeue(&mut self) -> io::Result<Filled> {
        let mut request: DqBuf = zeroed();
        (request.0.type_, request.0.memory) = (CAPTURE, MMAP);
        call(&self.device, &mut request)?;
        let answer = request.0;
        mapping(&mut self.maps, answer.index)?.dequeued = true;
        Ok(Filled {
            index: answer.index,
            bytes_used: answer.bytesused,
            flags: answer.flags,
            sequence: answer.sequence,
            timestamp_ns: nanoseconds(answer.timestamp),
        })
    }

    /// The bytes of a buffer that was dequeued and not yet queued again; at most as many as were mapped.
    pub(super) fn read(&self, filled: &Filled) -> &[u8] {
        let Some(map) = self.maps.get(filled.index as usize).filter(|map| map.dequeued) else {
            return &[];
        };
        let length = map.length.min(filled.bytes_used as usize);
        // SAFETY: the mapping is `map.length` bytes long and readable; `dequeued` says that the driver does not
        // write to it before the next `queue`, which needs `self` exclusively and so ends this borrow.
        unsafe { std::slice::from_raw_parts(map.start, length) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // The mappings go first: a driver may refuse to free buffers that are mapped. On a device that has gone
        // both calls fail, and closing it frees everything.
        let _ = stream_off(&self.device);
        self.maps.clear();
        let _ = request_buffers(&self.device, 0);
    }
}

fn request_buffers(device: &Device, count: u32) -> io::Result<u32> {
    let mut request: ReqBufs = zeroed();
    (request.0.count, request.0.type_, request.0.memory) = (count, CAPTURE, MMAP);
    call(device, &mut request)?;
    Ok(request.0.count)
}

fn map_one(device: &Device, index: u32) -> io::Result<Mapping> {
    let mut request: QueryBuf = zeroed();
    (request.0.index, request.0.type_, request.0.memory) = (index, CAPTURE, MMAP);
    call(device, &mut request)?;
    let length = request.0.length as usize;
    // SAFETY: `memory` is MMAP, for which the kernel fills in `offset`.
    let offset = unsafe { request.0.m.offset };
    // SAFETY: a new mapping at an address of the kernel's choice; it replaces nothing.
    let start = unsafe {
        v4l2::mmap(
            std::ptr::null_mut(),
            length,
            nix::libc::PROT_READ,
            nix::libc::MAP_SHARED,
            device.handle().fd(),
            offset.into(),
        )?
    };
    Ok(Mapping { start: start.cast(), length, dequeued: false })
}

/// The kernel's index, believed only where there is such a buffer.
fn mapping(maps: &mut [Mapping], index: u32) -> io::Result<&mut Mapping> {
    maps.get_mut(index as usize).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn nanoseconds(time: sys::timeval) -> u64 {
    let (seconds, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000) + micros.unwrap_or(0).saturating_mul(1000)
}
