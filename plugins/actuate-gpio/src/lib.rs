//! Drives a GPIO line.
