//! Checked formats: what a payload says about itself, with every number within its limit.
//!
//! Each type here can only be had from a check, so whoever holds one may compute with its numbers.
use crate::codes::{DType, Kind};
pub use crate::event::Event;
use crate::limits::{MAX_BUFFER_BYTES, MAX_DETECTIONS, MAX_SIDE};
use crate::name::NameError;
use crate::raw;

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// Not a kind of payload.
    #[error("{0} is not a kind of payload")]
    Kind(u32),
    /// A number lies outside its limits.
    #[error("{field} is {value}, not within {least}..={most}")]
    Range {
        /// Which.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// Not a type of element.
    #[error("{0} is not a type of element")]
    DType(u32),
    /// A dimension beyond the rank is not 0.
    #[error("dimension {0} lies beyond the rank and is not 0")]
    ExtraDimension(usize),
    /// A scale is negative or not finite, or the elements cannot be quantized.
    #[error("scale {scale} does not fit elements of type {dtype}")]
    Scale {
        /// What it is.
        scale: f32,
        /// Of the elements.
        dtype: DType,
    },
    /// A zero point is not a value of the element.
    #[error("zero point {zero_point} is not a value of type {dtype}")]
    ZeroPoint {
        /// What it is.
        zero_point: i32,
        /// Of the elements.
        dtype: DType,
    },
    /// A rate is not above 0 and finite.
    #[error("the rate is {0} Hz, not above 0 and finite")]
    Rate(f64),
    /// A row of pixels is longer than the stride.
    #[error("a row of {row} bytes does not fit a stride of {stride}")]
    Stride {
        /// Bytes of one row of pixels.
        row: u64,
        /// From one row to the next.
        stride: u32,
    },
    /// Chroma is shared by pixels in pairs.
    #[error("YUYV and NV12 store pixels in pairs; the width {0} is odd")]
    OddWidth(u32),
    /// Chroma is shared by rows in pairs.
    #[error("NV12 stores rows in pairs; the height {0} is odd")]
    OddHeight(u32),
    /// The whole is above [`MAX_BUFFER_BYTES`].
    #[error("it would take more than {MAX_BUFFER_BYTES} bytes")]
    TooLarge,
    /// A name of an event or value.
    #[error(transparent)]
    Name(#[from] NameError),
}

pub(crate) fn within(
    field: &'static str,
    value: u32,
    least: u32,
    most: u32,
) -> Result<u32, FormatError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let (value, least, most) = (value.into(), least.into(), most.into());
    Err(FormatError::Range { field, value, least, most })
}

/// The product, refused above [`MAX_BUFFER_BYTES`] before it can overflow.
fn total_bytes(factors: impl IntoIterator<Item = u64>) -> Result<u64, FormatError> {
    let total = factors.into_iter().try_fold(1_u64, u64::checked_mul);
    total.filter(|&bytes| bytes <= MAX_BUFFER_BYTES).ok_or(FormatError::TooLarge)
}

fn dtype(code: u32) -> Result<DType, FormatError> {
    DType::from_raw(code).ok_or(FormatError::DType(code))
}

/// A picture's format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Image {
    raw: raw::Image,
    bytes: u64,
}

impl Image {
    /// Checks sides, plane count, strides and the whole size.
    ///
    /// # Errors
    /// The first number that is out of its limits.
    pub fn new(raw: raw::Image) -> Result<Self, FormatError> {
        within("width", raw.width, 1, MAX_SIDE)?;
        within("height", raw.height, 1, MAX_SIDE)?;
        let packed = Self::packed(raw.fourcc, raw.width, raw.height);
        let [least, most] = packed.map_or([1, 3], |packed| [packed.plane_count; 2]);
        within("plane_count", raw.plane_count, least, most)?;
        if matches!(raw.fourcc, raw::FOURCC_YUYV | raw::FOURCC_NV12) && raw.width % 2 == 1 {
            return Err(FormatError::OddWidth(raw.width));
        }
        if raw.fourcc == raw::FOURCC_NV12 && raw.height % 2 == 1 {
            return Err(FormatError::OddHeight(raw.height));
        }
        let bytes = Self::extent(&raw)?;
        Ok(Self { raw, bytes })
    }

    /// A picture whose planes follow one another and have no padding; a JPEG's may take as much as YUYV. `None` for a
    /// pixel format we do not know.
    #[must_use]
    pub fn packed(fourcc: u32, width: u32, height: u32) -> Option<raw::Image> {
        let plane = |offset, pixel: u32| raw::Plane { offset, stride: width.saturating_mul(pixel) };
        let first = plane(0, Self::pixel_bytes_of(fourcc).unwrap_or(2));
        let (plane_count, second) = match fourcc {
            raw::FOURCC_NV12 => (2, plane(width.saturating_mul(height), 1)),
            raw::FOURCC_GREY | raw::FOURCC_YUYV | raw::FOURCC_RGB24 | raw::FOURCC_MJPEG => {
                (1, raw::Plane::default())
            }
            _ => return None,
        };
        let planes = [first, second, raw::Plane::default()];
        Some(raw::Image { fourcc, width, height, plane_count, planes })
    }

