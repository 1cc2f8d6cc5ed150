//! A camera in the states that V4L2 knows, each a type of its own: closed (no value) → [`Open`] → [`Configured`] →
//! [`Streaming`]. Whatever goes wrong drops the value, and with it the mappings and the descriptor, so that the way
//! back is always the same: open again.
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use v4l::video::Capture;
use v4l::{Device, FourCC, Fraction, v4l_sys as sys};

use super::controls::{self, Setting};
use super::error::CameraError;
use super::ioctl::{self, Buffers, Filled, Pix};
use super::offer;
use crate::picture::Picture;

/// Enough for the driver to fill one while one waits and one is copied.
const BUFFERS: u32 = 4;

/// A device node that can capture and stream.
pub(super) struct Open {
    device: Device,
    path: PathBuf,
}

impl Open {
    /// Opens the node and asks what it is.
    pub(super) fn new(path: &Path) -> Result<Self, CameraError> {
        let owned = path.to_path_buf();
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(CameraError::NotACamera { path: owned, is: "not a path".to_owned() });
        }
        let device = Device::with_path(path).map_err(|error| opening(path, error))?;
        let Ok(capability) = ioctl::capability(&device) else {
            return Err(CameraError::NotACamera {
                path: owned,
                is: "not a V4L2 device".to_owned(),
            });
        };
        let needs = sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_STREAMING;
        if capability.flags & needs != needs {
            let is = offer::role(capability.flags, &capability.card);
            return Err(CameraError::NotACamera { path: owned, is });
        }
        Ok(Self { device, path: owned })
    }

    /// The device, to ask it more.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Sets format and rate; `rate-hz` 0 leaves the rate as it is.
    pub(super) fn configure(
        self,
        wanted: &Picture,
        rate_hz: f64,
    ) -> Result<Configured, CameraError> {
        let Self { device, path } = self;
        let pix = ioctl::set_format(&device, wanted.fourcc(), wanted.width, wanted.height)
            .map_err(|error| asking(&path, &device, wanted, error))?;
        if !fits(&pix, wanted) {
            return Err(no_format(&path, &device, wanted));
        }
        if rate_hz > 0.0 {
            set_rate(&path, &device, wanted, rate_hz)?;
        }
        Ok(Configured { device, path, pix })
    }
}

/// A camera set to a format that was asked for, with the stride that the driver chose.
pub(super) struct Configured {
    device: Device,
    path: PathBuf,
    pix: Pix,
}

impl Configured {
    /// Sets controls, maps buffers, hands all of them to the driver and starts it.
    pub(super) fn start(self, settings: &[Setting]) -> Result<Streaming, CameraError> {
        let Self { device, path, pix } = self;
        controls::set(&path, &device, settings)?;
        let failed = |error| starting(&path, error);
        let mut buffers = Buffers::map(device, BUFFERS).map_err(failed)?;
        (0..buffers.count()).try_for_each(|index| buffers.queue(index)).map_err(failed)?;
        ioctl::stream_on(buffers.device()).map_err(failed)?;
        Ok(Streaming { buffers, path, stride: pix.stride })
    }
}

/// A camera that delivers.
pub(super) struct Streaming {
    buffers: Buffers,
    path: PathBuf,
    stride: u32,
}

/// One frame, readable while it is borrowed from the driver.
pub(super) struct Frame<'a> {
    pub bytes: &'a [u8],
    /// Bytes from one row to the next in `bytes`.
    pub stride: u32,
    /// The driver says that the data are damaged.
    pub corrupted: bool,
    /// Counted by the driver, modulo 2^32.
    pub sequence: u32,
    /// CLOCK_MONOTONIC; `None` where the driver stamps by another clock.
    pub capture_ns: Option<u64>,
}

