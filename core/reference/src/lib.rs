//! A graph in f32 on candle-core: the oracle that the int8 engine is held to, and the layers that `learn` trains.
#![forbid(unsafe_code)]

mod compute;
mod constant;
mod detect;
mod moves;
pub mod ops;
mod run;

pub use edgemill_model::{graph, tensor};
pub use run::{Reference, ReferenceError};
