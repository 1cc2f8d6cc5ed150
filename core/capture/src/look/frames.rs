//! The beginning: a source that is handed its frames.
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use edgemill_kernels::image::{PixelFormat, RgbPicture};
use edgemill_pipeline::stage::{Flow, Stage};

use crate::picture::{Coding, Picture};
use crate::source::{Context, Error, Out, Source, SourceStage};

/// How long a call waits for a frame: what the stage is told next must not wait for long.
const WAIT: Duration = Duration::from_millis(50);

struct Fed {
    frames: Receiver<RgbPicture>,
    /// One that found no buffer yet.
    waiting: Option<RgbPicture>,
}

/// A source of RGB24 frames of `size`, width and height, that come over a channel; it ends when the channel does.
///
/// # Errors
/// There are no such frames.
pub fn frames(
    [width, height]: [u32; 2],
    frames: Receiver<RgbPicture>,
    context: Context,
) -> Result<Box<dyn Stage>, Error> {
    let picture = Picture { coding: Coding::Pixels(PixelFormat::Rgb24), width, height };
    Ok(SourceStage::boxed(Fed { frames, waiting: None }, picture.image()?, context))
}

impl Source for Fed {
    fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn turn(&mut self, out: &Out) -> Result<Flow, Error> {
        let frame = match self.waiting.take() {
            Some(frame) => frame,
            None => match out.waiting(|| self.frames.recv_timeout(WAIT))? {
                Ok(frame) => frame,
                Err(RecvTimeoutError::Timeout) => return Ok(Flow::Continue),
                Err(RecvTimeoutError::Disconnected) => return Ok(Flow::End),
            },
        };
        let Some(mut buffer) = out.acquire()? else {
            self.waiting = Some(frame);
            return Ok(Flow::Continue);
        };
        out.fill(&mut buffer, |bytes| {
            bytes.iter_mut().zip(frame.pixels()).for_each(|(to, from)| *to = *from);
        });
        out.emit(buffer, None)?;
        Ok(Flow::Continue)
    }

    fn stop(&mut self) {}
}
