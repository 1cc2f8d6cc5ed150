//! The few calls into Linux that need care, wrapped.
//!
//! Each module is one subject of the kernel's; each function names the man page it stands for. A call that
//! the kernel refuses, or that an emulator does not know, is an [`Error`], never a panic.
pub mod clock;
mod error;
pub mod event;
pub mod file;
pub mod futex;
pub mod memfd;
pub mod memory;
pub mod notify;
pub mod poll;
pub mod process;
pub mod program;
pub mod sched;
pub mod signal;
pub mod socket;

pub use error::{Error, Result};
