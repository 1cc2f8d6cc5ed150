//! A host for unit tests.
