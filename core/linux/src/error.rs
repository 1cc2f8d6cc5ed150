//! One error for all of the crate: which call, on what, and the kernel's answer.
use std::io;

use nix::errno::Errno;

/// A call that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{call} {object}: {source}")]
pub struct Error {
    /// The call, by its man page's name.
    pub call: &'static str,
    /// What it was asked to do, and to what.
    pub object: String,
    /// The kernel's answer.
    pub source: io::Error,
}

/// What every call here answers.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(call: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self { call, object: object.into(), source }
    }
}

/// Names the call and its object beside the bare error number.
pub(crate) trait Context<T> {
    fn context(self, call: &'static str, object: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for nix::Result<T> {
    fn context(self, call: &'static str, object: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::new(call, object(), errno.into()))
    }
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, call: &'static str, object: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(call, object(), error))
    }
}

/// The result of a raw libc call that answers -1 on failure.
pub(crate) fn check(answer: nix::libc::c_int) -> nix::Result<()> {
    Errno::result(answer).map(drop)
}
