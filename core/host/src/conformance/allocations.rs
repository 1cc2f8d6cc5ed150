//! Counting what a plugin asks of the allocator: a small library is loaded before the C library and counts.
use std::os::fd::{AsFd, AsRawFd};

use edgemill_linux::memfd::Memfd;
use libloading::os::unix::Library;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// `count_allocations.c`, compiled for this machine.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/count_allocations.so"));

/// The library as a file that a child process finds under its own `/proc/self/fd`.
pub(super) struct Preload(Memfd);

impl Preload {
    pub(super) fn new() -> Result<Self, edgemill_linux::Error> {
        let file = Memfd::holding("count_allocations.so", LIBRARY)?;
        // The child inherits the descriptor; that fails only for one that is not open.
        let _ = fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()));
        Ok(Self(file))
    }

    /// For the child's environment.
    pub(super) fn variable(&self) -> (&'static str, String) {
        ("LD_PRELOAD", format!("/proc/self/fd/{}", self.0.as_fd().as_raw_fd()))
    }
}

/// The count of the thread that reads it.
#[derive(Clone, Copy)]
pub(super) struct Counter(unsafe extern "C" fn() -> u64);

impl Counter {
    /// `None` in a process that the library was not loaded into.
    pub(super) fn find() -> Option<Self> {
        let this = Library::this();
        // SAFETY: nothing but our own library has this name, and this is its type there.
        let function =
            unsafe { this.get::<unsafe extern "C" fn() -> u64>("edgemill_allocator_calls") };
        function.ok().map(|f| Self(*f))
    }

    pub(super) fn read(self) -> u64 {
        // SAFETY: it reads a number of this thread's own.
        unsafe { (self.0)() }
    }
}
