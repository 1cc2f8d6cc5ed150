//! The table of functions that an instance is given: `edgemill_host`.

/// The extensions this host offers, by name.
pub(crate) const EXTENSIONS: &[&str] = &[];
