//! What the four sources have in common: no input, one output named `out`, one format, one frame a turn.
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use edgemill_abi::raw::FormatRange;
use edgemill_abi::{Format, LogLevel, Reason, Status};
use edgemill_linux::clock::monotonic_ns;
use edgemill_pipeline::outlet::Outlet;
use edgemill_pipeline::packet::Packet;
use edgemill_pipeline::pool::BufferMut;
use edgemill_pipeline::stage::{Flow, Port, Ports, Stage, StageError};

use crate::camera::CameraError;
use crate::csv::CsvError;
use crate::params::ParamError;
use crate::picture::OddWidth;
use crate::replay::ReplayError;

/// Where a source's messages go that are not errors.
pub type Log = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

/// What a source must know of the stage that it is.
#[derive(Clone)]
pub struct Context {
    /// The folder of the pipeline's file: relative paths begin there.
    pub base: PathBuf,
    /// Told of each frame that is left out, by name; it must not block.
    pub log: Log,
}

/// Why there is no source, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such source.
    #[error("`{}` is no source; there are {known}", name.escape_debug())]
    Kind {
        /// As given, cut.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A parameter.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Width and format.
    #[error(transparent)]
    Width(#[from] OddWidth),
    /// A camera.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A recording.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A CSV file.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A picture that cannot be drawn.
    #[error(transparent)]
    Image(#[from] edgemill_kernels::image::ImageError),
    /// The format is more than a buffer may hold.
    #[error("{0}; make the frames smaller")]
    Format(#[from] edgemill_abi::FormatError),
    /// Called before it was activated, or after a fault.
    #[error("the source is closed; it is opened when its stage is activated")]
    Closed,
    /// The pipeline did not take what the source has.
    #[error("the pipeline did not take a frame: {0}")]
    Pipeline(Status),
}

impl Error {
    /// The stage is told to end, which is no fault.
    fn is_stop(&self) -> bool {
        matches!(self, Self::Pipeline(Status::Stopping))
    }
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// What makes one source unlike another.
pub(crate) trait Source: Send {
    /// Opens what is read from. May allocate.
    fn start(&mut self) -> Result<(), Error>;

    /// Emits a frame if there is one; waits only through `out`, and not long.
    fn turn(&mut self, out: &Out) -> Result<Flow, Error>;

    /// Closes what `start` opened.
    fn stop(&mut self);
}

/// A source as a stage.
pub(crate) struct SourceStage<S> {
    source: S,
    ports: Ports,
    log: Log,
    out: Option<Out>,
    /// What the last activation found.
    absent: bool,
}

impl<S: Source + 'static> SourceStage<S> {
    pub(crate) fn boxed(source: S, format: Format, context: Context) -> Box<dyn Stage> {
        let fixed = FormatRange { least: format.raw(), most: format.raw() };
        let out = Port { name: "out".to_owned(), ranges: vec![fixed], held: 0, burst: 1 };
        let ports = Ports { outputs: vec![out], ..Ports::default() };
        Box::new(Self { source, ports, log: context.log, out: None, absent: false })
    }
}

impl<S: Source> Stage for SourceStage<S> {
    fn ports(&self) -> &Ports {
        &self.ports
    }

    fn activate(
        &mut self,
        _inputs: &[Format],
        outputs: &[Format],
        outlet: Arc<Outlet>,
    ) -> Result<(), StageError> {
        let format = *outputs.first().ok_or(Error::Closed)?;
        let started = self.source.start();
        self.absent = matches!(started, Err(Error::Camera(CameraError::Absent { .. })));
        started?;
        self.out = Some(Out { outlet, format, log: self.log.clone() });
        Ok(())
    }

    fn awaits_device(&self) -> bool {
        self.absent
    }

    fn process(&mut self, reason: Reason, _inputs: &[Option<&Packet>]) -> Result<Flow, StageError> {
        if reason != Reason::Turn {
            return Ok(Flow::Continue);
        }
        match self.source.turn(self.out.as_ref().ok_or(Error::Closed)?) {
            Err(error) if error.is_stop() => Ok(Flow::Continue),
            turned => Ok(turned?),
        }
    }

    fn deactivate(&mut self) {
        self.source.stop();
        self.out = None;
    }
}

/// The longest that a source waits in one call, so that whatever the stage is told next never waits for a slow rate.
const NAP_NS: u64 = 50_000_000;

/// A source's one output.
pub(crate) struct Out {
    outlet: Arc<Outlet>,
    format: Format,
    log: Log,
}

impl Out {
    /// A buffer of the format's size; `None` if all are in use, which the pipeline counts.
    pub(crate) fn acquire(&self) -> Result<Option<BufferMut>, Error> {
        match self.outlet.acquire_mut(0) {
            Ok(buffer) => Ok(Some(buffer)),
            Err(Status::NoBuffer) => Ok(None),
            Err(status) => Err(Error::Pipeline(status)),
        }
    }

    /// Lets `fill` write a buffer's bytes, as many as the format has.
    pub(crate) fn fill<T>(&self, buffer: &mut BufferMut, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        let bytes = usize::try_from(self.format.buffer_bytes()).unwrap_or(usize::MAX);
        let all = buffer.bytes_mut();
        let length = all.len().min(bytes);
        fill(&mut all[..length])
    }

    /// Emits a frame. One without a time of its own was captured now, and none was captured later than now, whatever
    /// a driver computes.
    pub(crate) fn emit(&self, buffer: BufferMut, capture_ns: Option<u64>) -> Result<(), Error> {
        let now_ns = monotonic_ns();
        let capture_ns = capture_ns.map_or(now_ns, |time_ns| time_ns.min(now_ns));
        let payload = self.format.payload();
        self.outlet.emit_sample(0, payload, Some(buffer), capture_ns).map_err(Error::Pipeline)
    }

    /// Leaves out `count` frames: counted, a gap in the sequence, and named if there is more to say than that.
    pub(crate) fn skip(&self, count: u64, why: Option<&dyn Display>) -> Result<(), Error> {
        if let Some(why) = why {
            (self.log)(LogLevel::Warn, &format!("left out: {why}"));
        }
        self.outlet.skip(0, count).map_err(Error::Pipeline)
    }

    /// Sleeps towards a moment, for a while at most, and says whether it has come.
    pub(crate) fn sleep_towards(&self, moment_ns: u64) -> Result<bool, Error> {
        let until = moment_ns.min(monotonic_ns() + NAP_NS);
        self.outlet.sleep_until(until).map_err(Error::Pipeline)?;
        Ok(until == moment_ns)
    }

    /// Sleeps for a while.
    pub(crate) fn nap(&self) -> Result<(), Error> {
        self.sleep_towards(u64::MAX).map(drop)
    }

    /// Waits for a device; the wait has a limit of its own.
    pub(crate) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> Result<T, Error> {
        self.outlet.waiting(wait).map_err(Error::Pipeline)
    }
}
