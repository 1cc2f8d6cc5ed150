//! Tests that cross crates.
pub mod compiler;
pub mod emulator;
