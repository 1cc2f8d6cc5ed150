//! How a plugin says what went wrong.
use std::borrow::Cow;
use std::fmt;

use edgemill_abi::{FormatError, Status, ViewError};

/// What a plugin's functions answer.
pub type Result<T> = std::result::Result<T, Error>;

/// A status of the boundary and a sentence for people, which the sdk writes to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    text: Cow<'static, str>,
}

impl Error {
    /// With one of the statuses that are errors; any other becomes [`Status::Fault`].
    pub fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        let status = if status.is_error() { status } else { Status::Fault };
        Self { status, text: text.into() }
    }

    /// What was given does not fit: a parameter, a format, a contract.
    pub fn unfit(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::BadArgument, text)
    }

    /// The outside world failed: a device, a file, a socket.
    pub fn io(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::Io, text)
    }

    /// What the callback answers to the host.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Whether the host has counted it already and nobody is at fault: a pool without a free buffer, or a stage
    /// that is stopping. A plugin passes such an error on with `?`; the sdk answers OK.
    #[must_use]
    pub const fn is_no_fault(&self) -> bool {
        matches!(self.status, Status::NoBuffer | Status::Stopping)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text)
    }
}

impl std::error::Error for Error {}

impl From<ViewError> for Error {
    fn from(error: ViewError) -> Self {
        Self::unfit(error.to_string())
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Self::unfit(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::io(error.to_string())
    }
}
