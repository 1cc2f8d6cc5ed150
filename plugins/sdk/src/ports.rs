//! What a plugin takes and gives.
use std::ffi::CString;
use std::ops::RangeInclusive;
use std::time::Duration;

use edgemill_abi::{DType, Format, Kind, MAX_DETECTIONS, MAX_SIDE, format, raw};

use crate::{Error, Result};

/// One range of formats.
#[derive(Clone, Copy, Debug)]
pub struct Range(raw::FormatRange);

impl Range {
    fn new(kind: Kind, least: impl Into<raw::Payload>, most: impl Into<raw::Payload>) -> Self {
        let end = |payload| raw::Format { kind: kind.raw(), reserved: 0, payload };
        Self(raw::FormatRange { least: end(least.into()), most: end(most.into()) })
    }

    /// Exactly one format.
    #[must_use]
    pub fn exactly(format: Format) -> Self {
        Self(raw::FormatRange { least: format.raw(), most: format.raw() })
    }

    /// Pictures of one pixel format (0: any), of any size.
    #[must_use]
    pub fn image(fourcc: u32) -> Self {
        Self::image_of(fourcc, 1..=MAX_SIDE, 1..=MAX_SIDE)
    }

    /// Pictures of one pixel format (0: any), whose sides lie within limits.
    #[must_use]
    pub fn image_of(fourcc: u32, width: RangeInclusive<u32>, height: RangeInclusive<u32>) -> Self {
        let image = |width, height| raw::Image { fourcc, width, height, ..Default::default() };
        let least = image(*width.start(), *height.start());
        Self::new(Kind::Image, least, image(*width.end(), *height.end()))
    }

    /// Exactly one tensor format, such as a contract names.
    #[must_use]
    pub fn tensor(tensor: format::Tensor) -> Self {
        Self::exactly(Format::Tensor(tensor))
    }

    /// Tensors of any shape, of one type or (`None`) of any.
    #[must_use]
    pub fn any_tensor(dtype: Option<DType>) -> Self {
        let dtype = dtype.map_or(0, DType::raw);
        let least = raw::Tensor { dtype, ..Default::default() };
        Self::new(Kind::Tensor, least, raw::Tensor { shape: [u32::MAX; raw::MAX_RANK], ..least })
    }

    /// Detections in frames of any size, at most `most` of them.
    #[must_use]
    pub fn detections(most: u32) -> Self {
        let boxes = |count, side| raw::Detections {
            count,
            frame_width: side,
            frame_height: side,
            reserved: 0,
        };
        Self::new(Kind::Detections, boxes(0, 1), boxes(most.min(MAX_DETECTIONS), MAX_SIDE))
    }

    /// Series of one type, with channels, samples and rate within limits.
    #[must_use]
    pub fn series(
        dtype: DType,
        channels: RangeInclusive<u32>,
        samples: RangeInclusive<u32>,
        rate_hz: RangeInclusive<f64>,
    ) -> Self {
        let series = |channels, samples, rate_hz| raw::Series {
            dtype: dtype.raw(),
            channels,
            samples,
            reserved: 0,
            rate_hz,
        };
        let least = series(*channels.start(), *samples.start(), *rate_hz.start());
        Self::new(Kind::Series, least, series(*channels.end(), *samples.end(), *rate_hz.end()))
    }

    /// Events.
    #[must_use]
    pub fn event() -> Self {
        Self::exactly(Format::Event)
    }
}

/// One port.
#[derive(Clone, Debug)]
pub struct Port {
    name: String,
    ranges: Vec<raw::FormatRange>,
    held: u32,
    burst: u32,
}

impl Port {
    /// A port that takes or gives one range of formats. Its `held` is 0 and its `burst` is 1.
    #[must_use]
    pub fn new(name: &str, range: Range) -> Self {
        Self { name: name.to_owned(), ranges: vec![range.0], held: 0, burst: 1 }
    }

