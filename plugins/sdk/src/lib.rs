//! Safe Rust for plugin authors.
