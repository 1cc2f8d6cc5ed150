//! Formats: what a port was fixed to, and whether a packet is of it.
pub use edgemill_abi::Format;
use edgemill_abi::{format, raw};

/// Whether a payload is of a format: all that the format fixes is equal; detections may be fewer; an event is well
/// formed.
#[must_use]
pub fn fits(format: &Format, kind: u32, payload: &raw::Payload) -> bool {
    kind == format.kind().raw()
        && match format {
            Format::Image(image) => *payload.image() == image.raw(),
            Format::Tensor(tensor) => *payload.tensor() == tensor.raw(),
            Format::Series(series) => *payload.series() == series.raw(),
            Format::Detections(most) => {
                let found = payload.detections();
                let frame = (found.frame_width, found.frame_height);
                found.count <= most.count() && frame == most.frame()
            }
            Format::Event => format::Event::new(payload.event()).is_ok(),
        }
}

/// For messages: `image YUYV 640x480`, `tensor i8 [1, 32, 32, 3]`.
#[must_use]
pub fn describe(format: &Format) -> String {
    match format {
        Format::Image(image) => {
            format!("image {} {}x{}", code(image.fourcc()), image.width(), image.height())
        }
        Format::Tensor(tensor) => format!("tensor {} {:?}", tensor.dtype(), tensor.shape()),
        Format::Detections(found) => {
            let (count, (width, height)) = (found.count(), found.frame());
            format!("detections, at most {count}, in frames of {width}x{height}")
        }
        Format::Series(series) => format!(
            "series {} of {} x {} at {} Hz",
            series.dtype(),
            series.channels(),
            series.samples(),
            series.rate_hz()
        ),
        Format::Event => "event".into(),
    }
}

/// V4L2's four characters; what is not printable is escaped.
pub(crate) fn code(fourcc: u32) -> String {
    fourcc.to_le_bytes().escape_ascii().to_string()
}
