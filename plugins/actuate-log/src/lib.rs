//! Writes each decision as a line of JSON.
