//! What the probe counted by itself.
use std::fs::OpenOptions;
use std::io::Write as _;

use edgemill_sdk::{Error, Result};

use crate::params::Role;

/// Counts of one instance, from create on.
pub struct Counts {
    role: Role,
    /// Tells instances apart: when it was made.
    instance: u64,
    /// Packets that came in, at all ports.
    pub received: u64,
    /// Packets that went out, at all ports.
    pub emitted: u64,
    /// Calls that ended in an error or a panic.
    pub faulted: u64,
    /// Buffers that were not to be had.
    pub no_buffer: u64,
    /// Calls with FLUSH.
    pub flushed: u64,
    /// When the first packet that came in was captured, and when FLUSH came: what lies between is the time that all
    /// packets took. CLOCK_MONOTONIC, ns; 0 before.
    pub first_capture_ns: u64,
    pub flushed_ns: u64,
}

impl Counts {
    pub fn new(role: Role, instance: u64) -> Self {
        Self {
            role,
            instance,
            received: 0,
            emitted: 0,
            faulted: 0,
            no_buffer: 0,
            flushed: 0,
            first_capture_ns: 0,
            flushed_ns: 0,
        }
    }

    /// Appends them to a file as a line of JSON, by one call.
    pub fn append(&self, path: Option<&str>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let Self { instance, received, emitted, faulted, no_buffer, flushed, .. } = self;
        let Self { first_capture_ns, flushed_ns, .. } = self;
        let role = match self.role {
            Role::Source => "source",
            Role::Pass => "pass",
            Role::Sink => "sink",
        };
        let line = format!(
            "{{\"role\":\"{role}\",\"instance\":{instance},\"received\":{received},\"emitted\":{emitted},\
             \"faulted\":{faulted},\"no_buffer\":{no_buffer},\"flushed\":{flushed},\
             \"first_capture_ns\":{first_capture_ns},\"flushed_ns\":{flushed_ns}}}\n"
        );
        let file = OpenOptions::new().append(true).create(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|error| Error::io(format!("cannot write counts to {path}: {error}")))
    }
}
