//! `pipelines/NAME.toml`, `board.toml` and `access.toml`: raw in, checked out, once.
//!
//! A [`Pipeline`], a [`Board`] and an [`Access`] that exist are valid: names are well formed and unique, every input
//! names a stage, nothing goes in a circle, every number is in its range. What only plugins and the store can tell
//! (ports, formats, parameters, models) is checked later; every value keeps its [`Place`] so that those errors,
//! too, name file, line and column.
//!
//! Keys are kebab-case, unknown keys are errors, units stand in the names, and every input has a [limit](limits).
#![forbid(unsafe_code)]

mod access;
mod board;
mod check;
mod config;
mod devices;
mod error;
mod graph;
mod hardware;
pub mod limits;
mod pipeline;
mod place;
mod raw;
mod text;

pub use access::{Access, Grant, Right, Rights, User};
pub use board::{Arch, Board, MemoryLock, Paths};
pub use config::{Config, DEFAULT_FOLDER};
pub use error::{ConfigError, Errors, Fault};
pub use hardware::{Camera, Idle, Line, LineAt, PICTURE_FORMATS, Thermal, Watchdog};
pub use pipeline::{
    Input, Join, ModelUse, OnFailure, Overflow, Param, Pipeline, Stage, Stop, Value, Work,
};
pub use place::{Located, Place};
pub use text::{nearest, printable};
