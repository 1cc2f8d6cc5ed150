//! The few calls into Linux that need care, wrapped.
