//! What two ports have in common, and one format of it. The rules are those of `format.h`, `edgemill_format_range`.
use edgemill_abi::format::Image;
use edgemill_abi::raw::{self, FormatRange, Plane};
use edgemill_abi::{DType, Format, FormatError, Kind};

use crate::format::code;

/// The formats that lie in both ranges; `None` if there are none.
///
/// A field that counts lies between the greater `least` and the smaller `most`. A field that names is equal, or open on one
/// side (0). Scale and zero point are one name, open where the scale is 0, since either alone has no meaning. A rank that is
/// open leaves the whole shape open.
pub(super) fn intersect(a: &FormatRange, b: &FormatRange) -> Option<FormatRange> {
    if a.least.kind != b.least.kind {
        return None;
    }
    let (least, most): (raw::Payload, raw::Payload) = match Kind::from_raw(a.least.kind)? {
        Kind::Image => pair(image(a, b)?),
        Kind::Tensor => pair(tensor(a, b)?),
        Kind::Detections => pair(detections(a, b)?),
        Kind::Series => pair(series(a, b)?),
        Kind::Event => Default::default(),
    };
    let format = |payload| raw::Format { kind: a.least.kind, reserved: 0, payload };
    Some(FormatRange { least: format(least), most: format(most) })
}

fn pair<T: Into<raw::Payload>>((least, most): (T, T)) -> (raw::Payload, raw::Payload) {
    (least.into(), most.into())
}

/// Of a field that counts.
fn overlap<T: PartialOrd>(a: (T, T), b: (T, T)) -> Option<(T, T)> {
    let least = if a.0 > b.0 { a.0 } else { b.0 };
    let most = if a.1 < b.1 { a.1 } else { b.1 };
    (least <= most).then_some((least, most))
}

/// Of a field that names.
fn agree<T: PartialEq + Default>(a: T, b: T) -> Option<T> {
    let open = T::default();
    match (a == open, b == open) {
        (true, _) => Some(b),
        (_, true) => Some(a),
        _ => (a == b).then_some(a),
    }
}

fn image(a: &FormatRange, b: &FormatRange) -> Option<(raw::Image, raw::Image)> {
    let (la, ma) = (a.least.payload.image(), a.most.payload.image());
    let (lb, mb) = (b.least.payload.image(), b.most.payload.image());
    let width = overlap((la.width, ma.width), (lb.width, mb.width))?;
    let height = overlap((la.height, ma.height), (lb.height, mb.height))?;
    let named = raw::Image {
        fourcc: agree(la.fourcc, lb.fourcc)?,
        plane_count: agree(la.plane_count, lb.plane_count)?,
        planes: agree(la.planes, lb.planes)?,
        ..raw::Image::default()
    };
    Some((
        raw::Image { width: width.0, height: height.0, ..named },
        raw::Image { width: width.1, height: height.1, ..named },
    ))
}

fn tensor(a: &FormatRange, b: &FormatRange) -> Option<(raw::Tensor, raw::Tensor)> {
    let (la, ma) = (a.least.payload.tensor(), a.most.payload.tensor());
    let (lb, mb) = (b.least.payload.tensor(), b.most.payload.tensor());
    let (scale, zero_point) = match (la.scale == 0.0, lb.scale == 0.0) {
        (true, _) => (lb.scale, lb.zero_point),
        (_, true) => (la.scale, la.zero_point),
        _ if (la.scale, la.zero_point) == (lb.scale, lb.zero_point) => (la.scale, la.zero_point),
        _ => return None,
    };
    let rank = agree(la.rank, lb.rank)?;
    let mut least = raw::Tensor {
        dtype: agree(la.dtype, lb.dtype)?,
        rank,
        shape: [0; raw::MAX_RANK],
        scale,
        zero_point,
    };
    let mut most = least;
    for axis in 0..usize::try_from(rank).ok()?.min(raw::MAX_RANK) {
        let of = |l: &raw::Tensor, m: &raw::Tensor| match l.rank {
            0 => (0, u32::MAX),
            _ => (l.shape[axis], m.shape[axis]),
        };
        (least.shape[axis], most.shape[axis]) = overlap(of(la, ma), of(lb, mb))?;
    }
    Some((least, most))
}

fn detections(a: &FormatRange, b: &FormatRange) -> Option<(raw::Detections, raw::Detections)> {
    let (la, ma) = (a.least.payload.detections(), a.most.payload.detections());
    let (lb, mb) = (b.least.payload.detections(), b.most.payload.detections());
    let count = overlap((la.count, ma.count), (lb.count, mb.count))?;
    let width = overlap((la.frame_width, ma.frame_width), (lb.frame_width, mb.frame_width))?;
    let height = overlap((la.frame_height, ma.frame_height), (lb.frame_height, mb.frame_height))?;
    let of = |count, frame_width, frame_height| raw::Detections {
        count,
        frame_width,
        frame_height,
        reserved: 0,
    };
    Some((of(count.0, width.0, height.0), of(count.1, width.1, height.1)))
}

/// Fixes the frame of detections, where the range holds it; any other range stays as it is.
pub(super) fn refer_to(range: &mut FormatRange, frame: Option<(u32, u32)>) {
    let (Some(Kind::Detections), Some((frame_width, frame_height))) =
        (Kind::from_raw(range.least.kind), frame)
    else {
        return;
    };
    let of = |count| raw::Detections { count, frame_width, frame_height, reserved: 0 };
    let mut fixed = *range;
    fixed.least.payload = of(range.least.payload.detections().count).into();
    fixed.most.payload = of(range.most.payload.detections().count).into();
    *range = intersect(range, &fixed).unwrap_or(*range);
}

