//! A V4L2 camera. What it captures is copied once, from the driver's buffer into the pool's; a frame that the driver
//! lost or that came damaged is counted, and leaves a gap in the sequence.
mod controls;
mod device;
mod error;
#[allow(unsafe_code, reason = "the crate's calls into V4L2, each with the fact it relies on")]
mod ioctl;
mod nodes;
mod offer;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use edgemill_pipeline::stage::Flow;

pub use error::CameraError;
pub(crate) use nodes::keep;
pub use nodes::{Camera as CameraNode, Node, nodes};

use self::controls::Setting;
use self::device::{Frame, Open, Streaming};
use crate::params::{Checked, Kind, Param};
use crate::picture::{self, Coding, Picture};
use crate::source::{Error, Out, Source};

/// What the source takes.
pub(crate) const PARAMS: &[Param] = &[
    Param {
        name: "device",
        unit: "",
        help: "The camera's device node (a link in /dev/v4l/by-id stays the same when it is plugged in elsewhere), or \
               card:NAME or driver:NAME for the first camera of that name.",
        kind: Kind::Text { fallback: Some("/dev/video0") },
    },
    picture::width(2),
    picture::HEIGHT,
    picture::FORMAT,
    Param {
        name: "rate-hz",
        unit: "Hz",
        help: "Frames a second; 0 for the rate that the camera is set to.",
        kind: Kind::Float { least: 0.0, most: 1000.0, fallback: Some(0.0) },
    },
    Param {
        name: "controls",
        unit: "",
        help: "Controls to set when the camera is opened, in this order, named as `v4l2-ctl --list-ctrls` names them: \
               \"auto_exposure=1, exposure_time_absolute=150\".",
        kind: Kind::Text { fallback: Some("") },
    },
    Param {
        name: "timeout-ms",
        unit: "ms",
        help: "How long no frame may come before the camera is opened again.",
        kind: Kind::Int { least: 100, most: 60_000, fallback: Some(2000) },
    },
];

/// The longest one call waits, so that a stop or a reload never waits for a camera that is silent.
const SLICE: Duration = Duration::from_millis(100);

/// The camera as a source. It is opened when the stage is activated and closed at the first fault; the restart that
/// follows opens it anew.
pub(crate) struct Camera {
    path: PathBuf,
    picture: Picture,
    rate_hz: f64,
    controls: Vec<Setting>,
    timeout: Duration,
    streaming: Option<Streaming>,
    heard: Instant,
    numbers: Numbers,
}

impl Camera {
    pub(crate) fn new(
        path: PathBuf,
        picture: Picture,
        params: &Checked,
    ) -> Result<Self, CameraError> {
        Ok(Self {
            path,
            picture,
            rate_hz: params.float("rate-hz"),
            controls: controls::parse(params.text("controls"))?,
            timeout: Duration::from_millis(params.int("timeout-ms").into()),
            streaming: None,
            heard: Instant::now(),
            numbers: Numbers::default(),
        })
    }

    fn capture(&mut self, out: &Out) -> Result<(), Error> {
        let Self { picture, numbers, .. } = self;
        let Some(streaming) = &mut self.streaming else { return Err(Error::Closed) };
        if !out.waiting(|| streaming.wait(SLICE))?? {
            return self.quiet();
        }
        match streaming.next(|frame| take(frame, picture, numbers, out))? {
            Some(taken) => {
                self.heard = Instant::now();
                taken
            }
            None => self.quiet(),
        }
    }

    fn quiet(&self) -> Result<(), Error> {
        if self.heard.elapsed() < self.timeout {
            return Ok(());
        }
        let waited_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        Err(CameraError::Silent { path: self.path.clone(), waited_ms }.into())
    }
}

impl Source for Camera {
    fn start(&mut self) -> Result<(), Error> {
        self.stop();
        let configured =
            Open::new(&nodes::find(&self.path)?)?.configure(&self.picture, self.rate_hz)?;
        self.streaming = Some(configured.start(&self.controls)?);
        self.heard = Instant::now();
        Ok(())
    }

    fn turn(&mut self, out: &Out) -> Result<Flow, Error> {
        let captured = self.capture(out);
        if matches!(captured, Err(Error::Camera(_))) {
            self.stop();
        }
        captured.map(|()| Flow::Continue)
    }

    fn stop(&mut self) {
        self.streaming = None;
        self.numbers = Numbers::default();
    }
}

/// Hands one frame on, or counts why not.
fn take(
    frame: &Frame<'_>,
    picture: &Picture,
    numbers: &mut Numbers,
    out: &Out,
) -> Result<(), Error> {
    let lost = numbers.follow(frame.sequence);
    if lost > 0 {
        out.skip(lost, None)?;
    }
    let jpeg = picture.coding == Coding::Jpeg;
    let whole = if jpeg { is_jpeg(frame, picture) } else { is_whole(frame, picture) };
    if frame.corrupted || !whole {
        return out.skip(1, Some(&"the camera sent a damaged frame"));
    }
    let Some(mut buffer) = out.acquire()? else {
        return out.skip(1, None);
    };
    out.fill(&mut buffer, |bytes| match jpeg {
        true => copy_jpeg(frame.bytes, bytes),
        false => copy_rows(frame, picture.stride() as usize, bytes),
    });
    out.emit(buffer, frame.capture_ns)
}

