//! Generates, passes or swallows packets, and fails on command.
