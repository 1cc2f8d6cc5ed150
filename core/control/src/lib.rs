//! The local control socket `<run>/control.sock`: one connection, one request, one answer, each a line of JSON.
//!
//! Laws. The folder has mode 0750 and the socket 0660; who calls is told by the kernel ([`Caller`]), never by the
//! caller. Requests and answers are bounded in size and in time, so that no client can hold up another for long.
//! A file travels as an open descriptor, never as a path: what the client may not read, it cannot have read for it.
//! Unknown keys and versions are refused by name.
#![forbid(unsafe_code)]

mod client;
mod line;
mod protocol;
mod server;
mod status;

pub use client::{Client, ClientError};
pub use protocol::{
    Failure, FailureKind, Installed, ModelStatus, Reply, Request, SlotStatus, VERSION,
};
pub use server::{Caller, Handler, Listener, Responder, ServerError};
pub use status::{
    DaemonState, DaemonStatus, EdgeStatus, PathStatus, PipelineStatus, Quantiles, Report,
    StageStatus, StartTimes, Status,
};

/// The socket's name in the run folder.
pub const SOCKET: &str = "control.sock";