/// Every row is there; of the last one only the pixels need to be.
fn is_whole(frame: &Frame<'_>, picture: &Picture) -> bool {
    let rows = u64::from(picture.rows() - 1) * u64::from(frame.stride);
    frame.bytes.len() as u64 >= rows + u64::from(picture.stride())
}

/// Rows with the driver's padding become rows without.
fn copy_rows(frame: &Frame<'_>, row: usize, out: &mut [u8]) {
    let stride = frame.stride as usize;
    if stride == row {
        return out.copy_from_slice(&frame.bytes[..out.len()]);
    }
    for (from, to) in frame.bytes.chunks(stride).zip(out.chunks_exact_mut(row)) {
        to.copy_from_slice(&from[..row]);
    }
}

/// It begins as a JPEG does and fits a buffer with an end marker after it. Whether it can be decoded only its consumer
/// finds out.
fn is_jpeg(frame: &Frame<'_>, picture: &Picture) -> bool {
    frame.bytes.starts_with(&JPEG_START) && frame.bytes.len() + JPEG_END.len() <= picture.bytes()
}

const JPEG_START: [u8; 2] = [0xff, 0xd8];
const JPEG_END: [u8; 2] = [0xff, 0xd9];

/// The buffer may hold an older frame: an end marker keeps a decoder of a frame that was cut from reading on into that.
fn copy_jpeg(frame: &[u8], out: &mut [u8]) {
    let (own, rest) = out.split_at_mut(frame.len());
    own.copy_from_slice(frame);
    rest[..JPEG_END.len()].copy_from_slice(&JPEG_END);
}

/// The driver's count of frames, which wraps at 2^32 and may start anywhere.
#[derive(Debug, Default)]
struct Numbers {
    last: Option<u32>,
}

impl Numbers {
    /// How many frames are missing before this one. A count that goes back or stands still was begun anew, which says
    /// nothing about losses.
    fn follow(&mut self, sequence: u32) -> u64 {
        match self.last.replace(sequence).map(|last| sequence.wrapping_sub(last)) {
            Some(step @ 1..=0x7fff_ffff) => u64::from(step - 1),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use edgemill_kernels::image::PixelFormat;

    use super::{Frame, Numbers, copy_jpeg, copy_rows, is_jpeg, is_whole};
    use crate::picture::{Coding, Picture};

    fn frame(bytes: &[u8], stride: u32) -> Frame<'_> {
        Frame { bytes, stride, corrupted: false, sequence: 0, capture_ns: None }
    }

    #[test]
    fn rows_lose_their_padding() {
        let bytes: Vec<u8> = (0..18).collect();
        let mut out = [0; 8];
        copy_rows(&frame(&bytes, 10), 4, &mut out);
        assert_eq!(out, [0, 1, 2, 3, 10, 11, 12, 13]);
        copy_rows(&frame(&bytes, 4), 4, &mut out);
        assert_eq!(out, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_frame_is_whole_without_the_last_row_s_padding() {
        let picture = Picture { coding: Coding::Pixels(PixelFormat::Yuyv), width: 2, height: 3 };
        let bytes = [0; 30];
        for (stride, length, whole) in
            [(4, 12, true), (4, 11, false), (10, 24, true), (10, 23, false)]
        {
            assert_eq!(is_whole(&frame(&bytes[..length], stride), &picture), whole, "{length}");
        }
    }

    #[test]
    fn the_chroma_of_an_nv12_frame_belongs_to_it() {
        let picture = Picture { coding: Coding::Pixels(PixelFormat::Nv12), width: 2, height: 2 };
        let bytes = [1, 2, 9, 9, 3, 4, 9, 9, 5, 6];
        assert!(is_whole(&frame(&bytes, 4), &picture));
        assert!(!is_whole(&frame(&bytes[..9], 4), &picture));
        let mut out = [0; 6];
        copy_rows(&frame(&bytes, 4), 2, &mut out);
        assert_eq!(out, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_jpeg_is_ended_where_it_ends() {
        let picture = Picture { coding: Coding::Jpeg, width: 2, height: 2 };
        for (bytes, taken) in [
            (&[0xff, 0xd8, 1, 2, 3, 4][..], true),
            (&[0xff, 0xd8, 1, 2, 3, 4, 5], false),
            (&[0xff, 0xd9, 1, 2], false),
            (&[], false),
        ] {
            assert_eq!(is_jpeg(&frame(bytes, 0), &picture), taken, "{bytes:?}");
        }
        let mut out = [7; 8];
        copy_jpeg(&[0xff, 0xd8, 1], &mut out);
        assert_eq!(out, [0xff, 0xd8, 1, 0xff, 0xd9, 7, 7, 7]);
    }

    #[test]
    fn a_gap_in_the_driver_s_count_is_frames_lost() {
        let cases = [
            ("no gap", vec![7, 8, 9], vec![0, 0, 0]),
            ("two lost", vec![0, 3], vec![0, 2]),
            ("wraps", vec![u32::MAX, 0, 2], vec![0, 0, 1]),
            ("begun anew", vec![100, 0, 1], vec![0, 0, 0]),
            ("stands still", vec![5, 5], vec![0, 0]),
        ];
        for (case, sequence, expected) in cases {
            let mut numbers = Numbers::default();
            let found: Vec<_> = sequence.into_iter().map(|n| numbers.follow(n)).collect();
            assert_eq!(found, expected, "{case}");
        }
    }
}