fn series(a: &FormatRange, b: &FormatRange) -> Option<(raw::Series, raw::Series)> {
    let (la, ma) = (a.least.payload.series(), a.most.payload.series());
    let (lb, mb) = (b.least.payload.series(), b.most.payload.series());
    let dtype = agree(la.dtype, lb.dtype)?;
    let channels = overlap((la.channels, ma.channels), (lb.channels, mb.channels))?;
    let samples = overlap((la.samples, ma.samples), (lb.samples, mb.samples))?;
    let rate = overlap((la.rate_hz, ma.rate_hz), (lb.rate_hz, mb.rate_hz))?;
    let of =
        |channels, samples, rate_hz| raw::Series { dtype, channels, samples, reserved: 0, rate_hz };
    Some((of(channels.0, samples.0, rate.0), of(channels.1, samples.1, rate.1)))
}

/// The largest format of a range, with a picture's planes worked out where nobody states them.
///
/// # Errors
/// Neither side names what has to be named, or the format is out of the limits of any packet.
pub(super) fn fix(range: &FormatRange) -> Result<Format, FormatError> {
    let mut format = range.most;
    if Kind::from_raw(format.kind) == Some(Kind::Image) {
        format.payload = lay_out(*range.most.payload.image(), range.least.payload.image()).into();
    }
    Format::new(&format)
}

/// Pixels packed row after row, plane after plane, for the formats we know; YUYV wants an even width, NV12 even sides.
fn lay_out(mut image: raw::Image, least: &raw::Image) -> raw::Image {
    let evened = |side: u32, least: u32| if side > least { side & !1 } else { side };
    if matches!(image.fourcc, raw::FOURCC_YUYV | raw::FOURCC_NV12) {
        image.width = evened(image.width, least.width);
    }
    if image.fourcc == raw::FOURCC_NV12 {
        image.height = evened(image.height, least.height);
    }
    let Some(packed) = Image::packed(image.fourcc, image.width, image.height) else { return image };
    if image.plane_count == 0 {
        image.plane_count = packed.plane_count;
    }
    if image.planes == [Plane::default(); raw::MAX_PLANES] {
        image.planes = packed.planes;
    }
    image
}

/// Whether a format that was fixed lies in a range.
#[must_use]
pub fn contains(range: &FormatRange, format: &Format) -> bool {
    let raw = format.raw();
    intersect(range, &FormatRange { least: raw, most: raw }).is_some()
}

/// Ranges of a list that a message shows.
const SHOWN: usize = 4;

/// For messages, of bounded length.
pub(super) fn describe(ranges: &[FormatRange]) -> String {
    let shown: Vec<_> = ranges.iter().take(SHOWN).map(describe_one).collect();
    match ranges.len().saturating_sub(SHOWN) {
        0 => shown.join(" or "),
        more => format!("{} or {more} more", shown.join(" or ")),
    }
}

fn describe_one(range: &FormatRange) -> String {
    let (least, most) = (&range.least.payload, &range.most.payload);
    match Kind::from_raw(range.least.kind) {
        Some(Kind::Image) => {
            let (least, most) = (least.image(), most.image());
            let name = if least.fourcc == 0 { "of any kind".into() } else { code(least.fourcc) };
            let width = span(least.width, most.width);
            format!("image {name} {width}x{}", span(least.height, most.height))
        }
        Some(Kind::Tensor) => describe_tensor(least.tensor(), most.tensor()),
        Some(Kind::Detections) => {
            let (least, most) = (least.detections(), most.detections());
            let width = span(least.frame_width, most.frame_width);
            let height = span(least.frame_height, most.frame_height);
            let count = span(least.count, most.count);
            format!("detections, at most {count}, in frames of {width}x{height}")
        }
        Some(Kind::Series) => {
            let (least, most) = (least.series(), most.series());
            let channels = span(least.channels, most.channels);
            let samples = span(least.samples, most.samples);
            let rate = span(least.rate_hz, most.rate_hz);
            format!("series {} of {channels} x {samples} at {rate} Hz", dtype(least.dtype))
        }
        Some(Kind::Event) => "event".into(),
        None => format!("unknown kind {}", range.least.kind),
    }
}

fn describe_tensor(least: &raw::Tensor, most: &raw::Tensor) -> String {
    let rank = usize::try_from(least.rank).unwrap_or(0).min(raw::MAX_RANK);
    let shape: Vec<_> = (0..rank).map(|axis| span(least.shape[axis], most.shape[axis])).collect();
    let shape = if rank == 0 { "of any shape".into() } else { format!("[{}]", shape.join(", ")) };
    let scale = match least.scale {
        0.0 => String::new(),
        scale => format!(" scale {scale} zero point {}", least.zero_point),
    };
    format!("tensor {} {shape}{scale}", dtype(least.dtype))
}

fn dtype(code: u32) -> String {
    match (code, DType::from_raw(code)) {
        (0, _) => "of any type".into(),
        (_, Some(dtype)) => dtype.to_string(),
        (code, None) => format!("of unknown type {code}"),
    }
}

fn span<T: PartialEq + std::fmt::Display>(least: T, most: T) -> String {
    if least == most { least.to_string() } else { format!("{least}..{most}") }
}
