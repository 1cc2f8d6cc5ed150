//! Seal, sign, verify, keep: the only crate that knows a key.
