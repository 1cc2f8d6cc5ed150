//! The signals a daemon answers, as a descriptor. See signalfd(2).
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd as Inner};

use crate::error::{Context, Result};

/// A signal a daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: stop, in order.
    Terminate,
    /// SIGINT: stop, from the keyboard.
    Interrupt,
    /// SIGHUP: read the configuration again.
    Reload,
}

const ANSWERED: [(Number, Signal); 3] = [
    (Number::SIGTERM, Signal::Terminate),
    (Number::SIGINT, Signal::Interrupt),
    (Number::SIGHUP, Signal::Reload),
];

/// SIGTERM, SIGINT and SIGHUP, readable instead of delivered.
#[derive(Debug)]
pub struct SignalFd(Inner);

impl SignalFd {
    /// Blocks the three in this thread and in those it starts later: call it before any other thread runs.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> Result<Self> {
        let mut set = SigSet::empty();
        ANSWERED.iter().for_each(|(number, _)| set.add(*number));
        set.thread_block().context("pthread_sigmask", String::new)?;
        Inner::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .context("signalfd", String::new)
    }

    /// The next signal that has come, if any. Never blocks.
    ///
    /// # Errors
    /// Reading failed.
    pub fn read(&self) -> Result<Option<Signal>> {
        let Some(info) = self.0.read_signal().context("read", || "signalfd".into())? else {
            return Ok(None);
        };
        let known = |number: Number| u32::try_from(number as i32) == Ok(info.ssi_signo);
        Ok(ANSWERED.iter().find(|(number, _)| known(*number)).map(|(_, signal)| *signal))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_read_as_what_it_is() {
        let signals = SignalFd::new().unwrap();
        assert_eq!(signals.read().unwrap(), None);
        for (number, signal) in ANSWERED {
            // To this thread alone: the other threads of a test run do not block it.
            // SAFETY: pthread_self is always valid, and the signal is blocked in this thread above.
            let sent = unsafe { nix::libc::pthread_kill(nix::libc::pthread_self(), number as i32) };
            assert_eq!(sent, 0);
            assert_eq!(signals.read().unwrap(), Some(signal));
        }
    }
}
