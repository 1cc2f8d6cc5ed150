//! A V4L2 camera. What it captures is copied once, from the driver's buffer into the pool's; a frame that the driver
//! lost or that came damaged is counted, and leaves a gap in the sequence.
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

use self::device::{Frame, Open, Streaming};
use crate::params::{Checked, Kind, Param};
use crate::picture::{self, Picture};
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
    timeout: Duration,
    streaming: Option<Streaming>,
    heard: Instant,
    numbers: Numbers,
}

impl Camera {
    pub(crate) fn new(path: PathBuf, picture: Picture, params: &Checked) -> Self {
        Self {
            path,
            picture,
            rate_hz: params.float("rate-hz"),
            timeout: Duration::from_millis(params.int("timeout-ms").into()),
            streaming: None,
            heard: Instant::now(),
            numbers: Numbers::default(),
        }
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
        self.streaming = Some(configured.start()?);
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
    if frame.corrupted || !is_whole(frame, picture) {
        return out.skip(1, Some(&"the camera sent a damaged frame"));
    }
    let Some(mut buffer) = out.acquire()? else {
        return out.skip(1, None);
    };
    out.fill(&mut buffer, |bytes| copy_rows(frame, picture.stride() as usize, bytes));
    out.emit(buffer, frame.capture_ns)
}

/// Every row is there; of the last one only the pixels need to be.
fn is_whole(frame: &Frame<'_>, picture: &Picture) -> bool {
    let rows = u64::from(picture.height - 1) * u64::from(frame.stride);
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

    use super::{Frame, Numbers, copy_rows, is_whole};
    use crate::picture::Picture;

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
        let picture = Picture { format: PixelFormat::Yuyv, width: 2, height: 3 };
        let bytes = [0; 30];
        for (stride, length, whole) in
            [(4, 12, true), (4, 11, false), (10, 24, true), (10, 23, false)]
        {
            assert_eq!(is_whole(&frame(&bytes[..length], stride), &picture), whole, "{length}");
        }
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
