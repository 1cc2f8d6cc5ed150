//! Train, calibrate, quantize, evaluate: a recipe and a folder of pictures become an int8 network and a report.
//!
//! ```text
//! recipe.toml ─ Recipe ┐
//! folder/LABEL/*.jpg ── Dataset ── train ── Trained ── compress ── Compressed ── evaluate ── Report
//! ```
//!
//! Its laws: a picture is seen through the same two functions as in the pipeline; every choice is made on validation
//! pictures, and only `evaluate` opens a test folder; what is random depends on seed and step alone, so that a training is
//! repeatable and can be interrupted anywhere.
#![forbid(unsafe_code)]

pub mod adamw;
mod augment;
mod batch;
pub mod calibrate;
mod checkpoint;
mod compress;
mod confusion;
pub mod contract;
pub mod dataset;
mod equalize;
mod error;
mod evaluate;
mod flat;
pub mod network;
pub mod picture;
mod post_training;
pub mod prng;
pub mod quantize;
pub mod recipe;
mod report;
mod runner;
mod ties;
mod train;
mod trained;

pub use compress::{Compressed, Int8, compress};
pub use confusion::Confusion;
pub use dataset::Dataset;
pub use edgemill_reference as reference;
pub use error::LearnError;
pub use evaluate::evaluate;
pub use post_training::quantize_imported;
pub use recipe::{Recipe, RecipeError};
pub use report::{Measured, Report, SeedReport};
pub use train::{Progress, train};
pub use trained::{Outcome, Score, Trained};