    /// A port for a tensor of a contract, or for the same in f32.
    ///
    /// # Errors
    /// `Unfit` for a shape that is no tensor's.
    pub fn real_or_quantized(name: &str, tensor: &format::Tensor) -> Result<Self> {
        let port = Self::new(name, Range::tensor(*tensor));
        if tensor.dtype() == DType::F32 {
            return Ok(port);
        }
        let real = raw::Tensor { dtype: raw::DTYPE_F32, scale: 0.0, zero_point: 0, ..tensor.raw() };
        Ok(port.or(Range::tensor(format::Tensor::new(real)?)))
    }

    /// A port for each tensor of one side of a contract, `name` for one alone, else `name0`, `name1`, …
    ///
    /// # Errors
    /// Those of `port`.
    pub fn numbered(
        name: &str,
        tensors: &[format::Tensor],
        port: impl Fn(&str, &format::Tensor) -> Result<Self>,
    ) -> Result<Vec<Self>> {
        let named = |(index, tensor)| match tensors.len() {
            1 => port(name, tensor),
            _ => port(&format!("{name}{index}"), tensor),
        };
        tensors.iter().enumerate().map(named).collect()
    }

    /// One more range; the best stands first.
    #[must_use]
    pub fn or(mut self, range: Range) -> Self {
        self.ranges.push(range.0);
        self
    }

    /// Inputs: packets that may be kept after a call.
    #[must_use]
    pub fn held(mut self, packets: u32) -> Self {
        self.held = packets;
        self
    }

    /// Outputs: buffers or emits in one call, at most.
    #[must_use]
    pub fn burst(mut self, packets: u32) -> Self {
        self.burst = packets;
        self
    }
}

/// All ports. A plugin without inputs is a source.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    timer: Duration,
}

impl Ports {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more input; the first is number 0.
    #[must_use]
    pub fn input(mut self, port: Port) -> Self {
        self.inputs.push(port);
        self
    }

    /// One more output; the first is number 0.
    #[must_use]
    pub fn output(mut self, port: Port) -> Self {
        self.outputs.push(port);
        self
    }

    /// Asks for calls with [`Reason::Timer`](crate::Reason::Timer) about this often.
    #[must_use]
    pub fn timer(mut self, period: Duration) -> Self {
        self.timer = period;
        self
    }
}

/// Ports as they cross the boundary, with all they point to.
pub(crate) struct OwnedPorts {
    pub raw: raw::Ports,
    pub input_count: usize,
    pub output_count: usize,
    _inputs: Vec<raw::Port>,
    _outputs: Vec<raw::Port>,
    _names: Vec<CString>,
    _ranges: Vec<Vec<raw::FormatRange>>,
}

impl OwnedPorts {
    pub fn new(ports: Ports) -> Result<Self> {
        let (mut names, mut ranges) = (Vec::new(), Vec::new());
        let mut own = |ports: Vec<Port>| -> Result<Vec<raw::Port>> {
            ports.into_iter().map(|port| own_port(port, &mut names, &mut ranges)).collect()
        };
        let (inputs, outputs) = (own(ports.inputs)?, own(ports.outputs)?);
        let raw = raw::Ports {
            inputs: inputs.as_ptr(),
            outputs: outputs.as_ptr(),
            input_count: count(inputs.len())?,
            output_count: count(outputs.len())?,
            timer_ns: u64::try_from(ports.timer.as_nanos())
                .map_err(|_| Error::unfit("the timer's period is too long"))?,
        };
        let (input_count, output_count) = (inputs.len(), outputs.len());
        Ok(Self {
            raw,
            input_count,
            output_count,
            _inputs: inputs,
            _outputs: outputs,
            _names: names,
            _ranges: ranges,
        })
    }
}

/// Moves a port's name and ranges to where they stay; both keep their place on the heap when they are moved.
fn own_port(
    port: Port,
    names: &mut Vec<CString>,
    ranges: &mut Vec<Vec<raw::FormatRange>>,
) -> Result<raw::Port> {
    let name = CString::new(port.name).map_err(|_| Error::unfit("a port's name holds NUL"))?;
    let own = raw::Port {
        name: name.as_ptr(),
        ranges: port.ranges.as_ptr(),
        range_count: count(port.ranges.len())?,
        held: port.held,
        burst: port.burst,
        reserved: 0,
    };
    names.push(name);
    ranges.push(port.ranges);
    Ok(own)
}

fn count(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::unfit("too many ports or ranges"))
}
