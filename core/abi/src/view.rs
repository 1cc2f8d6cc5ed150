//! Checked views of packets: payload within its limits, bytes within the buffer, aligned for their elements.
use core::slice;

use crate::element::{Element, element_align, elements};
use crate::format::{self, Format, FormatError};
use crate::raw;

/// Why a packet cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// Its payload is out of its limits.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The buffer is smaller than the payload says.
    #[error("the payload needs {needed} bytes, the buffer has {size}")]
    Short {
        /// Bytes that the payload takes.
        needed: u64,
        /// Bytes of the buffer.
        size: u64,
    },
    /// There is no buffer, or it has no address.
    #[error("the packet has no buffer")]
    NoBuffer,
    /// An event travels inside its packet.
    #[error("an event has a buffer")]
    EventWithBuffer,
    /// The bytes do not lie where their elements may lie.
    #[error("the buffer is not aligned to {0} bytes")]
    Misaligned(usize),
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub enum PacketView<'a> {
    /// A picture.
    Image(ImageView<'a>),
    /// A dense array.
    Tensor(TensorView<'a>),
    /// Boxes.
    Detections(DetectionsView<'a>),
    /// Samples.
    Series(SeriesView<'a>),
    /// A decision.
    Event(format::Event),
}

impl<'a> PacketView<'a> {
    /// Checks a packet that the other side has handed over.
    ///
    /// # Errors
    /// What of the packet contradicts itself or the limits.
    ///
    /// # Safety
    /// `packet.buffer.data`, unless NULL, is readable for `packet.buffer.size` bytes for all of `'a`, and nobody
    /// writes there meanwhile.
    pub unsafe fn new(packet: &raw::Packet) -> Result<Self, ViewError> {
        let format = Format::of_payload(packet.kind, &packet.payload)?;
        // SAFETY: the caller's promise.
        let bytes = || unsafe { bytes_of(&packet.buffer, format.buffer_bytes()) };
        Ok(match format {
            Format::Image(format) => Self::Image(ImageView { format, bytes: bytes()? }),
            Format::Tensor(format) => {
                let bytes = aligned(bytes()?, element_align(format.dtype()))?;
                Self::Tensor(TensorView { format, bytes })
            }
            Format::Detections(format) => {
                let bytes = aligned(bytes()?, align_of::<raw::Detection>())?;
                Self::Detections(DetectionsView { format, bytes })
            }
            Format::Series(format) => {
                let bytes = aligned(bytes()?, element_align(format.dtype()))?;
                Self::Series(SeriesView { format, bytes })
            }
            Format::Event if packet.buffer.handle != 0 => return Err(ViewError::EventWithBuffer),
            Format::Event => Self::Event(format::Event::new(packet.payload.event())?),
        })
    }

    /// One word for messages.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Image(_) => "an image",
            Self::Tensor(_) => "a tensor",
            Self::Detections(_) => "detections",
            Self::Series(_) => "a series",
            Self::Event(_) => "an event",
        }
    }
}

/// The first `needed` bytes of a buffer.
///
/// # Safety
/// `buffer.data`, unless NULL, is readable for `buffer.size` bytes for all of `'a`, and nobody writes there.
unsafe fn bytes_of<'a>(buffer: &raw::Buffer, needed: u64) -> Result<&'a [u8], ViewError> {
    if buffer.size < needed {
        return Err(ViewError::Short { needed, size: buffer.size });
    }
    if needed == 0 {
        return Ok(&[]);
    }
    if buffer.handle == 0 || buffer.data.is_null() {
        return Err(ViewError::NoBuffer);
    }
    // `needed` is at most MAX_BUFFER_BYTES, which fits.
    let length = usize::try_from(needed).unwrap_or(0);
    // SAFETY: `data` is not NULL and `length` is at most `size`, checked above; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(buffer.data, length) })
}

fn aligned(bytes: &[u8], align: usize) -> Result<&[u8], ViewError> {
    // No boxes are no bytes, wherever they are.
    if bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(align) {
        Ok(bytes)
    } else {
        Err(ViewError::Misaligned(align))
    }
}

/// A picture and its pixels.
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a> {
    format: format::Image,
    bytes: &'a [u8],
}

impl<'a> ImageView<'a> {
    /// Sides, pixel format, planes.
    #[must_use]
    pub const fn format(&self) -> &format::Image {
        &self.format
    }

    /// The buffer from its start to the end of the last plane, rows `stride` apart.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The pixels of one row of the first plane; `None` below the picture.
    #[must_use]
    pub fn row(&self, y: u32) -> Option<&'a [u8]> {
        let plane = self.format.planes().first()?;
        let start = plane.offset as usize + plane.stride as usize * y as usize;
        let row = self.bytes.get(start..start + self.format.row_bytes());
        row.filter(|_| y < self.format.height())
    }
}

/// A tensor and its elements.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    format: format::Tensor,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// Type, shape, quantization.
    #[must_use]
    pub const fn format(&self) -> &format::Tensor {
        &self.format
    }

    /// All elements as bytes, row-major.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All elements, row-major; `None` where they are of another type.
    #[must_use]
    pub fn elements<T: Element>(&self) -> Option<&'a [T]> {
        elements(self.format.dtype(), self.bytes)
    }
}