impl Streaming {
    /// Waits at most `timeout` for a frame. A device that has failed or gone ends the wait too, and [`Self::next`] then
    /// learns the reason.
    pub(super) fn wait(&self, timeout: Duration) -> Result<bool, CameraError> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match self.poll(timeout) {
            Err(Errno::EINTR) => Ok(false),
            Ok(events) => Ok(!events.is_empty()),
            Err(errno) => Err(self.lost(errno.into())),
        }
    }

    /// Shows the next frame to `take` and gives its buffer back to the driver, which is the only way that a buffer is
    /// queued again. `None` when there is none yet.
    pub(super) fn next<T>(
        &mut self,
        take: impl FnOnce(&Frame<'_>) -> T,
    ) -> Result<Option<T>, CameraError> {
        let filled = match self.buffers.dequeue() {
            Ok(filled) => filled,
            Err(error) => return self.nothing(error).map(|()| None),
        };
        let taken = take(&self.frame(&filled));
        self.buffers.queue(filled.index).map_err(|error| self.lost(error))?;
        Ok(Some(taken))
    }

    fn poll(&self, timeout: PollTimeout) -> Result<PollFlags, Errno> {
        let mut set = [PollFd::new(ioctl::descriptor(self.buffers.device()), PollFlags::POLLIN)];
        nix::poll::poll(&mut set, timeout)?;
        Ok(set[0].revents().unwrap_or(PollFlags::empty()))
    }

    fn frame<'a>(&'a self, filled: &Filled) -> Frame<'a> {
        let monotonic = filled.flags & sys::V4L2_BUF_FLAG_TIMESTAMP_MASK
            == sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        Frame {
            bytes: self.buffers.read(filled),
            stride: self.stride,
            corrupted: filled.flags & sys::V4L2_BUF_FLAG_ERROR != 0,
            sequence: filled.sequence,
            capture_ns: monotonic.then_some(filled.timestamp_ns),
        }
    }

    /// A dequeue without a buffer: nothing yet, or the end of this stream. EIO counts as the end, since the driver
    /// may have taken a buffer out of its queue without saying which (VIDIOC_DQBUF's manual).
    fn nothing(&self, error: io::Error) -> Result<(), CameraError> {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EINTR) => Ok(()),
            Some(Errno::EAGAIN) if !self.failed() => Ok(()),
            _ => Err(self.lost(error)),
        }
    }

    /// The device reports an error or a hang-up rather than a frame: without this, EAGAIN would be asked for ever.
    fn failed(&self) -> bool {
        let bad = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        self.poll(PollTimeout::ZERO).is_ok_and(|events| events.intersects(bad))
    }

    fn lost(&self, error: io::Error) -> CameraError {
        CameraError::Lost { path: self.path.clone(), source: error }
    }
}

/// The right pixels, whole, rows in order, and each row complete.
fn fits(pix: &Pix, wanted: &Picture) -> bool {
    let whole = [sys::v4l2_field_V4L2_FIELD_NONE, sys::v4l2_field_V4L2_FIELD_INTERLACED];
    (pix.fourcc, pix.width, pix.height) == (wanted.fourcc(), wanted.width, wanted.height)
        && whole.contains(&pix.field)
        && pix.stride >= wanted.stride()
}

/// The camera may choose the nearest interval that it has; nearer than this is the rate that was asked for.
const RATE_TOLERANCE: f64 = 0.02;

fn set_rate(
    path: &Path,
    device: &Device,
    wanted: &Picture,
    rate_hz: f64,
) -> Result<(), CameraError> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the parameter's range keeps it at 1000 Hz or below"
    )]
    let thousandths = (rate_hz * 1000.0).round().max(1.0) as u32;
    let asked = v4l::video::capture::Parameters::new(Fraction::new(1000, thousandths));
    let granted = match device.set_params(&asked) {
        Ok(granted) => offer::rate(granted.interval),
        Err(error) if Errno::from_raw(error.raw_os_error().unwrap_or(0)) == Errno::EBUSY => {
            return Err(CameraError::Busy { path: path.to_path_buf() });
        }
        Err(_) => None,
    };
    if granted.is_some_and(|granted| (granted - rate_hz).abs() <= rate_hz * RATE_TOLERANCE) {
        return Ok(());
    }
    let code = FourCC::from(wanted.fourcc());
    let intervals = device.enum_frameintervals(code, wanted.width, wanted.height);
    Err(CameraError::NoRate {
        path: path.to_path_buf(),
        wanted: rate_hz,
        offers: offer::rates(&intervals.unwrap_or_default()),
    })
}

fn opening(path: &Path, error: io::Error) -> CameraError {
    let owned = path.to_path_buf();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::ENOTDIR) => {
            CameraError::Absent { path: owned, present: offer::cameras() }
        }
        Some(Errno::EBUSY) => CameraError::Busy { path: owned },
        Some(Errno::EACCES | Errno::EPERM) => CameraError::Denied { path: owned },
        _ => CameraError::Open { path: owned, source: error },
    }
}

fn asking(path: &Path, device: &Device, wanted: &Picture, error: io::Error) -> CameraError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EINVAL) => no_format(path, device, wanted),
        _ => starting(path, error),
    }
}

fn starting(path: &Path, error: io::Error) -> CameraError {
    let path = path.to_path_buf();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY) => CameraError::Busy { path },
        _ => CameraError::Start { path, source: error },
    }
}

fn no_format(path: &Path, device: &Device, wanted: &Picture) -> CameraError {
    CameraError::NoFormat {
        path: path.to_path_buf(),
        wanted: wanted.to_string(),
        offers: offer::formats(device),
    }
}
