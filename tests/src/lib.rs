//! Tests that cross crates.
pub mod compiler;
pub mod emulator;
pub mod hostile;