/// Boxes.
#[derive(Clone, Copy, Debug)]
pub struct DetectionsView<'a> {
    format: format::Detections,
    bytes: &'a [u8],
}

impl<'a> DetectionsView<'a> {
    /// Count and frame.
    #[must_use]
    pub const fn format(&self) -> &format::Detections {
        &self.format
    }

    /// The boxes. Their numbers are as the sender wrote them.
    #[must_use]
    pub fn boxes(&self) -> &'a [raw::Detection] {
        // SAFETY: `Detection` is plain numbers without padding; `align_to` keeps to what is aligned, and that the
        // bytes are aligned was checked when the view was made.
        unsafe { self.bytes.align_to::<raw::Detection>().1 }
    }
}

/// A series and its samples.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    format: format::Series,
    bytes: &'a [u8],
}

impl<'a> SeriesView<'a> {
    /// Type, channels, samples, rate.
    #[must_use]
    pub const fn format(&self) -> &format::Series {
        &self.format
    }

    /// All samples as bytes, sample-major.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All samples, sample-major; `None` where they are of another type.
    #[must_use]
    pub fn elements<T: Element>(&self) -> Option<&'a [T]> {
        elements(self.format.dtype(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;
    use crate::raw::{Buffer, Packet, Payload};

    #[repr(align(64))]
    struct Aligned([u8; 4096]);

    fn packet(kind: u32, payload: impl Into<Payload>, memory: &mut Aligned, size: u64) -> Packet {
        let buffer = Buffer { handle: 1, data: memory.0.as_mut_ptr(), size };
        Packet {
            stream: 1,
            sequence: 2,
            capture_ns: 3,
            deadline_ns: 0,
            generation: 0,
            kind,
            payload: payload.into(),
            buffer,
        }
    }

    fn image(fourcc: u32, width: u32, height: u32, stride: u32) -> raw::Image {
        let mut planes = [raw::Plane::default(); 3];
        planes[0].stride = stride;
        raw::Image { fourcc, width, height, plane_count: 1, planes }
    }

    fn tensor(dtype: u32, shape: &[u32]) -> raw::Tensor {
        let mut tensor = raw::Tensor { dtype, ..raw::Tensor::default() };
        tensor.rank = u32::try_from(shape.len()).expect("six at most");
        tensor.shape[..shape.len()].copy_from_slice(shape);
        tensor
    }

    fn refusal(packet: &Packet) -> String {
        // SAFETY: `packet` was made over an array that outlives this call and that nobody writes.
        match unsafe { PacketView::new(packet) } {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn packets_that_contradict_themselves_are_refused() {
        let mut m = Aligned([0; 4096]);
        let m = &mut m;
        let yuyv = raw::FOURCC_YUYV;
        let quantized =
            |dtype, scale, zero_point| raw::Tensor { scale, zero_point, ..tensor(dtype, &[4]) };
        let series = |rate_hz| raw::Series {
            dtype: raw::DTYPE_F32,
            channels: 1,
            samples: 4,
            reserved: 0,
            rate_hz,
        };
        let boxes = |count, frame_width| raw::Detections {
            count,
            frame_width,
            frame_height: 10,
            reserved: 0,
        };
        let event = |name: &[u8], value_count| {
            let mut event = raw::Event { value_count, ..raw::Event::default() };
            event.name[..name.len()].copy_from_slice(name);
            event
        };
        let cases = [
            (packet(9, boxes(0, 1), m, 0), "9 is not a kind"),
            (packet(1, image(yuyv, 0, 4, 8), m, 4096), "width is 0"),
            (packet(1, image(yuyv, 4, 40_000, 8), m, 4096), "height is 40000"),
            (packet(1, image(yuyv, 3, 4, 8), m, 4096), "odd"),
            (packet(1, image(yuyv, 8, 4, 8), m, 4096), "16 bytes does not fit a stride of 8"),
            (packet(1, image(yuyv, 4, 4, 8), m, 31), "needs 32 bytes, the buffer has 31"),
            (packet(1, image(0, 4, 4, 0), m, 4096), "stride is 0"),
            (packet(1, image(0, 4, 32_768, 262_144), m, 4096), "more than 1073741824"),
            (packet(2, tensor(7, &[4]), m, 4096), "7 is not a type"),
            (packet(2, tensor(1, &[]), m, 4096), "rank is 0"),
            (packet(2, tensor(1, &[2, 0]), m, 4096), "dimension is 0"),
            (packet(2, raw::Tensor { rank: 1, ..tensor(1, &[2, 2]) }, m, 4096), "dimension 1 lies"),
            (packet(2, raw::Tensor { rank: 7, ..tensor(1, &[2]) }, m, 4096), "rank is 7"),
            (packet(2, tensor(4, &[u32::MAX; 6]), m, 4096), "more than 1073741824"),
            (packet(2, tensor(4, &[1025]), m, 4096), "needs 4100 bytes"),
            (packet(2, quantized(2, f32::NAN, 0), m, 4096), "scale NaN"),
            (packet(2, quantized(2, -1.0, 0), m, 4096), "scale -1"),
            (packet(2, quantized(4, 1.0, 0), m, 4096), "scale 1"),
            (packet(2, quantized(2, 1.0, 128), m, 4096), "zero point 128"),
            (packet(3, boxes(65_537, 10), m, 4096), "count is 65537"),
            (packet(3, boxes(1, 0), m, 4096), "frame_width is 0"),
            (packet(3, boxes(129, 10), m, 4096), "needs 4128 bytes"),
            (packet(4, series(0.0), m, 4096), "0 Hz"),
            (packet(4, series(f64::INFINITY), m, 4096), "inf Hz"),
            (packet(4, series(1.0), m, 15), "needs 16 bytes"),
            (packet(5, event(b"red", 0), m, 8), "an event has a buffer"),
        ];
        for (packet, expected) in cases {
            let refusal = refusal(&packet);
            assert!(refusal.contains(expected), "{expected:?} expected, got {refusal:?}");
        }
        for (raw, expected) in [
            (event(b"", 0), "empty"),
            (event(b"red", 5), "value_count is 5"),
            (event(b"red", 1), "empty"),
        ] {
            let mut packet = packet(5, raw, m, 0);
            packet.buffer.handle = 0;
            assert!(refusal(&packet).contains(expected), "{expected}");
        }
    }

    #[test]
    fn missing_and_misaligned_buffers_are_refused() {
        let mut memory = Aligned([0; 4096]);
        let good = packet(2, tensor(4, &[4]), &mut memory, 16);
        assert_eq!(refusal(&good), "accepted");
        let mut no_handle = good;
        no_handle.buffer.handle = 0;
        let mut null = good;
        null.buffer.data = core::ptr::null_mut();
        assert_eq!(refusal(&no_handle), "the packet has no buffer");
        assert_eq!(refusal(&null), "the packet has no buffer");
        let mut odd = good;
        odd.buffer.data = memory.0[1..].as_mut_ptr();
        assert_eq!(refusal(&odd), "the buffer is not aligned to 4 bytes");
    }

    #[test]
    fn payloads_are_read_as_they_were_written() {
        let mut memory = Aligned([0; 4096]);
        for (byte, value) in memory.0.iter_mut().zip((0..251).cycle()) {
            *byte = value;
        }
        let grey = packet(1, image(raw::FOURCC_GREY, 4, 3, 8), &mut memory, 20);
        // SAFETY: as in `refusal`.
        let Ok(PacketView::Image(grey)) = (unsafe { PacketView::new(&grey) }) else { panic!() };
        assert_eq!(grey.bytes().len(), 20);
        assert_eq!(grey.row(2), Some(&[16, 17, 18, 19][..]));
        assert_eq!(grey.row(3), None);

        let i8s = packet(2, tensor(raw::DTYPE_I8, &[1, 3]), &mut memory, 64);
        // SAFETY: as in `refusal`.
        let Ok(PacketView::Tensor(i8s)) = (unsafe { PacketView::new(&i8s) }) else { panic!() };
        assert_eq!(i8s.elements::<i8>(), Some(&[0, 1, 2][..]));
        assert_eq!(i8s.elements::<u8>(), None);
        assert_eq!(i8s.format().shape(), [1, 3]);

        let one = raw::Detections { count: 2, frame_width: 9, frame_height: 9, reserved: 0 };
        let two = packet(3, one, &mut memory, 64);
        // SAFETY: as in `refusal`.
        let Ok(PacketView::Detections(two)) = (unsafe { PacketView::new(&two) }) else { panic!() };
        assert_eq!(two.boxes().len(), 2);
        let none = packet(3, raw::Detections { count: 0, ..one }, &mut memory, 64);
        // SAFETY: as in `refusal`.
        let Ok(PacketView::Detections(none)) = (unsafe { PacketView::new(&none) }) else {
            panic!()
        };
        assert!(none.boxes().is_empty());
    }

    #[test]
    fn events_survive_the_boundary() {
        let mut event = format::Event::named(Name::fitted("red"));
        for (name, value) in [("score", 0.98), ("a", 1.0), ("b", f64::NAN), ("c", -1.0)] {
            event = event.with(Name::fitted(name), value).expect("four values fit");
        }
        assert!(event.with(Name::fitted("fifth"), 0.0).is_none());
        let back = format::Event::new(&event.raw()).expect("it is valid");
        assert_eq!(back.name().as_str(), "red");
        assert_eq!(back.values()[0], (Name::fitted("score"), 0.98));
        assert!(back.values()[2].1.is_nan());
    }

    #[test]
    fn formats_survive_the_boundary() {
        let grey = Format::Image(format::Image::new(image(raw::FOURCC_GREY, 4, 3, 8)).expect("ok"));
        assert_eq!(Format::new(&grey.raw()), Ok(grey));
        assert_eq!(grey.buffer_bytes(), 20);
        assert_eq!(Format::new(&Format::Event.raw()), Ok(Format::Event));
    }
}
