//! Packets, pools, channels, stages and the exact account of all that flows.
//!
//! Laws. The frame path neither allocates nor logs nor takes a lock once it runs. Every packet is counted where it
//! goes on or is lost, never by subtraction. The thread that supervises never waits for a stage. No stage is
//! known by what it is: plugins and sources are [`stage::Stage`]s that a [`Factory`] makes.
#![deny(unsafe_code)]

pub mod account;
mod bell;
mod channel;
pub mod format;
pub mod histogram;
pub mod negotiate;
pub mod outlet;
pub mod packet;
pub mod pool;
pub mod run;
mod slot;
pub mod spec;
pub mod stage;

pub use run::{Event, Factory, Options, RunError, Runtime, check};
pub use slot::{State, Stop};
pub use spec::{EdgeSpec, Spec, StageSpec};
