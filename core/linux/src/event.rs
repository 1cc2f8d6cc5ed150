//! A descriptor that wakes a poll. See eventfd(2).
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Context, Result};

/// Wakes whoever polls it; any number of wakes before a look are one.
#[derive(Debug)]
pub struct Waker(EventFd);

impl Waker {
    /// A waker that nobody has rung yet.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> Result<Self> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map(Self)
            .context("eventfd", String::new)
    }

    /// Makes the descriptor readable. Never blocks: a full counter is as good as another wake.
    pub fn wake(&self) {
        let _ = self.0.write(1);
    }

    /// Makes it quiet again; true if it was rung.
    pub fn take(&self) -> bool {
        self.0.read().is_ok()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
