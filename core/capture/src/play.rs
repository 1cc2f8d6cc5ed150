//! Playing what can be had by number: a recording, a series, a pattern.
use edgemill_linux::clock::monotonic_ns;
use edgemill_pipeline::stage::Flow;

use crate::pace::Pacer;
use crate::replay::ReplayError;
use crate::source::{Error, Out, Source};

/// Something with frames that can be had by number.
pub(crate) trait Frames: Send {
    /// How many there are; at least one.
    fn count(&self) -> u64;

    /// Puts one into a buffer of its format's size.
    fn fill(&mut self, index: u64, out: &mut [u8]) -> Result<(), ReplayError>;
}

/// What comes after the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    Idle,
    Loop,
}

impl End {
    /// The word of the parameter `end`.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "idle" => Self::Idle,
            "loop" => Self::Loop,
            _ => Self::Stop,
        }
    }
}

/// Plays frames in order. One that cannot be had is left out and named, which leaves a gap in the sequence; when a
/// whole round gives nothing, that is the source's fault.
pub(crate) struct Player<F> {
    frames: F,
    pacer: Pacer,
    end: End,
    next: u64,
    /// Frames left out since one could be had.
    missed: u64,
}

impl<F: Frames> Player<F> {
    pub(crate) fn new(frames: F, rate_hz: f64, end: End) -> Self {
        Self { frames, pacer: Pacer::new(rate_hz), end, next: 0, missed: 0 }
    }

    /// Without a rate nothing is lost for want of a buffer: the frame waits for one.
    fn play(&mut self, out: &Out) -> Result<(), Error> {
        let Some(mut buffer) = out.acquire()? else {
            if self.pacer.is_paced() {
                self.next += 1;
                out.skip(1, None)?;
            }
            return Ok(());
        };
        let index = self.next % self.frames.count();
        self.next += 1;
        match out.fill(&mut buffer, |bytes| self.frames.fill(index, bytes)) {
            Ok(()) => {
                self.missed = 0;
                out.emit(buffer, None)
            }
            Err(error) => self.miss(error, out),
        }
    }

    fn miss(&mut self, error: ReplayError, out: &Out) -> Result<(), Error> {
        self.missed += 1;
        if self.missed >= self.frames.count() {
            return Err(error.into());
        }
        out.skip(1, Some(&error))
    }
}

impl<F: Frames> Source for Player<F> {
    fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn turn(&mut self, out: &Out) -> Result<Flow, Error> {
        if self.end != End::Loop && self.next == self.frames.count() {
            if self.end == End::Stop {
                return Ok(Flow::End);
            }
            out.nap()?;
        } else if !self.pacer.is_paced() || out.sleep_towards(self.pacer.due_ns(monotonic_ns()))? {
            self.play(out)?;
            self.pacer.advance(monotonic_ns());
        }
        Ok(Flow::Continue)
    }

    fn stop(&mut self) {}
}
