//! What a camera does offer, in words for an error: bounded, whatever a driver lists.
use std::path::Path;

use v4l::frameinterval::{FrameInterval, FrameIntervalEnum};
use v4l::framesize::{FrameSize, FrameSizeEnum};
use v4l::video::Capture;
use v4l::{Device, FourCC, Fraction, v4l_sys as sys};

use super::ioctl;
use crate::picture;
use crate::text::cut;

/// The longest list of any kind that a message repeats.
const MOST: usize = 12;

/// What a device node without video capture and streaming is.
pub(super) fn role(flags: u32, card: &str) -> String {
    let what = match flags {
        f if f & sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE != 0 => "a multi-planar capture device",
        f if f & sys::V4L2_CAP_VIDEO_CAPTURE != 0 => "a capture device without streaming",
        f if f & (sys::V4L2_CAP_VIDEO_M2M | sys::V4L2_CAP_VIDEO_M2M_MPLANE) != 0 => "a codec",
        f if f & sys::V4L2_CAP_META_CAPTURE != 0 => "a source of metadata",
        f if f & sys::V4L2_CAP_VIDEO_OUTPUT != 0 => "a video output",
        _ => "another kind of V4L2 device",
    };
    format!("{what} (`{}`)", cut(card).escape_debug())
}

/// `YUYV 640x480, 1280x720; GREY 640x480`: the formats that we take, with their sizes; where there is none of them, the
/// names of those there are.
pub(super) fn formats(device: &Device) -> String {
    let codes = ioctl::formats(device);
    let ours = |code: &&[u8; 4]| picture::word(**code).is_some();
    let taken: Vec<_> = codes.iter().filter(ours).map(|code| sizes(device, *code)).collect();
    let all: Vec<_> = codes.iter().map(|code| code.escape_ascii().to_string()).collect();
    match taken.is_empty() {
        true => format!("only {}, none of which is taken", list(&all, ", ", "nothing")),
        false => taken.join("; "),
    }
}

fn sizes(device: &Device, code: [u8; 4]) -> String {
    let sizes = device.enum_framesizes(FourCC::new(&code)).unwrap_or_default();
    let sizes: Vec<_> = sizes.iter().map(size).collect();
    format!("{} {}", picture::word(code).unwrap_or_default(), list(&sizes, ", ", "in any size"))
}

fn size(offer: &FrameSize) -> String {
    match &offer.size {
        FrameSizeEnum::Discrete(size) => format!("{}x{}", size.width, size.height),
        FrameSizeEnum::Stepwise(size) => format!(
            "{}x{} to {}x{} in steps of {}x{}",
            size.min_width,
            size.min_height,
            size.max_width,
            size.max_height,
            size.step_width,
            size.step_height
        ),
    }
}

/// `it offers 30, 25, 15 Hz`.
pub(super) fn rates(intervals: &[FrameInterval]) -> String {
    let shown = |interval| rate(interval).map_or("?".to_owned(), |hz| format!("{hz:.4}"));
    let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    let rates: Vec<_> = intervals
        .iter()
        .map(|offer| match &offer.interval {
            FrameIntervalEnum::Discrete(interval) => trimmed(shown(*interval)),
            FrameIntervalEnum::Stepwise(range) => {
                format!("{} to {}", trimmed(shown(range.max)), trimmed(shown(range.min)))
            }
        })
        .collect();
    match rates.is_empty() {
        true => "its rate cannot be set".to_owned(),
        false => format!("it offers {} Hz", list(&rates, ", ", "")),
    }
}

/// Frames a second, from the time between two.
pub(super) fn rate(interval: Fraction) -> Option<f64> {
    (interval.numerator != 0)
        .then(|| f64::from(interval.denominator) / f64::from(interval.numerator))
}

/// The video nodes of this machine, whatever they are.
pub(super) fn cameras() -> String {
    let mut nodes: Vec<_> = std::fs::read_dir(Path::new("/dev"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("video"))
        .map(|name| format!("/dev/{}", name.escape_debug()))
        .collect();
    nodes.sort();
    match nodes.is_empty() {
        true => "there is no video device at all".to_owned(),
        false => format!("there are {}", list(&nodes, ", ", "")),
    }
}

fn list(items: &[String], separator: &str, none: &str) -> String {
    let shown = items.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(separator);
    match items.len() {
        0 => none.to_owned(),
        n if n > MOST => format!("{shown} and {} more", n - MOST),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::{list, rate, role};
    use v4l::{Fraction, v4l_sys as sys};

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let items: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        assert_eq!(list(&items, ",", "-"), "0,1,2,3,4,5,6,7,8,9,10,11 and 8 more");
        assert_eq!(list(&items[..2], ",", "-"), "0,1");
        assert_eq!(list(&[], ",", "-"), "-");
    }

    #[test]
    fn a_rate_is_the_inverse_of_an_interval() {
        assert_eq!(rate(Fraction::new(1, 30)), Some(30.0));
        assert_eq!(rate(Fraction::new(0, 30)), None);
    }

    #[test]
    fn a_node_that_is_no_camera_is_named() {
        let codec = sys::V4L2_CAP_VIDEO_M2M | sys::V4L2_CAP_STREAMING;
        assert_eq!(role(codec, "evil\x1b"), "a codec (`evil\\u{1b}`)");
    }
}