    /// Bytes from the start of the buffer to the end of the last plane. What follows the first plane of a pixel
    /// format we do not know may have fewer rows than the picture; one row of it is the least.
    fn extent(raw: &raw::Image) -> Result<u64, FormatError> {
        let mut extent = 0;
        let count = raw.plane_count as usize;
        for (index, plane) in raw.planes.iter().take(count).enumerate() {
            let stride = u64::from(within("stride", plane.stride, 1, MAX_SIDE * 8)?);
            let row = Self::pixel_bytes_of(raw.fourcc)
                .map_or(stride, |b| u64::from(b) * u64::from(raw.width));
            if row > stride {
                return Err(FormatError::Stride { row, stride: plane.stride });
            }
            let rows = match index {
                0 => raw.height,
                _ if raw.fourcc == raw::FOURCC_NV12 => raw.height / 2,
                _ => 1,
            };
            let end = u64::from(plane.offset) + stride * u64::from(rows - 1) + row;
            extent = u64::max(extent, end);
        }
        total_bytes([extent])
    }

    const fn pixel_bytes_of(fourcc: u32) -> Option<u32> {
        match fourcc {
            raw::FOURCC_GREY | raw::FOURCC_NV12 => Some(1),
            raw::FOURCC_YUYV => Some(2),
            raw::FOURCC_RGB24 => Some(3),
            _ => None,
        }
    }

    /// V4L2's code of the pixel format.
    #[must_use]
    pub const fn fourcc(&self) -> u32 {
        self.raw.fourcc
    }

    /// Pixels from left to right.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.raw.width
    }

    /// Pixels from top to bottom.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.raw.height
    }

    /// Offset and stride of each plane.
    #[must_use]
    pub fn planes(&self) -> &[raw::Plane] {
        &self.raw.planes[..self.raw.plane_count as usize]
    }

    /// Bytes of one row of the first plane: its pixels where the format is known, else the stride.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        let stride = u64::from(self.raw.planes[0].stride);
        let row = Self::pixel_bytes_of(self.raw.fourcc)
            .map_or(stride, |b| u64::from(b) * u64::from(self.raw.width));
        usize::try_from(row).unwrap_or(usize::MAX)
    }

    /// As it crosses the boundary.
    #[must_use]
    pub const fn raw(&self) -> raw::Image {
        self.raw
    }
}

/// A tensor's format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    raw: raw::Tensor,
    dtype: DType,
    bytes: u64,
}

impl Tensor {
    /// Checks type, rank, dimensions, quantization and the whole size.
    ///
    /// # Errors
    /// The first number that is out of its limits.
    pub fn new(raw: raw::Tensor) -> Result<Self, FormatError> {
        let dtype = dtype(raw.dtype)?;
        let rank = within("rank", raw.rank, 1, 6)? as usize;
        for &dimension in &raw.shape[..rank] {
            within("dimension", dimension, 1, u32::MAX)?;
        }
        if let Some(beyond) = raw.shape[rank..].iter().position(|&d| d != 0) {
            return Err(FormatError::ExtraDimension(rank + beyond));
        }
        Self::check_quantization(&raw, dtype)?;
        let dimensions = raw.shape[..rank].iter().map(|&d| u64::from(d));
        let bytes = total_bytes(dimensions.chain([dtype.bytes()]))?;
        Ok(Self { raw, dtype, bytes })
    }

    fn check_quantization(raw: &raw::Tensor, dtype: DType) -> Result<(), FormatError> {
        let (scale, zero_point) = (raw.scale, raw.zero_point);
        let quantizable = scale == 0.0 || dtype != DType::F32;
        if !scale.is_finite() || scale < 0.0 || !quantizable {
            return Err(FormatError::Scale { scale, dtype });
        }
        if zero_point != 0 && !dtype.holds(zero_point) {
            return Err(FormatError::ZeroPoint { zero_point, dtype });
        }
        Ok(())
    }

    /// Type of the elements.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[u32] {
        &self.raw.shape[..self.raw.rank as usize]
    }

    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        usize::try_from(self.bytes / self.dtype.bytes()).unwrap_or(usize::MAX)
    }

    /// Scale and zero point, where the elements are quantized: real = scale × (element − zero point).
    #[must_use]
    pub fn quantization(&self) -> Option<(f32, i32)> {
        (self.raw.scale > 0.0).then_some((self.raw.scale, self.raw.zero_point))
    }

    /// As it crosses the boundary.
    #[must_use]
    pub const fn raw(&self) -> raw::Tensor {
        self.raw
    }
}

/// A format of detections; in a packet, `count` is how many there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detections {
    raw: raw::Detections,
    bytes: u64,
}

