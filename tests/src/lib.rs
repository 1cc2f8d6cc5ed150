//! Tests that cross crates.
pub mod compiler;
