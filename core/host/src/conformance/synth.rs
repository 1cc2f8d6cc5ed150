//! Formats that a port takes, and packets in them, made up from the port's own ranges.
use crate::contract::ModelContract;
use edgemill_abi::{DType, Format, FormatError, Kind, format, raw};
use edgemill_model::contract::{Colour, Contract, Filter, Fit, Layout, Picture};
use edgemill_model::tensor::{self, Quantization, TensorSpec};
use edgemill_pipeline::negotiate::contains;
use edgemill_pipeline::stage::Port;

/// The contract of a classifier of small pictures, for a plugin that wants one.
pub(super) fn contract() -> ModelContract {
    let quantization = Some(Quantization { scale: 1.0 / 255.0, zero_point: -128 });
    let spec = |shape| TensorSpec { dtype: tensor::DType::I8, shape, quantization };
    let picture = Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: Fit::Stretch,
        filter: Filter::Area,
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    let contract = Contract {
        inputs: vec![spec(vec![1, 32, 32, 3])],
        outputs: vec![spec(vec![1, 3])],
        picture: Some(picture),
        window: None,
        head: "classifier".to_owned(),
        labels: ["one", "two", "three"].map(str::to_owned).to_vec(),
    };
    ModelContract { model: "made-up".to_owned(), version: "1.0.0".to_owned(), contract }
}

/// A format of the port's best range.
pub(super) fn pick(port: &Port) -> Result<Format, FormatError> {
    let raw::FormatRange { least, most } = &port.ranges[0];
    let (from, to) = (&least.payload, &most.payload);
    match Kind::from_raw(least.kind).ok_or(FormatError::Kind(least.kind))? {
        Kind::Image => image(from.image(), to.image()),
        Kind::Tensor => tensor(from.tensor(), to.tensor()),
        Kind::Detections => detections(from.detections(), to.detections()),
        Kind::Series => series(from.series(), to.series()),
        Kind::Event => Ok(Format::Event),
    }
}

fn image(least: &raw::Image, most: &raw::Image) -> Result<Format, FormatError> {
    let fourcc = if least.fourcc == 0 { raw::FOURCC_YUYV } else { least.fourcc };
    let width = 64_u32.clamp(least.width, most.width);
    let height = 48_u32.clamp(least.height, most.height);
    let packed = format::Image::packed(fourcc, width, height);
    let mut image =
        packed.unwrap_or(raw::Image { fourcc, width, height, plane_count: 1, ..*least });
    if least.planes[0].stride != 0 || packed.is_none() {
        image.planes = least.planes;
    }
    if image.planes[0].stride == 0 {
        image.planes[0].stride = width.saturating_mul(3);
    }
    format::Image::new(image).map(Format::Image)
}

fn tensor(least: &raw::Tensor, most: &raw::Tensor) -> Result<Format, FormatError> {
    let dtype = if least.dtype == 0 { DType::F32.raw() } else { least.dtype };
    let rank = if least.rank == 0 { 2 } else { least.rank };
    let mut shape = [0; raw::MAX_RANK];
    for (i, dimension) in shape.iter_mut().enumerate().take(rank as usize) {
        *dimension = 8_u32.clamp(least.shape[i], most.shape[i].max(least.shape[i]));
    }
    let (scale, zero_point) = (least.scale, least.zero_point);
    let raw = raw::Tensor { dtype, rank, shape, scale, zero_point };
    format::Tensor::new(raw).map(Format::Tensor)
}

fn detections(least: &raw::Detections, most: &raw::Detections) -> Result<Format, FormatError> {
    format::Detections::new(raw::Detections {
        count: 8_u32.clamp(least.count, most.count),
        frame_width: 640_u32.clamp(least.frame_width, most.frame_width),
        frame_height: 480_u32.clamp(least.frame_height, most.frame_height),
        reserved: 0,
    })
    .map(Format::Detections)
}

fn series(least: &raw::Series, most: &raw::Series) -> Result<Format, FormatError> {
    format::Series::new(raw::Series {
        dtype: if least.dtype == 0 { DType::F32.raw() } else { least.dtype },
        channels: 3_u32.clamp(least.channels, most.channels),
        samples: 64_u32.clamp(least.samples, most.samples),
        reserved: 0,
        rate_hz: 100_f64.clamp(least.rate_hz, most.rate_hz),
    })
    .map(Format::Series)
}

/// Whether one of the port's ranges holds the format.
pub(super) fn takes(port: &Port, format: &Format) -> bool {
    port.ranges.iter().any(|range| contains(range, format))
}

/// Numbers that look random and are the same in every run (Marsaglia, 2003, xorshift64).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0 up to 1.
    fn fraction(&mut self) -> f32 {
        f32::from(self.next().to_le_bytes()[4]) / 256.0
    }
}

/// The payload of a packet in this format; its content goes to `bytes`. Does not allocate.
pub(super) fn fill(format: &Format, numbers: &mut Numbers, bytes: &mut [u8]) -> raw::Payload {
    match format {
        Format::Detections(format) => fill_boxes(format, numbers, bytes),
        Format::Event => return event(numbers).into(),
        Format::Tensor(tensor) if tensor.dtype() == DType::F32 => fill_floats(numbers, bytes),
        Format::Series(series) if series.dtype() == DType::F32 => fill_floats(numbers, bytes),
        _ => {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&numbers.next().to_le_bytes()[..chunk.len()]);
            }
        }
    }
    format.payload()
}

/// From -1 to 1.
fn fill_floats(numbers: &mut Numbers, bytes: &mut [u8]) {
    for chunk in bytes.chunks_exact_mut(4) {
        chunk.copy_from_slice(&(numbers.fraction() * 2.0 - 1.0).to_le_bytes());
    }
}

/// Boxes within the frame.
fn fill_boxes(format: &format::Detections, numbers: &mut Numbers, bytes: &mut [u8]) {
    #[expect(clippy::cast_precision_loss, reason = "a frame's sides are below 2^24")]
    let (width, height) = (format.frame().0 as f32, format.frame().1 as f32);
    for chunk in bytes.chunks_exact_mut(size_of::<raw::Detection>()) {
        let (x, y) = (numbers.fraction() * width / 2.0, numbers.fraction() * height / 2.0);
        let sides = [x, y, x + width / 4.0, y + height / 4.0, numbers.fraction()];
        for (to, from) in chunk.chunks_exact_mut(4).zip(sides) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        chunk[20..].fill(0);
    }
}

fn event(numbers: &mut Numbers) -> raw::Event {
    let mut event = raw::Event { value_count: 1, ..Default::default() };
    event.name[..5].copy_from_slice(b"green");
    event.values[0].name[..5].copy_from_slice(b"score");
    event.values[0].value = numbers.fraction().into();
    event
}