impl Detections {
    /// Checks count and frame.
    ///
    /// # Errors
    /// The first number that is out of its limits.
    pub fn new(raw: raw::Detections) -> Result<Self, FormatError> {
        let count = within("count", raw.count, 0, MAX_DETECTIONS)?;
        within("frame_width", raw.frame_width, 1, MAX_SIDE)?;
        within("frame_height", raw.frame_height, 1, MAX_SIDE)?;
        let bytes = total_bytes([count.into(), size_of::<raw::Detection>() as u64])?;
        Ok(Self { raw, bytes })
    }

    /// Boxes in the packet; of a format, the most there can be.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.raw.count
    }

    /// Width and height in pixels of the picture that the boxes refer to.
    #[must_use]
    pub const fn frame(&self) -> (u32, u32) {
        (self.raw.frame_width, self.raw.frame_height)
    }

    /// As it crosses the boundary.
    #[must_use]
    pub const fn raw(&self) -> raw::Detections {
        self.raw
    }
}

/// A series' format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series {
    raw: raw::Series,
    dtype: DType,
    bytes: u64,
}

impl Series {
    /// Checks type, counts, rate and the whole size.
    ///
    /// # Errors
    /// The first number that is out of its limits.
    pub fn new(raw: raw::Series) -> Result<Self, FormatError> {
        let dtype = dtype(raw.dtype)?;
        let channels = within("channels", raw.channels, 1, u32::MAX)?;
        let samples = within("samples", raw.samples, 1, u32::MAX)?;
        if !(raw.rate_hz.is_finite() && raw.rate_hz > 0.0) {
            return Err(FormatError::Rate(raw.rate_hz));
        }
        let bytes = total_bytes([channels.into(), samples.into(), dtype.bytes()])?;
        Ok(Self { raw, dtype, bytes })
    }

    /// Type of the samples.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Sensors sampled together.
    #[must_use]
    pub const fn channels(&self) -> u32 {
        self.raw.channels
    }

    /// Samples of each channel.
    #[must_use]
    pub const fn samples(&self) -> u32 {
        self.raw.samples
    }

    /// Samples of one channel per second.
    #[must_use]
    pub const fn rate_hz(&self) -> f64 {
        self.raw.rate_hz
    }

    /// As it crosses the boundary.
    #[must_use]
    pub const fn raw(&self) -> raw::Series {
        self.raw
    }
}

/// A format, fixed and checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// Pictures.
    Image(Image),
    /// Dense arrays.
    Tensor(Tensor),
    /// Boxes.
    Detections(Detections),
    /// Samples.
    Series(Series),
    /// Decisions: nothing about them is fixed.
    Event,
}

impl Format {
    /// Checks a format that the other side has fixed.
    ///
    /// # Errors
    /// An unknown kind, or the first number of the payload that is out of its limits.
    pub fn new(raw: &raw::Format) -> Result<Self, FormatError> {
        Self::of_payload(raw.kind, &raw.payload)
    }

    /// Checks the payload of a packet; for events only the kind, since an event fixes nothing.
    ///
    /// # Errors
    /// As [`Format::new`].
    pub fn of_payload(kind: u32, payload: &raw::Payload) -> Result<Self, FormatError> {
        let kind = Kind::from_raw(kind).ok_or(FormatError::Kind(kind))?;
        // SAFETY: all five members are plain numbers, for which every pattern of bits is a value, and a
        // payload is always initialised in full: it comes from a C struct or from `Payload`'s constructors.
        unsafe {
            Ok(match kind {
                Kind::Image => Self::Image(Image::new(payload.image)?),
                Kind::Tensor => Self::Tensor(Tensor::new(payload.tensor)?),
                Kind::Detections => Self::Detections(Detections::new(payload.detections)?),
                Kind::Series => Self::Series(Series::new(payload.series)?),
                Kind::Event => Self::Event,
            })
        }
    }

    /// Kind of payload.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Image(_) => Kind::Image,
            Self::Tensor(_) => Kind::Tensor,
            Self::Detections(_) => Kind::Detections,
            Self::Series(_) => Kind::Series,
            Self::Event => Kind::Event,
        }
    }

    /// Bytes that a buffer must have to hold one packet; 0 for events.
    #[must_use]
    pub const fn buffer_bytes(&self) -> u64 {
        match self {
            Self::Image(image) => image.bytes,
            Self::Tensor(tensor) => tensor.bytes,
            Self::Detections(detections) => detections.bytes,
            Self::Series(series) => series.bytes,
            Self::Event => 0,
        }
    }

    /// As it crosses the boundary.
    #[must_use]
    pub fn raw(&self) -> raw::Format {
        raw::Format { kind: self.kind().raw(), reserved: 0, payload: self.payload() }
    }

    /// The payload of a packet in this format; for events an empty one.
    #[must_use]
    pub fn payload(&self) -> raw::Payload {
        match self {
            Self::Image(image) => image.raw.into(),
            Self::Tensor(tensor) => tensor.raw.into(),
            Self::Detections(detections) => detections.raw.into(),
            Self::Series(series) => series.raw.into(),
            Self::Event => raw::Payload::default(),
        }
    }
}
